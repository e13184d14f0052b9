package aws

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/config"
)

const (
	// early is how long before they expire credentials are asked for anew. It is
	// longer than a request may take, and much shorter than any lifetime (15 minutes).
	early = time.Minute
	// pause is how long nothing is asked where credentials could not be had, so
	// that a thousand look-ups do not wait for one answer each.
	pause = 5 * time.Second
)

// The services that an OpenSearch may belong to, as signatures name them.
const (
	domain     = "es"   // a domain of OpenSearch Service
	serverless = "aoss" // a collection of OpenSearch Serverless
)

// Options say for what requests are signed.
type Options struct {
	URLs []string         // of the nodes: service and region are read from the host's name
	Now  func() time.Time // required
}

// Signer signs requests by Signature Version 4. Credentials are those that every
// tool of AWS finds: of the environment, of a profile (SSO, roles and programs
// included), of the container, of the machine. It is safe for concurrent use.
type Signer struct {
	service, region string
	credentials     sdk.CredentialsProvider // caches, and asks anew shortly before the end
	v4              *v4.Signer
	now             func() time.Time

	mu    sync.Mutex      // guards what follows
	last  sdk.Credentials // those of the last success
	err   error           // of the last failure; nil after a success
	again time.Time       // when credentials may be asked for after a failure
}

// NewSigner finds credentials and region. Errors: *CredentialsError, or what is
// wrong with the URLs or the region, with what to do; ctx's.
func NewSigner(ctx context.Context, o Options) (*Signer, error) {
	service, region, err := target(o.URLs)
	if err != nil {
		return nil, err
	}
	cfg, err := config.LoadDefaultConfig(ctx, config.WithCredentialsCacheOptions(func(c *sdk.CredentialsCacheOptions) { c.ExpiryWindow = early }))
	if err != nil {
		return nil, explain(err)
	}
	if region == "" {
		region = cfg.Region
	}
	if region == "" {
		return nil, fmt.Errorf("aws: no region: the host of %s does not name one; set AWS_REGION, or region in the profile", o.URLs[0])
	}
	s := &Signer{service: service, region: region, credentials: cfg.Credentials, v4: v4.NewSigner(), now: o.Now}
	if _, err := s.retrieve(ctx); err != nil {
		return nil, err
	}
	return s, nil
}

// Sign adds to a request who makes it: Authorization and the headers that go with
// it. bodySHA256 is the lower-case hex SHA-256 of the body, an empty one too. The
// query is put into the order that was signed. Errors: *CredentialsError, or that
// of the request's context.
func (s *Signer) Sign(r *http.Request, bodySHA256 string) error {
	c, err := s.retrieve(r.Context())
	if err != nil {
		return err
	}
	if s.service == serverless {
		r.Header.Set("X-Amz-Content-Sha256", bodySHA256)
	}
	// The length is not signed: Serverless refuses that, and the hash stands for it.
	length := r.ContentLength
	r.ContentLength = 0
	err = s.v4.SignHTTP(r.Context(), c, r, bodySHA256, s.service, s.region, s.now())
	r.ContentLength = length
	return err
}

// retrieve returns credentials that are valid. Where new ones cannot be had, the
// last ones serve until they end.
func (s *Signer) retrieve(ctx context.Context) (sdk.Credentials, error) {
	now := s.now()
	s.mu.Lock()
	last, err, again := s.last, s.err, s.again
	s.mu.Unlock()
	if err == nil || !now.Before(again) {
		var c sdk.Credentials
		if c, err = s.credentials.Retrieve(ctx); ctx.Err() != nil && err != nil {
			return c, ctx.Err()
		}
		s.mu.Lock()
		if s.err = err; err == nil {
			s.last = c
		} else {
			s.again = now.Add(pause)
		}
		s.mu.Unlock()
		if err == nil {
			return c, nil
		}
	}
	// The cache has taken early off the end.
	if last.HasKeys() && (!last.CanExpire || now.Before(last.Expires.Add(early))) {
		return last, nil
	}
	return sdk.Credentials{}, explain(err)
}

// target reads service and region from the names of hosts. All must name the
// same; of others than Amazon's the region is not known.
func target(urls []string) (service, region string, err error) {
	if len(urls) == 0 {
		return "", "", errors.New("aws: no URL of a node")
	}
	for i, s := range urls {
		u, err := url.Parse(strings.TrimSpace(s))
		if err != nil {
			return "", "", errors.New("aws: a URL cannot be read; expected https://host") // it may hold a password
		}
		sv, rg := hostTarget(u.Hostname())
		if i > 0 && (sv != service || rg != region) {
			return "", "", fmt.Errorf("aws: the URLs are of several services or regions (%s %s, %s %s): one signature cannot be for both; give those of one domain", service, region, sv, rg)
		}
		service, region = sv, rg
	}
	return service, region, nil
}

// hostTarget reads NAME.REGION.es.amazonaws.com (or aoss in place of es, or
// amazonaws.com.cn) and NAME.aos.REGION.on.aws (or aoss).
func hostTarget(host string) (service, region string) {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	labels := strings.Split(host, ".")
	for _, suffix := range []string{".amazonaws.com", ".amazonaws.com.cn"} {
		rest, ok := strings.CutSuffix(host, suffix)
		if parts := strings.Split(rest, "."); ok && len(parts) >= 3 {
			if last := parts[len(parts)-1]; last == domain || last == serverless {
				return last, parts[len(parts)-2]
			}
		}
	}
	if n := len(labels); n >= 5 && strings.HasSuffix(host, ".on.aws") {
		switch labels[n-4] {
		case "aos":
			return domain, labels[n-3]
		case serverless:
			return serverless, labels[n-3]
		}
	}
	return domain, ""
}
