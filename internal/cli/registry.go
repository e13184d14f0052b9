package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/elasticintel/elasticintel/internal/enrich"
	"github.com/elasticintel/elasticintel/internal/enrich/registry"
	"github.com/elasticintel/elasticintel/internal/fetch"
	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/local"
)

// openRegistry makes who asks registries. Keep keeps IANA's lists of them, nil = in
// memory only.
func (p *program) openRegistry(secrets *local.Secrets, keep registry.Keeper) (*registry.Registry, error) {
	c := registry.Config{UserAgent: fetch.UserAgent(versionText()), Reverse: p.cfg.EnrichReverse, Lookups: p.cfg.EnrichLookups, Keys: map[string]string{}, Keep: keep, Now: p.now, Log: p.log}
	if file := p.cfg.EnrichEndpoints; file != "" {
		raw, err := os.ReadFile(file)
		if err != nil {
			return nil, pathError("--enrich-endpoints", err)
		}
		if c.Endpoints, err = registry.ReadEndpoints(raw); err != nil {
			return nil, configError(fmt.Errorf("%s: %w", file, err), "docs/enrichment.md lists the members.")
		}
	}
	for _, name := range registry.Secrets() {
		if key, ok := secrets.Get(name); ok {
			c.Keys[name] = key
		}
	}
	r, err := registry.New(c)
	if err != nil {
		return nil, configError(err, "Secrets are set as those of feeds are: docs/feeds.md.")
	}
	return r, nil
}

// askRegistries asks about each indicator and prints what came of it.
func (p *program) askRegistries(ctx context.Context, indicators []string) error {
	var subjects []enrich.Subject
	for _, text := range indicators {
		s, err := subjectOf(text)
		if err != nil {
			return usageError("", "%w", err)
		}
		subjects = append(subjects, s)
	}
	f, err := p.openFolder(ctx)
	if err != nil && !errors.Is(err, local.ErrNoData) {
		return err
	}
	var keep registry.Keeper
	if f != nil {
		keep = registry.KeepIn(f.Store)
	}
	r, err := p.openRegistry(p.openSecrets(), keep)
	if err != nil {
		return err
	}
	defer r.Close()
	var all []enrich.Finding
	known := false
	for _, s := range subjects {
		for _, f := range r.Ask(ctx, s) {
			all = append(all, f)
			known = known || f.Negative == ""
		}
	}
	if f != nil && len(all) > 0 { // also where Ctrl-C ended it
		if err := p.openFacts(ctx, f).Add(context.WithoutCancel(ctx), all); err != nil {
			return err
		}
	}
	if err := printList(p.out, all, registryColumns()); err != nil {
		return err
	}
	if !known && ctx.Err() == nil {
		return &failure{exitUnreachable, fmt.Errorf("no registry said anything of use"), "The column why says what each answered, retry when it may be asked again."}
	}
	return ctx.Err()
}

// subjectOf reads what a user asks about: an indicator, or AS64496.
func subjectOf(text string) (enrich.Subject, error) {
	if digits, ok := strings.CutPrefix(strings.ToUpper(text), "AS"); ok {
		if n, err := strconv.ParseUint(digits, 10, 32); err == nil && n > 0 {
			return enrich.Subject{ASN: uint32(n)}, nil
		}
	}
	i, err := intel.Parse(text, intel.AnyKind)
	if err != nil {
		return enrich.Subject{}, fmt.Errorf("%q: %w", text, err)
	}
	s, ok := enrich.SubjectOf(i)
	if !ok {
		return s, fmt.Errorf("%q has neither an address nor a registered domain that could be asked about", text)
	}
	return s, nil
}

func registryColumns() []column[enrich.Finding] {
	net := func(get func(*enrich.Network) string) func(*enrich.Finding) string {
		return func(f *enrich.Finding) string {
			if f.Network == nil {
				return ""
			}
			return get(f.Network)
		}
	}
	dom := func(get func(*enrich.Domain) string) func(*enrich.Finding) string {
		return func(f *enrich.Finding) string {
			if f.Domain == nil {
				return ""
			}
			return get(f.Domain)
		}
	}
	return []column[enrich.Finding]{
		{name: "subject", text: func(f *enrich.Finding) string { return subjectText(f.Subject) }, cell: func(f *enrich.Finding) string { return intel.Defang(subjectText(f.Subject)) }},
		{name: "source", text: func(f *enrich.Finding) string { return f.Source }},
		{name: "cidr", text: net(func(n *enrich.Network) string { return strings.Join(n.CIDR, " ") })},
		{name: "name", text: net(func(n *enrich.Network) string { return n.Name })},
		{name: "org", text: net(func(n *enrich.Network) string { return n.Org })},
		{name: "country", text: net(func(n *enrich.Network) string { return n.Country })},
		{name: "abuse", text: net(func(n *enrich.Network) string { return n.Abuse })},
		{name: "registrar", text: dom(func(d *enrich.Domain) string { return d.Registrar })},
		{name: "created", text: dom(func(d *enrich.Domain) string { return string(d.Created) })},
		{name: "expires", text: dom(func(d *enrich.Domain) string { return string(d.Expires) })},
		{name: "names", text: func(f *enrich.Finding) string { return strings.Join(f.Names, " ") }},
		{name: "report", text: func(f *enrich.Finding) string { return reportText(f.Report) }},
		{name: "why", text: func(f *enrich.Finding) string { return f.Negative }},
		{name: "retry", text: func(f *enrich.Finding) string {
			if f.Retry.IsZero() {
				return ""
			}
			return f.Retry.UTC().Format("2006-01-02T15:04:05Z")
		}},
	}
}

func subjectText(s enrich.Subject) string {
	switch {
	case s.Addr.IsValid():
		return s.Addr.String()
	case s.Domain != "":
		return s.Domain
	}
	return "AS" + strconv.FormatUint(uint64(s.ASN), 10)
}

func reportText(report intel.Fields) string {
	var all []string
	for _, f := range report {
		all = append(all, f.Name+": "+strings.Join(f.Values, " "))
	}
	return strings.Join(all, "; ")
}
