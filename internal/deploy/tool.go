package deploy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// Oldest is the first version of Terraform and of OpenTofu that will do: it has
// locks in the state bucket itself (use_lockfile).
const Oldest = "1.11.0"

// ErrNoTool is that neither Terraform nor OpenTofu is there.
var ErrNoTool = errors.New("neither terraform nor tofu is in PATH")

// Tool is a Terraform or an OpenTofu.
type Tool struct {
	Path    string
	Name    string // terraform or tofu
	Version string
	environ []string
}

// FindTool looks for terraform, then tofu, in PATH and takes the first that is
// not too old. environ is NAME=VALUE.
func FindTool(ctx context.Context, environ []string) (*Tool, error) {
	var old error
	for _, name := range []string{"terraform", "tofu"} {
		path, err := lookPath(name, getenv(environ, "PATH"))
		if err != nil {
			continue
		}
		t := &Tool{Path: path, Name: name, environ: environ}
		if t.Version, err = t.askVersion(ctx); err != nil {
			return nil, err
		}
		if atLeast(t.Version, Oldest) {
			return t, nil
		}
		old = errors.Join(old, fmt.Errorf("%s is version %s, and %s or newer is needed", path, t.Version, Oldest))
	}
	const where = "install Terraform (https://developer.hashicorp.com/terraform/install) or OpenTofu (https://opentofu.org/docs/intro/install)"
	if old != nil {
		return nil, fmt.Errorf("%w: %s", old, where)
	}
	return nil, fmt.Errorf("%w: %s, %s or newer", ErrNoTool, where, Oldest)
}

// lookPath is exec.LookPath over a PATH of our own.
func lookPath(name, path string) (string, error) {
	for _, dir := range filepath.SplitList(path) {
		if !filepath.IsAbs(dir) {
			continue
		}
		if p, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
			return p, nil
		}
	}
	return "", exec.ErrNotFound
}

func (t *Tool) askVersion(ctx context.Context) (string, error) {
	cmd := exec.CommandContext(ctx, t.Path, "version", "-json")
	cmd.Env = setenv(without(t.environ, "TF_CLI_CONFIG_FILE"), "CHECKPOINT_DISABLE=1")
	out, err := cmd.Output()
	var said struct {
		Version string `json:"terraform_version"` // OpenTofu says so too
	}
	if err == nil {
		err = json.Unmarshal(out, &said)
	}
	if err != nil {
		return "", fmt.Errorf("%s version: %w", t.Path, err)
	}
	return said.Version, nil
}

// atLeast compares MAJOR.MINOR.PATCH; what follows a - counts as that version.
func atLeast(have, want string) bool {
	a, b := numbers(have), numbers(want)
	for i := range a {
		if a[i] != b[i] {
			return a[i] > b[i]
		}
	}
	return true
}

func numbers(v string) (n [3]int) {
	v, _, _ = strings.Cut(v, "-")
	for i, part := range strings.SplitN(v, ".", 3) {
		n[i], _ = strconv.Atoi(part)
	}
	return n
}

// Prepare writes what the tool needs to find providers into dir, and says where
// they come from. The order: EI_TF_MIRROR, a CLI configuration of the user's that
// can be read, folders where Terraform looks by itself, the network.
func (t *Tool) Prepare(dir string) (from string, err error) {
	named, own := getenv(t.environ, "EI_TF_MIRROR"), getenv(t.environ, "TF_CLI_CONFIG_FILE")
	if own != "" && named == "" {
		if f, err := os.Open(own); err == nil {
			return "as " + own + " says", f.Close()
		}
	}
	t.environ = without(t.environ, "TF_CLI_CONFIG_FILE") // one that is not there is warned of at every command
	mirror := ""
	for _, d := range mirrors(named, getenv(t.environ, "HOME")) {
		if found, _ := filepath.Glob(filepath.Join(d, "registry.terraform.io", "hashicorp", "aws", "*")); len(found) > 0 {
			mirror = d
			break
		}
	}
	switch {
	case mirror == "" && named != "":
		return "", fmt.Errorf("EI_TF_MIRROR=%s: there is no registry.terraform.io/hashicorp/aws in it", named)
	case mirror == "" || t.Name == "tofu":
		return "from the network", nil
	}
	file := filepath.Join(dir, "cli.tfrc")
	if err := WriteFile(file, []byte(mirrorConfig(mirror))); err != nil {
		return "", fmt.Errorf("CLI configuration: %w", err)
	}
	t.environ = setenv(t.environ, "TF_CLI_CONFIG_FILE="+file)
	return "from " + mirror, nil
}

func mirrors(named, home string) []string {
	if named != "" {
		return []string{named}
	}
	dirs := []string{filepath.Join(home, ".terraform.d", "plugins"), "/usr/local/share/terraform/plugins", "/usr/share/terraform/plugins"}
	more, _ := filepath.Glob("/opt/*/registry.terraform.io")
	for _, m := range more {
		dirs = append(dirs, filepath.Dir(m))
	}
	return dirs
}

func mirrorConfig(dir string) string {
	return fmt.Sprintf(`disable_checkpoint = true
provider_installation {
  filesystem_mirror {
    path    = %q
    include = ["registry.terraform.io/hashicorp/aws"]
  }
  direct {
    exclude = ["registry.terraform.io/hashicorp/aws"]
  }
}
`, dir)
}

// without leaves a variable out.
func without(environ []string, name string) []string {
	var out []string
	for _, line := range environ {
		if !strings.HasPrefix(line, name+"=") {
			out = append(out, line)
		}
	}
	return out
}

// setenv sets NAME=VALUE lines.
func setenv(environ []string, lines ...string) []string {
	for _, line := range lines {
		name, _, _ := strings.Cut(line, "=")
		environ = append(without(environ, name), line)
	}
	return environ
}
