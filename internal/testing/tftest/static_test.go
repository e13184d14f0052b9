package tftest

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// acceptable is what checkov finds and we leave as it is, with the reason.
var acceptable = map[string]string{
	"CKV2_AWS_52": "fine-grained access control wants a user directory and dedicated index roles; the domain's policy names four roles and their methods, and nothing unsigned is let in",
	"CKV2_AWS_59": "three dedicated masters cost more than the whole of a small installation",
	"CKV2_AWS_62": "nothing waits for events of the bucket: functions read it when they are asked",
	"CKV_AWS_18":  "access logs of the bucket cost a second bucket; CloudTrail's data events are there for who wants them",
	"CKV_AWS_50":  "traces of X-Ray are paid for, and every job logs one line with its times",
	"CKV_AWS_117": "in a VPC the functions need a NAT gateway ($32 a month) to reach the publishers of feeds",
	"CKV_AWS_137": "the domain is reached by functions that are in no VPC, with signed requests over TLS",
	"CKV_AWS_144": "a copy in another region doubles the storage; feeds can be fetched again, and `backup` copies what cannot",
	"CKV_AWS_248": "security groups belong to domains in a VPC",
	"CKV_AWS_258": "the function's URL is off by default, and behind it the program asks for API keys as everywhere",
	"CKV_AWS_272": "code signing wants a signing profile of the owner's; the zip comes from the release, whose checksums are signed",
	"CKV_AWS_309": "the program asks for API keys itself, by the same code as `serve`",
	"CKV_AWS_317": "audit logs of a domain want fine-grained access control",
	"CKV_AWS_318": "as CKV2_AWS_59",
	"CKV_AWS_338": "log_days is the owner's choice; a year of logs is paid for",
}

// TestCheckov compares what checkov finds with the accepted findings, both ways.
func TestCheckov(t *testing.T) {
	program, err := filepath.Abs(Source("bin", "checkov", "bin", "checkov"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(Source("bin", "checkov", "requirements.txt")); err != nil {
		missing(t, "bin/checkov is missing: run scripts/pytools.sh checkov")
	}
	cmd := exec.CommandContext(t.Context(), program, "-d", ".", "--framework", "terraform", "--compact", "--quiet", "--skip-download", "-o", "json")
	cmd.Dir = Source("deploy", "terraform")
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "LANG=C.UTF-8"}
	out, err := cmd.Output() // exit 1: there are findings
	var report struct {
		Summary struct {
			Passed int
			Errors int `json:"parsing_errors"`
		}
		Results struct {
			Failed []struct {
				ID       string `json:"check_id"`
				Resource string
				Name     string `json:"check_name"`
			} `json:"failed_checks"`
		}
	}
	if e := json.Unmarshal(out, &report); e != nil {
		t.Fatalf("%v: %v\n%.2000s", err, e, out)
	}
	if report.Summary.Passed < 100 || report.Summary.Errors > 0 {
		t.Errorf("%d checks passed, want more; %d files could not be read", report.Summary.Passed, report.Summary.Errors)
	}
	found := map[string]bool{}
	for _, f := range report.Results.Failed {
		found[f.ID] = true
		if acceptable[f.ID] == "" {
			t.Errorf("%s %s: %s", f.ID, f.Resource, f.Name)
		}
	}
	for id := range acceptable {
		if !found[id] {
			t.Errorf("%s is accepted, but not found: take it out", id)
		}
	}
}

// TestTFLint runs tflint where it was built (make tflint): its modules take
// minutes to compile, which is too long for every run.
func TestTFLint(t *testing.T) {
	program, err := filepath.Abs(Source("bin", "tflint"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(program); err != nil {
		if os.Getenv("EI_SOAK") != "" {
			missing(t, "bin/tflint is missing: run make tflint")
		}
		t.Skip("bin/tflint is missing: run make tflint")
	}
	dir := filepath.Join(filepath.Dir(program), "..", "deploy", "terraform")
	cmd := exec.CommandContext(t.Context(), program, "--recursive", "--format=compact", "--config="+filepath.Join(dir, ".tflint.hcl"))
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, strings.TrimSpace(string(out)))
	}
}

func missing(t *testing.T, say string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal(say)
	}
	t.Skip(say)
}
