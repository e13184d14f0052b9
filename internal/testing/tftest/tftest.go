// Package tftest runs Terraform over deploy/terraform for tests, and reads what
// it plans. Without Terraform or its AWS provider the test is skipped with one
// line, or fails where CI=true.
package tftest

import (
	"archive/zip"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// Account and Region are those of every plan.
const (
	Account = "111122223333"
	Region  = "eu-central-1"
)

// Root is an initialised copy of deploy/terraform whose state is a file beside it.
type Root struct {
	Dir string
	Zip string // a zip with a bootstrap that does nothing; Plan gives it to Terraform
	env []string
}

// Source returns the folder of the repository in which a path lies.
func Source(path ...string) string {
	_, here, _, _ := runtime.Caller(0)
	return filepath.Join(append([]string{filepath.Dir(here), "..", "..", ".."}, path...)...)
}

// New copies deploy/terraform without its backend and initialises the copy. The
// environment has nothing of the caller's account; env is added to it.
func New(t testing.TB, env ...string) *Root {
	t.Helper()
	find(t)
	r := &Root{Dir: t.TempDir(), Zip: filepath.Join(t.TempDir(), "bootstrap.zip")}
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "AWS_") && !strings.HasPrefix(v, "TF_VAR_") {
			r.env = append(r.env, v)
		}
	}
	r.env = append(r.env, "AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test", "AWS_REGION="+Region, "AWS_EC2_METADATA_DISABLED=true",
		"AWS_SHARED_CREDENTIALS_FILE="+os.DevNull, "AWS_CONFIG_FILE="+os.DevNull, "TF_VAR_zip="+r.Zip)
	r.env = append(r.env, env...)
	if err := os.CopyFS(r.Dir, os.DirFS(Source("deploy", "terraform"))); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"backend.tf", ".terraform", ".terraform.lock.hcl"} {
		if err := os.RemoveAll(filepath.Join(r.Dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := writeZip(r.Zip, "#!/bin/sh\nexit 1\n"); err != nil {
		t.Fatal(err)
	}
	r.Run(t, "init", "-no-color")
	return r
}

// find ends the test where Terraform or the provider is missing.
func find(t testing.TB) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), Source("scripts", "terraform.sh"), "--find").CombinedOutput()
	if err == nil {
		return
	}
	why := strings.TrimSpace(string(out))
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == 3 && os.Getenv("CI") != "true" {
		t.Skip(why)
	}
	t.Fatalf("%s (%v)", why, err)
}

func writeZip(path, bootstrap string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	z := zip.NewWriter(f)
	h := &zip.FileHeader{Name: "bootstrap", Method: zip.Deflate}
	h.SetMode(fs.FileMode(0o755))
	w, err := z.CreateHeader(h)
	if err == nil {
		_, err = w.Write([]byte(bootstrap))
	}
	return errors.Join(err, z.Close(), f.Close())
}

// Run runs Terraform in the copy and returns what it printed; the test fails
// where it does.
func (r *Root) Run(t testing.TB, args ...string) string {
	t.Helper()
	out, err := r.Try(t, args...)
	if err != nil {
		t.Fatalf("terraform %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

// Try is Run with the error returned.
func (r *Root) Try(t testing.TB, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), Source("scripts", "terraform.sh"), args...)
	cmd.Dir, cmd.Env = r.Dir, r.env
	cmd.WaitDelay = 10 * time.Second // the provider ends after Terraform
	var stdout, both strings.Builder
	cmd.Stdout = &tee{&stdout, &both}
	cmd.Stderr = &both
	if err := cmd.Run(); err != nil {
		return both.String(), err
	}
	return stdout.String(), nil
}

type tee struct{ a, b *strings.Builder }

func (t *tee) Write(p []byte) (int, error) {
	t.a.Write(p)
	return t.b.Write(p)
}

// Plan plans with variables ("profile=lite") and returns what it would do.
func (r *Root) Plan(t testing.TB, vars ...string) Plan {
	t.Helper()
	file := filepath.Join(t.TempDir(), "plan")
	args := []string{"plan", "-no-color", "-lock=false", "-out=" + file}
	for _, v := range vars {
		args = append(args, "-var="+v)
	}
	r.Run(t, args...)
	return r.Show(t, file)
}

// Show reads a plan's file.
func (r *Root) Show(t testing.TB, file string) Plan {
	t.Helper()
	var p Plan
	if err := json.Unmarshal([]byte(r.Run(t, "show", "-json", file)), &p); err != nil {
		t.Fatal(err)
	}
	return p
}

// Identity starts a server that knows who asks, which is all that a plan of
// something new wants of AWS (and which versions a domain could be raised to: it
// knows none); it fails the test where it is asked for more.
func Identity(t testing.TB) (env string) {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/opensearch/compatibleVersions") {
			fmt.Fprint(w, `{"CompatibleVersions":[]}`)
			return
		}
		if err := r.ParseForm(); err != nil || r.Form.Get("Action") != "GetCallerIdentity" {
			t.Errorf("a plan asked for more than who it is: %s %s %v", r.Method, r.URL, r.Form)
			http.Error(w, "only GetCallerIdentity", http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Type", "text/xml")
		fmt.Fprintf(w, `<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>`+
			`<Arn>arn:aws:iam::%[1]s:user/test</Arn><UserId>AIDATEST</UserId><Account>%[1]s</Account></GetCallerIdentityResult></GetCallerIdentityResponse>`, Account)
	}))
	t.Cleanup(s.Close)
	return "AWS_ENDPOINT_URL=" + s.URL
}
