package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/elasticintel/elasticintel/internal/intel"
)

// served is a process that says its address on its first line.
type served struct {
	cmd *exec.Cmd
	url string
}

func startServed(cmd *exec.Cmd) (*served, error) {
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	s := &served{cmd: cmd}
	line, err := bufio.NewReader(out).ReadString('\n')
	s.url = strings.TrimSpace(line)
	for until := time.Now().Add(time.Minute); err == nil; {
		var resp *http.Response
		if resp, err = http.Get(s.url + "/readyz"); err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return s, nil
			}
		}
		if time.Now().After(until) {
			err = errors.New("not ready after a minute")
		}
		time.Sleep(5 * time.Millisecond)
	}
	s.stop()
	return nil, fmt.Errorf("%s: %w", cmd.Path, err)
}

func (s *served) stop() {
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	_ = s.cmd.Wait()
}

// serveBare answers everything with the same bytes, as the saved answer says.
func serveBare(ctx context.Context, file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var a httpAnswer
	if err := json.Unmarshal(text, &a); err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := &http.Server{ReadHeaderTimeout: 10 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for name, values := range a.Header {
			w.Header()[name] = values
		}
		_, _ = io.WriteString(w, a.Body)
	})}
	context.AfterFunc(ctx, func() { _ = server.Close() })
	fmt.Printf("http://%s\n", l.Addr())
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// httpAnswer is an answer that is sent again byte for byte.
type httpAnswer struct {
	Header http.Header
	Body   string
}

// httpPart measures the built program over loopback, from this process.
func httpPart(ctx context.Context, o goalsOptions, f figures) error {
	a, err := readAsked(o)
	if err != nil {
		return err
	}
	binary, err := filepath.Abs(o.binary)
	if err != nil {
		return err
	}
	feeds := filepath.Join(o.work, "feeds")
	if err := os.MkdirAll(feeds, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(feeds, "idle.json"), []byte(idleFeed), 0o600); err != nil {
		return err
	}
	ours, err := startServed(exec.CommandContext(ctx, binary, "serve", "--quiet", "--data", o.store(), "--listen", "127.0.0.1:0", "--enrich", "off", "--feeds", feeds))
	if err != nil {
		return err
	}
	defer ours.stop()
	if err := singles(ctx, o, ours, a.Exact, f); err != nil {
		return err
	}
	if err := bulkRounds(ours, &a, o.rounds, f); err != nil {
		return err
	}
	rss, err := processStatus(ours.cmd.Process.Pid, "VmRSS:")
	f.add("http.rss", rss)
	return err
}

// idleFeed is a definition, so that the server does not load its catalogue and starter data.
const idleFeed = `{"feeds":[{"id":"idle","feed_name":"idle","feed_type":"txt","indicator_type":"auto","feed_url":"http://127.0.0.1:1/","enabled":false,"field_mapping":{"source":[],"destination":[]},"interval":"24h"}]}`

// singles compares look-ups of a value with one listing with a bare handler, in turn.
func singles(ctx context.Context, o goalsOptions, ours *served, asks []intel.Indicator, f figures) error {
	path, answer, err := oneListing(ours.url, asks)
	if err != nil {
		return err
	}
	text, err := json.Marshal(answer)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(o.work, bareFile), text, 0o600); err != nil {
		return err
	}
	cmd, err := o.command(ctx, "bare")
	if err != nil {
		return err
	}
	bare, err := startServed(cmd)
	if err != nil {
		return err
	}
	defer bare.stop()
	for _, clients := range []int{1, 8} {
		name := fmt.Sprintf("single.%d", clients)
		client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: clients}}
		for round := range o.rounds + 1 {
			var took [2]time.Duration
			for range 40 { // in small turns, so that what else the machine does falls on both
				for i, s := range []*served{bare, ours} {
					t, err := strike(client, s.url+path, clients, 400/clients, len(answer.Body))
					if err != nil {
						return err
					}
					took[i] += t
				}
			}
			if round > 0 {
				f.add(name+".rate", 40*400/took[1].Seconds())
				f.add(name+".bare", 40*400/took[0].Seconds())
				f.add(name+".share", 100*took[0].Seconds()/took[1].Seconds())
			}
		}
		client.CloseIdleConnections()
	}
	return nil
}

