package deploy

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
)

// API is the deployed HTTP API, asked with a key.
type API struct {
	address, key string
	client       *awshttp.BuildableClient
}

// answerWait is more than the 30 seconds after which the HTTP API gives up on a function.
const answerWait = 40 * time.Second

// NewAPI returns the API at an address without a slash at its end.
func NewAPI(address, key string) *API {
	return &API{address: address, key: key, client: awshttp.NewBuildableClient().WithTimeout(answerWait)}
}

// refused is an answer that is no 2xx.
type refused struct {
	what   string
	status int
	detail string
}

func (e *refused) Error() string {
	return fmt.Sprintf("%s: HTTP %d: %s", e.what, e.status, e.detail)
}

// call sends a request and decodes its answer. in nil: no body.
func (a *API) call(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		data, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(data)
	}
	req, err := http.NewRequestWithContext(ctx, method, a.address+path, body)
	if err != nil {
		return err
	}
	loopback(req)
	req.Header.Set("Authorization", "Bearer "+a.key)
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := a.client.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(io.LimitReader(resp.Body, 8<<20))
	if err != nil {
		return err
	}
	if resp.StatusCode/100 != 2 {
		var said struct{ Detail, Message string }
		if json.Unmarshal(data, &said) != nil || said.Detail+said.Message == "" {
			said.Detail = short(strings.Join(strings.Fields(string(data)), " "), 200)
		}
		return &refused{method + " " + path, resp.StatusCode, said.Detail + said.Message}
	}
	if err := json.Unmarshal(data, out); err != nil {
		return fmt.Errorf("%s %s: the answer cannot be read: %w", method, path, err)
	}
	return nil
}

// loopback sends a request for a name below localhost, such as emulators give to
// their APIs, to this machine. RFC 6761, section 6.3, says that these names are
// loopback's; not every resolver knows.
func loopback(req *http.Request) {
	if host := req.URL.Hostname(); strings.HasSuffix(strings.ToLower(host), ".localhost") {
		req.Host, req.URL.Host = req.URL.Host, "127.0.0.1"
		if _, port, ok := strings.Cut(req.Host, ":"); ok {
			req.URL.Host += ":" + port
		}
	}
}

// Smoke is a test of everything at once: a feed is run through the API, and one of
// its values asked for.
type Smoke struct {
	API   *API
	Feed  string
	Limit time.Duration // for all of it
	Now   func() time.Time
	Pause func(ctx context.Context) error // between two tries
	Say   func(format string, a ...any)
}

// run is what is read of a row of the ledger.
type run struct {
	Status  string    `json:"status"`
	Started time.Time `json:"started"`
	Listed  int       `json:"listed"`
	Reason  string    `json:"reason"`
}

// Run starts the feed, waits for the end of the run, and returns a value that the
// API finds listed by it.
func (s *Smoke) Run(ctx context.Context) (value string, err error) {
	ctx, cancel := context.WithTimeout(ctx, s.Limit)
	defer cancel()
	began := s.Now()
	r, err := s.pull(ctx, began)
	if err != nil {
		return "", fmt.Errorf("feed %s: %w", s.Feed, err)
	}
	switch {
	case r.Status != "ok" && r.Status != "unchanged":
		return "", fmt.Errorf("feed %s: the run ended as %s: %s", s.Feed, r.Status, r.Reason)
	case r.Listed == 0:
		return "", fmt.Errorf("feed %s lists nothing now: name another one with --smoke-feed ID", s.Feed)
	}
	s.Say("Feed %s: run %s, %d listed, %d s after it was asked for.", s.Feed, r.Status, r.Listed, int(s.Now().Sub(began).Seconds()))
	if value, err = s.value(ctx); err != nil {
		return "", fmt.Errorf("a value of feed %s: %w", s.Feed, err)
	}
	return value, s.found(ctx, value)
}

// clocks is how far two clocks may differ.
const clocks = 5 * time.Second

// pull asks for a run and waits for its end. An API that was made this minute
// refuses now and then.
func (s *Smoke) pull(ctx context.Context, began time.Time) (r run, err error) {
	path := "/api/v1/feeds/" + url.PathEscape(s.Feed)
	err = s.until(ctx, func() error {
		var runs []run
		asked := s.API.call(ctx, http.MethodPost, path+"/run", nil, &r)
		if asked == nil || final(asked) {
			return asked
		}
		// The function may have been asked, and have had no time to wait for the end.
		if s.API.call(ctx, http.MethodGet, path+"/runs?limit=5", nil, &runs) == nil {
			for _, x := range runs {
				if x.Started.After(began.Add(-clocks)) && x.Status != "superseded" {
					r = x
					return nil
				}
			}
		}
		return asked
	})
	return r, err
}

// final is whether another try would be answered in the same way.
func final(err error) bool {
	var r *refused
	return errors.As(err, &r) && r.status < 500 && r.status != 401 && r.status != 403 && r.status != 409 && r.status != 429 && (r.status != 404 || r.detail != "Not Found")
}

// value is one that the feed lists, once the API has read it.
func (s *Smoke) value(ctx context.Context) (value string, err error) {
	err = s.until(ctx, func() error {
		var page struct {
			Results []struct {
				Value string `json:"value"`
			} `json:"results"`
		}
		if err := s.API.call(ctx, http.MethodGet, "/api/v1/search?limit=1&q="+url.QueryEscape("feed:"+s.Feed), nil, &page); err != nil {
			return err
		}
		if len(page.Results) == 0 {
			return errors.New("the search finds nothing of it yet")
		}
		value = page.Results[0].Value
		return nil
	})
	return value, err
}

func (s *Smoke) found(ctx context.Context, value string) error {
	return s.until(ctx, func() error {
		var bulk struct {
			Results []struct {
				Found    bool `json:"found"`
				Listings []struct {
					Feed string `json:"feed"`
				} `json:"listings"`
			} `json:"results"`
		}
		if err := s.API.call(ctx, http.MethodPost, "/api/v1/lookup", map[string]any{"values": []string{value}}, &bulk); err != nil {
			return err
		}
		if len(bulk.Results) == 1 && bulk.Results[0].Found {
			for _, l := range bulk.Results[0].Listings {
				if l.Feed == s.Feed {
					return nil
				}
			}
		}
		return fmt.Errorf("the look-up of %s does not find it in %s", value, s.Feed)
	})
}

// until tries until there is no error, no try would help, or the time is over.
func (s *Smoke) until(ctx context.Context, try func() error) error {
	var last error // that is more than the end of ctx
	for {
		err := try()
		if err == nil || final(err) {
			return err
		}
		if ctx.Err() == nil || last == nil {
			last = err
		}
		if s.Pause(ctx) != nil {
			return fmt.Errorf("no end within %s: %w", s.Limit, last)
		}
	}
}
