package cli

import (
	"context"
	"errors"
	"strings"

	"github.com/spf13/cobra"

	"github.com/elasticintel/elasticintel/internal/auth"
	"github.com/elasticintel/elasticintel/internal/local"
	"github.com/elasticintel/elasticintel/internal/near"
)

func (p *program) keysCmd() *cobra.Command {
	return p.group("keys", "Make, list and revoke API keys",
		"  elasticintel keys create splunk --role reader\n  elasticintel keys list\n  elasticintel keys revoke 1f9a02b7",
		p.keysCreateCmd(), p.keysListCmd(), p.keysRevokeCmd())
}

// newKey is what `keys create` prints: the only time that the key is seen.
type newKey struct {
	Plain string `json:"key"`
	auth.Key
}

func (p *program) keysCreateCmd() *cobra.Command {
	role := string(auth.Reader)
	cmd := &cobra.Command{
		Use: "create NAME", Short: "Make a key and print it, once",
		Long: `Makes an API key and prints it on stdout. It cannot be shown again: only its hash is kept. From the first key on the
server wants one from everybody. Roles: reader looks up, editor also starts runs, admin may do everything.`,
		Example: "  elasticintel keys create splunk\n  elasticintel keys create ops --role admin --json",
		Args:    args(1, 1, "a name that says what the key is for"),
		RunE: func(cmd *cobra.Command, a []string) error {
			r, err := auth.ParseRole(role)
			if err != nil {
				return usageError(roleHint(role), "--role: %w", err)
			}
			f, err := p.openData(cmd.Context(), true)
			if err != nil {
				return err
			}
			plain, k, err := auth.New(f.Store, p.now).Create(cmd.Context(), a[0], r)
			if errors.Is(err, auth.ErrBadName) {
				return usageError("", "%w", err)
			} else if err != nil {
				return err
			}
			if err := errors.Join(p.printNewKey(&newKey{plain, k}), p.out.flush()); err != nil {
				return err
			}
			p.talk.say("Key %s (%s, %s). Keep it: it is not shown again. Send it as `Authorization: Bearer KEY`.", k.ID, k.Name, k.Role)
			return nil
		},
	}
	cmd.Flags().StringVar(&role, "role", role, "what the key may do: reader, editor or admin")
	_ = cmd.RegisterFlagCompletionFunc("role", cobra.FixedCompletions([]string{"reader", "editor", "admin"}, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

// printNewKey prints the key alone for people and shell variables, all of it otherwise.
func (p *program) printNewKey(k *newKey) error {
	if p.out.format == "table" {
		_, err := p.out.w.WriteString(k.Plain + "\n")
		return err
	}
	plain := column[newKey]{name: "key", text: func(k *newKey) string { return k.Plain }}
	return printOne(p.out, k, append([]column[newKey]{plain}, keyColumns(func(k *newKey) *auth.Key { return &k.Key })...))
}

func roleHint(role string) string {
	var names []string
	for _, r := range auth.Roles() {
		names = append(names, string(r))
	}
	if n := near.Name(role, names); n != "" {
		return "Did you mean " + n + "?"
	}
	return "The roles are " + strings.Join(names, ", ") + "."
}

func (p *program) keysListCmd() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the keys that were made, never their secrets",
		Example: "  elasticintel keys list\n  elasticintel keys list --json",
		Args:    args(0, 0, "nothing"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			keys, err := p.readKeys(cmd.Context())
			if err != nil {
				return err
			}
			if len(keys) == 0 {
				p.talk.say("No keys yet: the server answers this machine only. `elasticintel keys create NAME` makes one.")
			}
			return printList(p.out, keys, keyColumns(func(k *auth.Key) *auth.Key { return k }))
		},
	}
}

// readKeys lists the keys; there are none where there is no data folder.
func (p *program) readKeys(ctx context.Context) ([]auth.Key, error) {
	store, err := p.openStore(ctx)
	if errors.Is(err, local.ErrNoData) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	return auth.New(store, p.now).List(ctx)
}

func (p *program) keysRevokeCmd() *cobra.Command {
	return &cobra.Command{
		Use: "revoke ID…", Short: "Make keys useless, at once and for ever",
		Example: "  elasticintel keys revoke 1f9a02b7",
		Args:    args(1, -1, "the ids of keys, as `keys list` shows them"),
		RunE: func(cmd *cobra.Command, ids []string) error {
			store, err := p.openStore(cmd.Context())
			if err != nil {
				return err
			}
			keys := auth.New(store, p.now)
			for _, id := range ids {
				if err := keys.Revoke(cmd.Context(), id); errors.Is(err, auth.ErrUnknownID) {
					return usageError("See `elasticintel keys list`.", "key %q: %w", id, err)
				} else if err != nil {
					return err
				}
				p.talk.say("Key %s is revoked.", id)
			}
			return nil
		},
	}
}

// keyColumns are the columns of what holds a key.
func keyColumns[T any](key func(*T) *auth.Key) []column[T] {
	return []column[T]{
		{name: "id", text: func(t *T) string { return key(t).ID }},
		{name: "name", text: func(t *T) string { return key(t).Name }},
		{name: "role", text: func(t *T) string { return string(key(t).Role) }},
		{name: "created", text: func(t *T) string { return stamp(&key(t).Created) }},
		{name: "last_used", text: func(t *T) string { return stamp(key(t).LastUsed) }},
		{name: "revoked", text: func(t *T) string { return stamp(key(t).Revoked) }},
	}
}
