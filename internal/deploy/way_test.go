package deploy

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/elasticintel/elasticintel/internal/testing/awstest"
)

// small is a configuration of what Terraform has built in, so that it needs no
// provider, with the variables that Bind sets and a state in S3 as ours has.
func small() fs.FS {
	return fstest.MapFS{"main.tf": {Data: []byte(`
terraform {
  backend "s3" {
    use_lockfile = true
    encrypt      = true
  }
}
variable "prefix" { type = string }
variable "zip" { type = string }
variable "architecture" { type = string }
variable "profile" {
  type    = string
  default = "lite"
}
resource "terraform_data" "code" { input = filebase64sha256(var.zip) }
resource "terraform_data" "profile" { input = "${var.prefix} ${var.profile} ${var.architecture}" }
output "profile" { value = var.profile }
output "bucket" { value = "${var.prefix}-data" }
`)}}
}

// TestWay goes the whole way of a session: declined, deployed, nothing to do,
// changed from a machine that knows nothing of it, ended from a third.
func TestWay(t *testing.T) {
	tool(t)
	awstest.Ministack(t).Setenv(t)
	ctx := t.Context()
	var said []string
	source := tree(t, modulePath)
	machine := func(vars map[string]any) *Session {
		t.Helper()
		s, err := Open(ctx, Options{Env: "test", Work: t.TempDir(), Files: small(), Vars: vars, Code: Code{Arch: ARM64, Source: source, Env: os.Environ()},
			Environ: os.Environ(), Now: time.Now, Say: func(f string, a ...any) { said = append(said, fmt.Sprintf(f, a...)) }})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	answer := func(yes bool) func(*Plan) (bool, error) { return func(*Plan) (bool, error) { return yes, nil } }
	bound := func(s *Session) *Session {
		t.Helper()
		if err := s.Bind(ctx); err != nil {
			t.Fatal(err)
		}
		return s
	}
	first := bound(machine(map[string]any{"profile": "standard"}))
	if _, err := first.Deploy(ctx, Typical(), answer(false)); !errors.Is(err, ErrDeclined) {
		t.Fatal(err)
	}
	if vars, err := first.saved(ctx); vars != nil || err != nil {
		t.Error("kept although declined:", vars, err)
	}
	if changed, err := first.Deploy(ctx, Typical(), answer(true)); !changed || err != nil {
		t.Fatal(changed, err)
	}
	said = nil
	never := func(*Plan) (bool, error) {
		t.Error("asked although there is nothing to do")
		return false, nil
	}
	second := bound(machine(nil))
	if changed, err := second.Deploy(ctx, Typical(), never); changed || err != nil || !strings.Contains(strings.Join(said, "\n"), "Nothing to do") {
		t.Error(changed, err, said)
	}
	if out, err := second.Account.Outputs(ctx, "test"); err != nil || out.Profile != "standard" || out.Bucket != "ei-test-data" {
		t.Error(out, err)
	}
	if changed, err := bound(machine(map[string]any{"profile": nil})).Deploy(ctx, Typical(), answer(true)); !changed || err != nil {
		t.Error(changed, err)
	}
	wayBack(t, machine(nil), answer)
}

// wayBack ends what TestWay deployed, with data in its bucket and a secret.
func wayBack(t *testing.T, s *Session, answer func(bool) func(*Plan) (bool, error)) {
	t.Helper()
	ctx, a := t.Context(), s.Account
	if err := s.Attach(ctx); err != nil {
		t.Fatal(err)
	}
	if d, err := s.Runner.Drift(ctx); err != nil || !d.Nothing() {
		t.Errorf("drift on a third machine: %+v, %v", d, err)
	}
	bucket := a.Bucket("test")
	if _, err := a.EnsureBucket(ctx, bucket); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"old", "new"} {
		if _, err := a.Upload(ctx, bucket, "store.json", []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	secret := map[string]any{"Name": "/ei-test/key", "Value": "x", "Type": "SecureString"}
	if err := a.call(ctx, request{service: "ssm", name: "PutParameter", target: "AmazonSSM", version: "1.1", in: secret}, nil); err != nil {
		t.Fatal(err)
	}
	if err := s.Destroy(ctx, answer(false)); !errors.Is(err, ErrDeclined) {
		t.Error(err)
	}
	if data, err := a.Object(ctx, bucket, "store.json"); string(data) != "new" || err != nil {
		t.Error("declined, and the data is gone", err)
	}
	if err := s.Destroy(ctx, answer(true)); err != nil {
		t.Fatal(err)
	}
	versions, err := a.s3.ListObjectVersions(ctx, &s3.ListObjectVersionsInput{Bucket: &bucket})
	if err != nil || len(versions.Versions)+len(versions.DeleteMarkers) > 0 {
		t.Error("the bucket is not empty", err)
	}
	var page struct{ Parameters []any }
	list := request{service: "ssm", name: "GetParametersByPath", target: "AmazonSSM", version: "1.1", in: map[string]any{"Path": "/ei-test/"}}
	if err := a.call(ctx, list, &page); err != nil || len(page.Parameters) > 0 {
		t.Error("secrets are left", err)
	}
	if buckets, err := a.s3.ListBuckets(ctx, &s3.ListBucketsInput{}); err != nil || len(buckets.Buckets) != 1 {
		t.Error("the state bucket is left", err)
	}
	if err := s.Attach(ctx); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}
