package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/elasticintel/elasticintel/internal/config"
	"github.com/elasticintel/elasticintel/internal/enrich"
	"github.com/elasticintel/elasticintel/internal/intel"
)

func (p *program) enrichCmd() *cobra.Command {
	var file, name string
	budget := 500
	cmd := &cobra.Command{
		Use: "enrich [INDICATOR…] | --parse FILE", Short: "Ask registries about what feeds list, or about indicators, or read an answer of theirs",
		Long: `Asks registries, by RDAP, else by whois, each server at its rate, who has the networks and domains of what feeds list: first about the newest
of which nobody was asked, then about what was asked long ago. One answer about an address is one for its whole network. --budget says how many
questions are put. What they say is kept, and shown in answers; what was found before Ctrl-C too. A server does the same every three minutes.

With INDICATORs (addresses, networks, domains, URLs, AS numbers): asks about these now, and prints what is said. It is kept where there is a data
folder. --enrich-reverse and --enrich-lookup ask others about addresses besides.

With --parse: reads an answer that a registry gave about a domain, a network or an autonomous system: the JSON of RDAP, or the text of whois.
Asks nobody anything and needs no data folder. Times are in UTC; what the answer does not say is empty (null for times in JSON).
Names and addresses of persons are left out.

Exit code: 2 where an INDICATOR, the file or --name cannot be used, 4 where no registry said anything of use, or the saved answer holds no
record: nobody has the domain, the server refused, or it is about something else. stderr says which.`,
		Example: "  elasticintel enrich --budget 1000\n  elasticintel enrich 192.0.2.1 example.com -o json\n  whois example.com > answer.txt; elasticintel enrich --parse answer.txt\n  elasticintel enrich --parse - --name example.com -o json < answer.txt",
		RunE: func(cmd *cobra.Command, a []string) error {
			if file == "" && len(a) == 0 {
				return p.enrichListed(cmd.Context(), budget)
			}
			if file == "" {
				return p.askRegistries(cmd.Context(), a)
			}
			if len(a) > 0 {
				return usageError("Usage: "+cmd.UseLine(), "enrich: %q is one argument too many", a[0])
			}
			return p.parseAnswer(file, name)
		},
	}
	cmd.Flags().StringVar(&file, "parse", "", "file with an answer of whois or RDAP; - is stdin")
	cmd.Flags().StringVar(&name, "name", "", "the domain that was asked for, with --parse")
	cmd.Flags().IntVar(&budget, "budget", budget, "how many questions are put to registries, at most")
	p.cfg.Bind(cmd.Flags(), config.EnrichFlags()...)
	return cmd
}

func (p *program) parseAnswer(file, name string) error {
	if name != "" {
		if _, err := intel.Parse(name, intel.Domain.Set()); err != nil {
			return usageError("", "--name: %w", err)
		}
	}
	answer, err := p.readAnswer(file)
	if err != nil {
		return pathError("--parse", err)
	}
	rec, err := enrich.Parse(answer, name)
	if err != nil {
		hint := ""
		if errors.Is(err, enrich.ErrNoRecord) {
			hint = "Give the answer as the server sent it. docs/operations.md says what is read."
		}
		return &failure{exitUnreachable, fmt.Errorf("%s: %w", file, err), hint}
	}
	if rec.Network != nil {
		return printOne(p.out, rec.Network, networkColumns())
	}
	return printOne(p.out, rec.Domain, domainColumns())
}

// readAnswer reads one byte more than an answer may have, so that a larger one is noticed.
func (p *program) readAnswer(file string) ([]byte, error) {
	r := p.env.In
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		r = f
	}
	return io.ReadAll(io.LimitReader(r, enrich.MaxAnswer+1))
}

func domainColumns() []column[enrich.Domain] {
	return []column[enrich.Domain]{
		{name: "domain_name", text: func(d *enrich.Domain) string { return d.Name }, cell: func(d *enrich.Domain) string { return intel.Defang(d.Name) }},
		{name: "registrar", text: func(d *enrich.Domain) string { return d.Registrar }},
		{name: "created", text: func(d *enrich.Domain) string { return string(d.Created) }},
		{name: "updated", text: func(d *enrich.Domain) string { return string(d.Updated) }},
		{name: "expires", text: func(d *enrich.Domain) string { return string(d.Expires) }},
		{name: "name_servers", text: func(d *enrich.Domain) string { return strings.Join(d.NameServers, " ") }},
		{name: "status", text: func(d *enrich.Domain) string { return strings.Join(d.Status, ", ") }},
	}
}

func networkColumns() []column[enrich.Network] {
	return []column[enrich.Network]{
		{name: "cidr", text: func(n *enrich.Network) string { return strings.Join(n.CIDR, " ") }},
		{name: "name", text: func(n *enrich.Network) string { return n.Name }},
		{name: "org", text: func(n *enrich.Network) string { return n.Org }},
		{name: "country", text: func(n *enrich.Network) string { return n.Country }},
		{name: "registry", text: func(n *enrich.Network) string { return n.Registry }},
		{name: "abuse", text: func(n *enrich.Network) string { return n.Abuse }},
		{name: "asn", right: true, text: func(n *enrich.Network) string { return strconv.FormatUint(uint64(n.ASN), 10) }},
		{name: "allocated", text: func(n *enrich.Network) string { return string(n.Allocated) }},
	}
}
