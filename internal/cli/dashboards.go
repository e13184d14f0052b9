package cli

import (
	"github.com/spf13/cobra"

	"github.com/elasticintel/elasticintel/internal/opensearch/dashboards"
)

func (p *program) dashboardsCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use: "dashboards", Short: "Print dashboards for OpenSearch Dashboards 2.19 and 3.x, as a file to import",
		Long: `Prints saved objects: dashboards with their visualisations and searches, over the index that this program fills.
Import them in Dashboards under Management, Saved objects, or with curl; what was imported before is replaced:
  curl -u admin -H 'osd-xsrf: true' -H 'securitytenant: global' -F file=@dashboards.ndjson 'http://127.0.0.1:5601/api/saved_objects/_import?overwrite=true'`,
		Example: "  elasticintel dashboards > dashboards.ndjson\n  elasticintel dashboards --opensearch-index soc-listings > dashboards.ndjson",
		Args:    args(0, 0, "nothing"),
		RunE:    func(*cobra.Command, []string) error { return dashboards.Write(p.out.w, p.cfg.OpenSearch.Index) },
	}
	p.cfg.Bind(cmd.Flags(), "opensearch-index")
	return cmd
}
