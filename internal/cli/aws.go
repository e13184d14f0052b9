package cli

import "github.com/spf13/cobra"

func (p *program) awsCmd() *cobra.Command {
	return p.group("aws", "Look at an installation on AWS", "  elasticintel aws status\n  elasticintel aws logs ingest --follow")
}
