package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/elasticintel/elasticintel/internal/enrich"
	"github.com/elasticintel/elasticintel/internal/intel"
)

func (p *program) enrichCmd() *cobra.Command {
	var file, name string
	cmd := &cobra.Command{
		Use: "enrich --parse FILE", Short: "Show the registration record in a saved answer of whois or RDAP",
		Long: `Reads an answer that a registry gave about a domain, a network or an autonomous system: the JSON of RDAP, or the text of whois.
Asks nobody anything and needs no data folder. Times are in UTC; what the answer does not say is empty (null for times in JSON).
Names and addresses of persons are left out.

Exit code: 2 where the file or --name cannot be used, 4 where the answer holds no record: nobody has the domain, the server refused, or
it is about something else. stderr says which.`,
		Example: "  whois example.com > answer.txt; elasticintel enrich --parse answer.txt\n  elasticintel enrich --parse - --name example.com -o json < answer.txt",
		Args:    args(0, 0, "nothing but --parse FILE"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if file == "" {
				return usageError("Usage: elasticintel enrich --parse FILE [--name DOMAIN]", "enrich: give an answer with --parse")
			}
			return p.parseAnswer(file, name)
		},
	}
	cmd.Flags().StringVar(&file, "parse", "", "file with an answer of whois or RDAP; - is stdin")
	cmd.Flags().StringVar(&name, "name", "", "the domain that was asked for")
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
