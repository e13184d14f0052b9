package local

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/elasticintel/elasticintel/internal/config"
)

// Secrets are the credentials that feeds are fetched with. Each is a file of
// mode 0600 in a folder beside the data; a variable EI_SECRET_<NAME> wins.
type Secrets struct {
	dir string                   // "" = no folder
	env map[string]config.Secret // by NAME as in the variable
}

// NewSecrets reads from the folder root/secrets, which need not exist (root ""
// = variables only), and from env.
func NewSecrets(root string, env map[string]config.Secret) *Secrets {
	s := &Secrets{env: env}
	if root != "" {
		s.dir = filepath.Join(root, secretsDir)
	}
	return s
}

const secretsDir = "secrets"

var secretName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_]{0,63}$`)

// CheckSecretName says why a secret cannot have this name, or nil.
func CheckSecretName(name string) error {
	if !secretName.MatchString(name) {
		return fmt.Errorf("secret name %q: want letters, digits and _, a letter first, at most 64", name)
	}
	return nil
}

// SecretVar returns the variable that holds a secret: "abuse_ch" → "EI_SECRET_ABUSE_CH".
func SecretVar(name string) string { return config.Var("SECRET_" + name) }

// Get returns a secret's text, or false where there is none.
func (s *Secrets) Get(name string) (string, bool) {
	if v, ok := s.env[strings.TrimPrefix(SecretVar(name), "EI_SECRET_")]; ok {
		return v.Reveal(), true
	}
	if s.dir == "" || CheckSecretName(name) != nil {
		return "", false
	}
	b, err := os.ReadFile(filepath.Join(s.dir, name))
	if v := strings.TrimSpace(string(b)); err == nil && v != "" {
		return v, true
	}
	return "", false
}

// Set keeps a secret in its file, whole or not at all.
func (s *Secrets) Set(name string, value config.Secret) error {
	if err := CheckSecretName(name); err != nil {
		return err
	}
	text := strings.TrimSpace(value.Reveal())
	if text == "" || strings.ContainsAny(text, "\r\n\x00") {
		return fmt.Errorf("secret %s: want one line that is not empty", name)
	}
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(s.dir, ".new-*") // made with mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.WriteString(text + "\n")
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("secret %s: %w", name, err)
	}
	return os.Rename(f.Name(), filepath.Join(s.dir, name))
}

// Names lists the secrets kept in files, in order.
func (s *Secrets) Names() ([]string, error) {
	if s.dir == "" {
		return nil, nil
	}
	es, err := os.ReadDir(s.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var names []string
	for _, e := range es {
		if e.Type().IsRegular() && CheckSecretName(e.Name()) == nil {
			names = append(names, e.Name())
		}
	}
	slices.Sort(names)
	return names, err
}

// Exposed lists the files that others on the machine may read or change.
func (s *Secrets) Exposed() ([]string, error) {
	names, err := s.Names()
	var bad []string
	for _, n := range names {
		p := filepath.Join(s.dir, n)
		if st, e := os.Stat(p); e == nil && exposed(st.Mode()) {
			bad = append(bad, p)
		}
	}
	return bad, err
}
