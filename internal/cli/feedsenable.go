package cli

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/elasticintel/elasticintel/internal/config"
	"github.com/elasticintel/elasticintel/internal/feed"
	"github.com/elasticintel/elasticintel/internal/local"
)

func (p *program) feedsEnableCmd() *cobra.Command {
	var secrets []string
	cmd := &cobra.Command{
		Use: "enable FEED…", Short: "Pull feeds from now on; give the secret that one needs",
		Long: `Switches feeds on. A running server begins to pull them at once. A secret is read from a prompt, or from stdin where that
is no terminal, never from the command line; it is kept in a file of mode 0600 beside the data. A variable EI_SECRET_<NAME>
wins over it.`,
		Example: "  elasticintel feeds enable urlhaus --secret urlhaus=-\n  elasticintel feeds enable threatfox-recent --secret ABUSECH_AUTH_KEY=-",
		Args:    args(1, -1, "feeds"), ValidArgsFunction: p.completeFeeds,
		RunE: func(cmd *cobra.Command, ids []string) error { return p.enable(cmd.Context(), ids, secrets) },
	}
	cmd.Flags().StringArrayVar(&secrets, "secret", nil, "NAME=-: read the secret NAME, or that of the feed NAME, from a prompt or from stdin")
	return cmd
}

func (p *program) enable(ctx context.Context, ids, secrets []string) error {
	defs, err := p.definitions(ids)
	if err != nil {
		return err
	}
	names, err := secretNames(secrets, defs)
	if err != nil {
		return err
	}
	x, err := p.openParts(ctx, true)
	if err != nil {
		return err
	}
	in := bufio.NewReader(p.env.In)
	for _, n := range names {
		v, err := p.readSecret(n, in)
		if err != nil {
			return err
		}
		if err := x.secrets.Set(n, v); err != nil {
			return usageError("", "%w", err)
		}
		p.talk.say("Secret %s is kept in the data folder.", n)
	}
	for _, d := range defs {
		v, err := x.feeds.Enable(ctx, d.ID, who())
		if err != nil {
			return err
		}
		if v.State.Status == feed.ClassNeedsKey {
			p.talk.say("%s is enabled and waits for its key: `elasticintel feeds enable %s --secret %s=-`, or set %s.", d.ID, d.ID, d.Auth.Secret, local.SecretVar(d.Auth.Secret))
		} else {
			p.talk.say("%s is enabled.", d.ID)
		}
	}
	return nil
}

func (p *program) feedsDisableCmd() *cobra.Command {
	return &cobra.Command{
		Use: "disable FEED…", Short: "Stop pulling feeds; what they listed stays",
		Example: "  elasticintel feeds disable urlhaus",
		Args:    args(1, -1, "feeds"), ValidArgsFunction: p.completeFeeds,
		RunE: func(cmd *cobra.Command, ids []string) error {
			if _, err := p.definitions(ids); err != nil {
				return err
			}
			x, err := p.openParts(cmd.Context(), true)
			if err != nil {
				return err
			}
			for _, id := range ids {
				if _, err := x.feeds.Disable(cmd.Context(), id, who()); err != nil {
					return err
				}
				p.talk.say("%s is disabled.", id)
			}
			return nil
		},
	}
}

// definitions finds every feed named before anything is written.
func (p *program) definitions(ids []string) ([]*feed.Definition, error) {
	c, err := p.openCatalogue()
	if err != nil {
		return nil, err
	}
	var defs []*feed.Definition
	for _, id := range ids {
		d := c.Current().Get(id)
		if d == nil {
			return nil, unknownFeedID(c.Current(), id)
		}
		defs = append(defs, d)
	}
	return defs, nil
}

// secretNames reads the NAME=- of --secret. NAME is a secret of one of the feeds,
// in any case, or such a feed's id, which stands for its secret. A name that none
// of the feeds uses is a slip, and a value on the command line is refused: it would
// stand in the shell's history and in the list of processes.
func secretNames(flags []string, defs []*feed.Definition) ([]string, error) {
	var used, names []string
	for _, d := range defs {
		if d.NeedsKey() && !slices.Contains(used, d.Auth.Secret) {
			used = append(used, d.Auth.Secret)
		}
	}
	for _, f := range flags {
		name, source, _ := strings.Cut(f, "=")
		secret := secretOf(name, defs)
		if source != "-" {
			return nil, usageError(fmt.Sprintf("Give --secret %s=- and type it, or pipe it in; or set %s.", name, local.SecretVar(cmp.Or(secret, name))), "a secret never stands on the command line")
		}
		if secret == "" {
			hint := "None of these feeds needs a secret."
			if len(used) > 0 {
				hint = "The secret is called " + strings.Join(used, ", ") + "; the feed's id will do, too."
			}
			return nil, usageError(hint, "--secret: none of these feeds uses a secret %q", name)
		}
		if !slices.Contains(names, secret) {
			names = append(names, secret)
		}
	}
	return names, nil
}

// secretOf is the secret that a person means by name, "" where there is none.
func secretOf(name string, defs []*feed.Definition) string {
	for _, d := range defs {
		if d.NeedsKey() && (strings.EqualFold(name, d.Auth.Secret) || name == d.ID) {
			return d.Auth.Secret
		}
	}
	return ""
}

// readSecret asks for a secret on a terminal, else reads a line of stdin.
func (p *program) readSecret(name string, in *bufio.Reader) (config.Secret, error) {
	if f, ok := p.env.In.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		fmt.Fprintf(p.env.Err, "%s: ", name)
		b, err := term.ReadPassword(int(f.Fd()))
		fmt.Fprintln(p.env.Err)
		return config.Secret(b), err
	}
	line, err := in.ReadString('\n')
	if strings.TrimSpace(line) == "" {
		return "", usageError("Pipe it in: `printf %s \"$KEY\" | elasticintel feeds enable …`", "secret %s: nothing on stdin (%v)", name, err)
	}
	return config.Secret(line), nil
}
