package aws

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"github.com/elasticintel/elasticintel/internal/config"
)

const (
	// secretFor is how long a secret is kept, and secretPause how long one that
	// is not there, or cannot be had, is not asked for again.
	secretFor   = 5 * time.Minute
	secretPause = 30 * time.Second
	// secretWait is how long a secret may take.
	secretWait = 20 * time.Second
	// Unset is what a parameter holds that was made before anybody had a secret to
	// put there: Terraform makes them so. It counts as no secret.
	Unset = "unset"
)

// SecretOptions say where secrets lie.
type SecretOptions struct {
	URL        string                           // ssm:/PREFIX/: the parameters' names are PREFIX and the secrets' names
	Region     string                           // of the parameters; "" for what every tool of AWS finds
	Check      func(name string) error          // why a secret cannot have this name, or nil; required
	Variable   func(name string) (string, bool) // wins over a parameter; nil where there are none
	Failed     func(name string, err error)     // is told why a secret cannot be had; never its text; may be nil
	Now        func() time.Time                 // required
	MaxBackoff time.Duration                    // most between two tries; 5 s where 0
}

// Secrets are the credentials that feeds are fetched with, as SecureString
// parameters of Amazon's Systems Manager. They are read when they are needed,
// kept for minutes, and appear in no message. It is safe for concurrent use.
type Secrets struct {
	ssm    *ssm.Client
	prefix string // begins and ends with a slash
	o      SecretOptions

	mu    sync.Mutex
	known map[string]known
	down  time.Time // until then nobody is asked: there was no answer
}

type known struct {
	text  config.Secret
	there bool
	until time.Time
}

// NewSecrets opens a tree of parameters. It sends no request. Errors:
// *CredentialsError, what is wrong with the URL, no region.
func NewSecrets(ctx context.Context, o SecretOptions) (*Secrets, error) {
	prefix, ok := strings.CutPrefix(o.URL, "ssm:")
	prefix = strings.TrimSuffix(prefix, "/")
	bad := strings.Trim(prefix, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-/") != ""
	if !ok || bad || len(prefix) < 2 || prefix[0] != '/' || strings.Contains(prefix, "//") || strings.HasPrefix(strings.ToLower(prefix), "/aws") || strings.HasPrefix(strings.ToLower(prefix), "/ssm") {
		return nil, fmt.Errorf("secrets %q: want ssm:/PREFIX/, with letters, digits and _.-/ that do not begin with aws or ssm", o.URL)
	}
	cfg, err := load(ctx, o.Region, o.MaxBackoff)
	if err != nil {
		return nil, err
	}
	return &Secrets{ssm: ssm.NewFromConfig(cfg), prefix: prefix + "/", o: o, known: map[string]known{}}, nil
}

// Get returns a secret's text, or false where there is none, or where it cannot
// be had, which Failed is told.
func (s *Secrets) Get(ctx context.Context, name string) (string, bool) {
	if s.o.Variable != nil {
		if text, ok := s.o.Variable(name); ok {
			return text, true
		}
	}
	if s.o.Check(name) != nil {
		return "", false
	}
	s.mu.Lock()
	defer s.mu.Unlock() // one question at a time: the second finds the answer
	now := s.o.Now()
	old := s.known[name]
	if now.Before(old.until) || now.Before(s.down) {
		return old.text.Reveal(), old.there
	}
	next, err := s.ask(ctx, name)
	switch {
	case ctx.Err() != nil: // who asked has gone; that says nothing of the secret
		return old.text.Reveal(), old.there
	case err != nil:
		old.until = now.Add(secretPause) // what was known serves until there is an answer
		s.known[name] = old
		if s.o.Failed != nil {
			s.o.Failed(name, err)
		}
		return old.text.Reveal(), old.there
	}
	next.until = now.Add(secretFor)
	if !next.there {
		next.until = now.Add(secretPause)
	}
	s.known[name] = next
	return next.text.Reveal(), next.there
}

// String names the tree and no secret, however it is printed.
func (s *Secrets) String() string { return "secrets ssm:" + s.prefix }

// GoString is String.
func (s *Secrets) GoString() string { return s.String() }

// Getter is Get for who has no context to give.
func (s *Secrets) Getter(ctx context.Context) func(name string) (string, bool) {
	return func(name string) (string, bool) { return s.Get(ctx, name) }
}

// ask reads a parameter. s.mu is held.
func (s *Secrets) ask(ctx context.Context, name string) (known, error) {
	wait, cancel := context.WithTimeout(ctx, secretWait)
	defer cancel()
	out, err := s.ssm.GetParameter(wait, &ssm.GetParameterInput{Name: sdk.String(s.prefix + name), WithDecryption: sdk.Bool(true)})
	if errors.As(err, new(*types.ParameterNotFound)) {
		return known{}, nil
	} else if err != nil {
		if status, _ := answer(err); ctx.Err() == nil && (status < http.StatusBadRequest || status >= http.StatusInternalServerError) {
			s.down = s.o.Now().Add(secretPause) // one wait for an answer is enough for all
		}
		return known{}, s.failed("ssm:GetParameter and kms:Decrypt", name, err)
	}
	text := strings.TrimSpace(sdk.ToString(out.Parameter.Value))
	if text == "" || text == Unset {
		return known{}, nil
	}
	return known{text: config.Secret(text), there: true}, nil
}

// Set keeps a secret, encrypted with the account's key for parameters.
func (s *Secrets) Set(ctx context.Context, name string, value config.Secret) error {
	if err := s.o.Check(name); err != nil {
		return err
	}
	text := strings.TrimSpace(value.Reveal())
	if text == "" || text == Unset || strings.ContainsAny(text, "\r\n\x00") {
		return fmt.Errorf("secret %s: want one line that is not empty, and not the word unset", name)
	}
	_, err := s.ssm.PutParameter(ctx, &ssm.PutParameterInput{
		Name: sdk.String(s.prefix + name), Value: &text, Type: types.ParameterTypeSecureString, Overwrite: sdk.Bool(true),
	})
	if err != nil {
		return s.failed("ssm:PutParameter", name, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.known, name)
	return nil
}

// Names lists the secrets that there are parameters for, in order; one that is unset
// is among them. It reads no text of theirs.
func (s *Secrets) Names(ctx context.Context) ([]string, error) {
	var names []string
	pages := ssm.NewGetParametersByPathPaginator(s.ssm, &ssm.GetParametersByPathInput{Path: &s.prefix, WithDecryption: sdk.Bool(false)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, s.failed("ssm:GetParametersByPath", "", err)
		}
		for _, p := range page.Parameters {
			name := strings.TrimPrefix(sdk.ToString(p.Name), s.prefix)
			if p.Type == types.ParameterTypeSecureString && s.o.Check(name) == nil {
				names = append(names, name)
			}
		}
	}
	slices.Sort(names)
	return names, nil
}

func (s *Secrets) failed(permission, name string, err error) error {
	status, code := answer(err)
	return fmt.Errorf("secret ssm:%s%s: %w", s.prefix, name, refused(err, status, code, permission, "arn:aws:ssm:*:*:parameter"+s.prefix+"*"))
}
