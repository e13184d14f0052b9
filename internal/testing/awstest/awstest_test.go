package awstest

import (
	"bufio"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// envRole makes the test binary a process that starts an emulator and hangs.
const envRole = "AWSTEST_HANG"

// TestEnds: an emulator ends with its test, and keeps nothing after a reset.
func TestEnds(t *testing.T) {
	for name, start := range map[string]func(testing.TB) *Server{
		"ministack": func(t testing.TB) *Server { return Ministack(t) },
		"moto":      Moto,
	} {
		t.Run(name, func(t *testing.T) {
			var s *Server
			t.Run("runs", func(t *testing.T) {
				s = start(t)
				if do(t, "PUT", s.URL+"/bucket") != http.StatusOK || do(t, "HEAD", s.URL+"/bucket") != http.StatusOK {
					t.Fatal("no bucket")
				}
				s.Reset(t)
				if do(t, "HEAD", s.URL+"/bucket") != http.StatusNotFound {
					t.Error("the bucket outlived a reset")
				}
			})
			if s == nil {
				t.SkipNow()
			}
			if res, err := http.Get(s.URL); err == nil {
				_ = res.Body.Close()
				t.Error("it still answers")
			}
		})
	}
}

func do(t *testing.T, method, url string) int {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=test/20261123/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0")
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	return res.StatusCode
}

// TestKilled: an emulator ends when the process of its test is killed.
func TestKilled(t *testing.T) {
	if os.Getenv(envRole) != "" {
		fmt.Println("at", Ministack(t).URL)
		select {} // until it is killed
	}
	interpreter(t, "ministack")
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self, "-test.run=^TestKilled$")
	cmd.Env = append(os.Environ(), envRole+"=1")
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	lines, url := bufio.NewScanner(out), ""
	for url == "" && lines.Scan() {
		url, _ = strings.CutPrefix(lines.Text(), "at ")
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // killed
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for range again.C {
		res, err := http.Get(url + "/_ministack/health")
		if err != nil {
			return
		}
		_ = res.Body.Close()
	}
}

// TestEnvironment: of the machine's own nothing is left.
func TestEnvironment(t *testing.T) {
	t.Setenv("AWS_PROFILE", "mine")
	t.Run("inside", func(t *testing.T) {
		(&Server{URL: "http://127.0.0.1:1"}).Setenv(t)
		if _, ok := os.LookupEnv("AWS_PROFILE"); ok || os.Getenv("AWS_ENDPOINT_URL") != "http://127.0.0.1:1" {
			t.Error(os.Environ())
		}
	})
	if os.Getenv("AWS_PROFILE") != "mine" || os.Getenv("AWS_ENDPOINT_URL") != "" {
		t.Error(os.Environ())
	}
}
