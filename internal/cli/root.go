package cli

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/elasticintel/elasticintel/internal/near"
)

type flagSet = *pflag.FlagSet

// root builds the tree of commands.
func (p *program) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "elasticintel",
		Short: "Threat intelligence from open feeds: is this value known bad, who says so, since when, how sure",
		Long: `ElasticIntel pulls open threat-intelligence feeds, keeps what they say with its history, and answers:
is this IP, domain, URL, email or hash known bad, who says so, since when, and how sure are we?

Data goes to stdout and talk to stderr. Every flag can be set by a variable (--data: EI_DATA), the lasting ones
also in a JSON file (--config). Exit codes: 0 done or nothing found, 1 something is listed, 2 wrong usage,
3 invalid configuration, 4 no data or not reachable, 5 some of it failed, 130 interrupted.`,
		Example: `  elasticintel serve                                  # pull feeds and answer on http://127.0.0.1:7331
  elasticintel lookup 'hxxp://bad[.]example/x' 192.0.2.1
  elasticintel lookup -o ndjson - < values.txt
  elasticintel search 'phishing kind:domain last_seen:<7d'
  elasticintel feeds status`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          p.noSuchCommand,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			if err := p.setUp(cmd.Flags()); err != nil {
				return err
			}
			return p.checkPlace(cmd)
		},
	}
	g := root.PersistentFlags()
	p.cfg.Bind(g, "data", "cache", "feeds", "output", "quiet", "log-level")
	g.StringVar(&p.configFile, "config", "", "JSON file with settings (keys as the flags, with _ for -)")
	g.BoolVar(&p.json, "json", false, "short for -o json")
	g.SortFlags = false
	root.SetFlagErrorFunc(flagError)
	root.SetHelpCommand(helpCommand(root))
	root.SetHelpCommandGroupID("keep")
	root.CompletionOptions.DisableDefaultCmd = true
	_ = root.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{"table", "json", "ndjson", "csv"}, cobra.ShellCompDirectiveNoFileComp))
	root.AddGroup(&cobra.Group{ID: "use", Title: "Use:"}, &cobra.Group{ID: "feeds", Title: "Feeds:"}, &cobra.Group{ID: "keep", Title: "Operate:"}, &cobra.Group{ID: "aws", Title: "AWS:"})
	add := func(group string, cs ...*cobra.Command) {
		for _, c := range cs {
			c.GroupID = group
			root.AddCommand(c)
		}
	}
	add("use", p.serveCmd(), p.lookupCmd(), p.searchCmd(), p.explainCmd(), p.changesCmd(), p.enrichCmd(), p.statsCmd())
	add("feeds", p.ingestCmd(), p.feedsCmd())
	add("keep", p.keysCmd(), p.doctorCmd(), p.verifyCmd(), p.reindexCmd(), p.migrateCmd(), p.backupCmd(), p.restoreCmd(), p.dashboardsCmd(), p.versionCmd(), p.completionCmd())
	add("aws", p.deployCmd(), p.destroyCmd(), p.awsCmd())
	return root
}

// noSuchCommand refuses what is no command, naming the nearest one.
func (p *program) noSuchCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	var names []string
	for _, c := range cmd.Commands() {
		if c.IsAvailableCommand() {
			names = append(names, c.Name())
		}
	}
	hint := "See `" + cmd.CommandPath() + " --help`."
	if n := near.Name(args[0], names); n != "" {
		hint = fmt.Sprintf("Did you mean `%s %s`?", cmd.CommandPath(), n)
	}
	return usageError(hint, "unknown command %q", strings.TrimPrefix(cmd.CommandPath()+" "+args[0], "elasticintel "))
}

// group makes a command that only holds others.
func (p *program) group(use, short, example string, cs ...*cobra.Command) *cobra.Command {
	g := &cobra.Command{
		Use: use, Short: short, Example: example, Args: p.noSuchCommand,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return usageError("See `"+cmd.CommandPath()+" --help`.", "%s: which command?", cmd.Name())
		},
	}
	g.AddCommand(cs...)
	return g
}

// flagError names the flag that was probably meant.
func flagError(cmd *cobra.Command, err error) error {
	var missing *pflag.NotExistError
	if errors.As(err, &missing) && len(missing.GetSpecifiedName()) > 1 {
		var names []string
		cmd.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
		cmd.InheritedFlags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
		if n := near.Name(missing.GetSpecifiedName(), names); n != "" {
			return usageError(fmt.Sprintf("Did you mean --%s?", n), "unknown flag --%s", missing.GetSpecifiedName())
		}
	}
	return usageError("", "%w", err)
}

// explainUsage turns cobra's own complaints (wrong number of arguments and the
// like), which carry no type, into usage errors.
func explainUsage(cmd *cobra.Command, err error) error {
	var f *failure
	if errors.As(err, &f) || !slices.ContainsFunc([]string{"accepts ", "requires at least", "requires exactly", "required flag", "unknown command", "if any flags in the group"},
		func(s string) bool { return strings.HasPrefix(err.Error(), s) }) {
		return err
	}
	return usageError(fmt.Sprintf("Usage: %s", cmd.UseLine()), "%w", err)
}

func helpCommand(root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use: "help [COMMAND]", Short: "Show the help of a command",
		RunE: func(_ *cobra.Command, args []string) error {
			cmd, rest, err := root.Find(args)
			if err != nil || len(rest) > 0 {
				return usageError("See `elasticintel --help`.", "no help for %q", strings.Join(args, " "))
			}
			return cmd.Help()
		},
	}
}

// args checks the number of arguments; max < 0 means any number.
func args(min, max int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) < min:
			return usageError("Usage: "+cmd.UseLine(), "%s: give %s", cmd.Name(), what)
		case max >= 0 && len(args) > max:
			return usageError("Usage: "+cmd.UseLine(), "%s: %q is one argument too many", cmd.Name(), args[max])
		}
		return nil
	}
}

func lookEnv(environ []string, name string) string {
	for _, line := range environ {
		if v, ok := strings.CutPrefix(line, name+"="); ok {
			return v
		}
	}
	return ""
}
