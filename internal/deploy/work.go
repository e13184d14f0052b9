package deploy

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

var envShape = regexp.MustCompile(`^[a-z][a-z0-9-]{0,15}$`)

// CheckEnv says whether name can name an environment: it becomes part of the
// names of buckets and roles.
func CheckEnv(name string) error {
	if !envShape.MatchString(name) || strings.HasSuffix(name, "-") || strings.Contains(name, "--") {
		return fmt.Errorf("environment %q: use 1 to 16 of a-z, 0-9 and -, a letter first, no - at the end and no two of them together", name)
	}
	return nil
}

// Work is the folder of an environment on this machine. Losing it loses nothing:
// Terraform's state lies in the state bucket.
type Work struct{ Dir string }

// OpenWork makes the folder of an environment below dir, readable for its owner
// alone, since plans may hold secrets. The name is the account's, the region's
// and the environment's, so that no state is ever taken for another's.
func OpenWork(dir, name string) (*Work, error) {
	abs, err := filepath.Abs(filepath.Join(dir, name))
	if err == nil {
		err = os.MkdirAll(filepath.Join(abs, "terraform"), 0o700)
	}
	if err != nil {
		return nil, fmt.Errorf("work folder: %w; name another one with --work DIR", err)
	}
	return &Work{Dir: abs}, nil
}

// Terraform is where the configuration is.
func (w *Work) Terraform() string { return filepath.Join(w.Dir, "terraform") }

// Mark remembers that something is still to be done.
func (w *Work) Mark(name string) error { return WriteFile(filepath.Join(w.Dir, name), nil) }

// Has is whether something is still to be done.
func (w *Work) Has(name string) bool {
	_, err := os.Stat(filepath.Join(w.Dir, name))
	return err == nil
}

// Unmark forgets what Mark remembered.
func (w *Work) Unmark(name string) error {
	err := os.Remove(filepath.Join(w.Dir, name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// Write writes the configuration. Files that a version before had and this one
// has not are removed; what Terraform keeps there itself (.terraform, its lock
// file) stays.
func (w *Work) Write(files fs.FS) error {
	have := map[string]bool{}
	err := fs.WalkDir(files, ".", func(p string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		data, err := fs.ReadFile(files, p)
		if err != nil {
			return err
		}
		have[filepath.FromSlash(p)] = true
		return WriteFile(filepath.Join(w.Terraform(), filepath.FromSlash(p)), data)
	})
	if err != nil {
		return fmt.Errorf("writing the Terraform files: %w", err)
	}
	return w.removeOld(have)
}

func (w *Work) removeOld(have map[string]bool) error {
	root := w.Terraform()
	err := filepath.WalkDir(root, func(p string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case p != root && strings.HasPrefix(e.Name(), ".") && e.IsDir():
			return fs.SkipDir
		case e.IsDir() || strings.HasPrefix(e.Name(), "."):
			return nil
		}
		if rel, err := filepath.Rel(root, p); err != nil || have[rel] || !isConfiguration(rel) {
			return err
		}
		return os.Remove(p)
	})
	if err != nil {
		return fmt.Errorf("removing old Terraform files: %w", err)
	}
	return nil
}

// isConfiguration is whether Terraform would read the file as part of ours.
func isConfiguration(name string) bool {
	return strings.HasSuffix(name, ".tf") || strings.HasSuffix(name, ".tf.json") || strings.HasSuffix(name, ".tfvars.json")
}

// WriteFile writes data unless the file has it already, so that times stay, and
// never leaves half a file.
func WriteFile(file string, data []byte) error {
	if old, err := os.ReadFile(file); err == nil && bytes.Equal(old, data) {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return err
	}
	tmp, err := os.CreateTemp(filepath.Dir(file), ".tmp-")
	if err != nil {
		return err
	}
	_, err = tmp.Write(data)
	if err = errors.Join(err, tmp.Close()); err == nil {
		err = os.Rename(tmp.Name(), file)
	}
	if err != nil {
		_ = os.Remove(tmp.Name())
	}
	return err
}

// DefaultWork is the folder of environments: elasticintel/deploy in XDG_STATE_HOME or in
// ~/.local/state. environ is NAME=VALUE.
func DefaultWork(environ []string) (string, error) {
	for _, from := range []struct{ name, below string }{{"XDG_STATE_HOME", ""}, {"HOME", ".local/state"}, {"USERPROFILE", ".local/state"}} {
		if v := getenv(environ, from.name); filepath.IsAbs(v) {
			return filepath.Join(v, filepath.FromSlash(from.below), "elasticintel", "deploy"), nil
		}
	}
	return "", errors.New("work folder: neither XDG_STATE_HOME nor HOME is set; name one with --work DIR")
}

func getenv(environ []string, name string) string {
	value := ""
	for _, line := range environ {
		if v, ok := strings.CutPrefix(line, name+"="); ok {
			value = v
		}
	}
	return value
}
