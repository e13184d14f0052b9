package cli

import (
	"strings"

	"github.com/spf13/cobra"

	elasticintel "github.com/elasticintel/elasticintel"
	"github.com/elasticintel/elasticintel/internal/local"
)

func (p *program) completionCmd() *cobra.Command {
	return &cobra.Command{
		Use: "completion bash|zsh|fish|powershell", Short: "Print the script that completes commands, flags and feed ids in your shell",
		Example: `  source <(elasticintel completion bash)                                  # this shell only
  elasticintel completion zsh > "${fpath[1]}/_elasticintel"
  elasticintel completion fish > ~/.config/fish/completions/elasticintel.fish`,
		Args:      args(1, 1, "a shell: bash, zsh, fish or powershell"),
		ValidArgs: []string{"bash", "zsh", "fish", "powershell"},
		RunE: func(cmd *cobra.Command, a []string) error {
			switch root := cmd.Root(); a[0] {
			case "bash":
				return root.GenBashCompletionV2(p.out.w, true)
			case "zsh":
				return root.GenZshCompletion(p.out.w)
			case "fish":
				return root.GenFishCompletion(p.out.w, true)
			case "powershell":
				return root.GenPowerShellCompletionWithDesc(p.out.w)
			}
			return usageError("Usage: "+cmd.UseLine(), "completion: unknown shell %q", a[0])
		},
	}
}

// completeFeeds completes feed ids.
func (p *program) completeFeeds(cmd *cobra.Command, done []string, start string) ([]string, cobra.ShellCompDirective) {
	if err := p.setUp(cmd.Flags()); err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	c, _ := local.OpenCatalogue(p.cfg.Feeds, elasticintel.FeedsFS())
	if c == nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var ids []string
	for _, d := range c.Current().All() {
		if strings.HasPrefix(d.ID, start) {
			ids = append(ids, d.ID+"\t"+d.Name)
		}
	}
	return ids, cobra.ShellCompDirectiveNoFileComp
}