// oneListing finds a value that one feed lists and returns the server's answer.
func oneListing(base string, asks []intel.Indicator) (path string, a httpAnswer, err error) {
	for _, ind := range asks {
		path = "/api/v1/indicators/" + url.PathEscape(ind.Value)
		resp, err := http.Get(base + path)
		if err != nil {
			return "", a, err
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil {
			return "", a, err
		}
		var answer struct{ Listings []json.RawMessage }
		if resp.StatusCode == http.StatusOK && json.Unmarshal(body, &answer) == nil && len(answer.Listings) == 1 {
			resp.Header.Del("Date")
			return path, httpAnswer{resp.Header, string(body)}, nil
		}
	}
	return "", a, errors.New("no value has exactly one listing")
}

// strike has each client send n requests and returns how long all took.
func strike(client *http.Client, target string, clients, n, size int) (time.Duration, error) {
	began := time.Now()
	failed := make([]error, clients)
	var wg sync.WaitGroup
	for c := range clients {
		wg.Go(func() {
			for i := 0; i < n && failed[c] == nil; i++ {
				resp, err := client.Get(target)
				if err != nil {
					failed[c] = err
					return
				}
				got, err := io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
				if err != nil || resp.StatusCode != http.StatusOK || int(got) != size {
					failed[c] = fmt.Errorf("status %d, %d bytes instead of %d: %w", resp.StatusCode, got, size, err)
				}
			}
		})
	}
	wg.Wait()
	return time.Since(began), errors.Join(failed...)
}

// bulkRounds looks up 100,000 values at once, and watches the server's memory;
// it looks up few first, for what that takes.
func bulkRounds(ours *served, a *asked, rounds int, f figures) error {
	for _, x := range []struct{ name, query, percent string }{
		{"bulk.few", "?fields=summary", "1"}, {"bulk.summary1", "?fields=summary", "1"}, {"bulk.full1", "", "1"}, {"bulk.full50", "", "50"},
	} {
		values := a.Bulk[x.percent]
		if x.name == "bulk.few" {
			values = values[:len(values)/100]
		}
		for round := range rounds + 1 {
			took, peak, err := bulkOnce(ours, x.query, values)
			if err != nil {
				return err
			}
			if round > 0 {
				f.add(x.name, took.Seconds())
				f.add(x.name+".memory", peak)
			}
		}
	}
	return nil
}

// bulkOnce sends the values and returns how long it took and the most memory of
// its own (not of the files it maps) that the server had meanwhile.
func bulkOnce(ours *served, query string, values []string) (took time.Duration, peak float64, err error) {
	body := strings.Join(values, "\n")
	stop, done := make(chan bool), make(chan float64)
	go func() {
		most := 0.0
		for ended := false; !ended; {
			select {
			case <-stop:
				ended = true
			case <-time.After(5 * time.Millisecond):
			}
			if v, err := processStatus(ours.cmd.Process.Pid, "RssAnon:"); err == nil {
				most = max(most, v)
			}
		}
		done <- most
	}()
	began := time.Now()
	resp, err := http.Post(ours.url+"/api/v1/lookup"+query, "text/plain", strings.NewReader(body))
	var n int64
	if err == nil {
		n, err = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		if err == nil && (resp.StatusCode != http.StatusOK || n < int64(len(values))) {
			err = fmt.Errorf("bulk: status %d, %d bytes", resp.StatusCode, n)
		}
	}
	took = time.Since(began)
	close(stop)
	return took, <-done, err
}
