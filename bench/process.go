package main

import (
	"bufio"
	"context"
	"database/sql"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/elasticintel/elasticintel/internal/intel"
)

// questions draws n indicators, every second one listed.
func questions(values []string, n int) []intel.Indicator {
	r := rand.New(rand.NewPCG(1, 2))
	out := make([]intel.Indicator, 0, n)
	for len(out) < n {
		ind, err := intel.Detect(values[r.IntN(len(values))])
		if err != nil {
			continue
		}
		if len(out)%2 == 1 {
			ind = intel.Indicator{Kind: intel.Domain, Value: fmt.Sprintf("no-%x.example", r.Uint64())}
		}
		out = append(out, ind)
	}
	return out
}

// latencies times each call and returns the median and the 99th percentile.
func latencies(asked []intel.Indicator, ask func(intel.Indicator) error) (p50, p99 time.Duration) {
	took := make([]time.Duration, len(asked))
	for i, ind := range asked {
		began := time.Now()
		if err := ask(ind); err != nil {
			panic(err)
		}
		took[i] = time.Since(began)
	}
	slices.Sort(took)
	return took[len(took)/2], took[len(took)*99/100]
}

func askLite(rows *sql.Rows, err error) error {
	if err != nil {
		return err
	}
	defer rows.Close()
	var feed, original, context string
	var first, last int64
	for rows.Next() {
		if err := rows.Scan(&feed, &original, &first, &last, &context); err != nil {
			return err
		}
	}
	return rows.Err()
}

// processRows: the built program as a user starts it.
func processRows(ctx context.Context, o options, values []string) ([]row, error) {
	if o.binary == "" {
		return nil, nil
	}
	st, err := os.Stat(o.binary)
	if err != nil {
		return nil, err
	}
	binary, err := filepath.Abs(o.binary)
	if err != nil {
		return nil, err
	}
	rows := []row{{"binary", megabytes(st.Size()), "–", ""}}
	var fresh, again []time.Duration
	for range o.rounds {
		dir, err := os.MkdirTemp("", "bench-serve-")
		if err != nil {
			return nil, err
		}
		for _, to := range []*[]time.Duration{&fresh, &again} {
			t, _, err := serve(ctx, binary, dir, nil)
			if err != nil {
				return nil, err
			}
			*to = append(*to, t)
		}
		os.RemoveAll(dir)
	}
	rows = append(rows,
		row{"process start to ready with the starter data, new folder", median(fresh).Round(time.Millisecond).String(), "–", ""},
		row{"the same, folder there", median(again).Round(time.Millisecond).String(), "–", ""})
	rss, err := residentAt(ctx, binary, o, values)
	if err != nil {
		return nil, err
	}
	return append(rows, row{fmt.Sprintf("resident memory of the server at %d listings, after 20,000 look-ups", o.many), megabytes(rss), "–", ""}), nil
}

// residentAt fills a folder through the library and lets the program serve it.
func residentAt(ctx context.Context, binary string, o options, values []string) (int64, error) {
	web := newOrigin()
	defer web.Close()
	s, err := newOurs(ctx)
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(s.dir)
	empty, err := os.MkdirTemp("", "bench-feeds-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(empty)
	const feeds = 40
	for i := range feeds {
		id := fmt.Sprintf("feed%02d", i)
		d, err := web.definition(id)
		if err != nil {
			return 0, err
		}
		web.lists[id] = []byte(strings.Join(values[i*o.many/feeds:(i+1)*o.many/feeds], "\n"))
		if _, err := s.pull(ctx, d, intel.RunOK); err != nil {
			return 0, err
		}
	}
	def := `{"feeds":[{"id":"idle","feed_name":"idle","feed_type":"txt","indicator_type":"auto","feed_url":"http://127.0.0.1:1/","enabled":false,"field_mapping":{"source":[],"destination":[]},"interval":"24h"}]}`
	if err := os.WriteFile(filepath.Join(empty, "idle.json"), []byte(def), 0o600); err != nil {
		return 0, err
	}
	_, rss, err := serve(ctx, binary, s.dir, []string{"--feeds", empty}, values[:20_000]...)
	return rss, err
}

// serve starts the server, waits until it is ready, asks for the values, reads
// its resident memory and stops it.
func serve(ctx context.Context, binary, dir string, args []string, ask ...string) (ready time.Duration, rss int64, err error) {
	cmd := exec.CommandContext(ctx, binary, append([]string{"serve", "--quiet", "--data", dir, "--listen", "127.0.0.1:0", "--enrich", "off"}, args...)...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return 0, 0, err
	}
	began := time.Now()
	if err := cmd.Start(); err != nil {
		return 0, 0, err
	}
	defer func() { _ = cmd.Process.Signal(syscall.SIGTERM); _ = cmd.Wait() }()
	url, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		return 0, 0, fmt.Errorf("the server said nothing: %w", err)
	}
	url = strings.TrimSpace(url)
	for until := began.Add(20 * time.Second); ; {
		if resp, err := http.Get(url + "/readyz"); err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				break
			}
		}
		if time.Now().After(until) {
			return 0, 0, fmt.Errorf("not ready after 20 s")
		}
		time.Sleep(2 * time.Millisecond)
	}
	ready = time.Since(began)
	if len(ask) > 0 {
		resp, err := http.Post(url+"/api/v1/lookup", "text/plain", strings.NewReader(strings.Join(ask, "\n")))
		if err != nil {
			return 0, 0, err
		}
		_, err = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		if err != nil {
			return 0, 0, err
		}
	}
	rss, err = resident(cmd.Process.Pid)
	return ready, rss, err
}

// resident reads VmRSS, which counts mapped segment pages too.
func resident(pid int) (int64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(b), "VmRSS:")
	n, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
	return n << 10, err
}
