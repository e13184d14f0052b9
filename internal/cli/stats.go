package cli

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/elasticintel/elasticintel/internal/config"
	"github.com/elasticintel/elasticintel/internal/intel"
)

func (p *program) statsCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use: "stats", Short: "Count what is listed now",
		Example: "  elasticintel stats\n  elasticintel stats --json",
		Args:    args(0, 0, "nothing"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			from, err := p.openEngine(cmd.Context())
			if err != nil {
				return err
			}
			st, err := from.engine.Stats(cmd.Context())
			if err != nil {
				return err
			}
			num := func(get func(*intel.Stats) int) (raw, nice func(*intel.Stats) string) {
				return func(s *intel.Stats) string { return fmt.Sprint(get(s)) }, func(s *intel.Stats) string { return thousands(get(s)) }
			}
			lt, lc := num(func(s *intel.Stats) int { return s.Listings })
			it, ic := num(func(s *intel.Stats) int { return s.Indicators })
			ft, fc := num(func(s *intel.Stats) int { return s.Feeds })
			gt, gc := num(func(s *intel.Stats) int { return s.Segments })
			xt, xc := num(func(s *intel.Stats) int { return s.Indexes })
			cols := []column[intel.Stats]{
				{name: "listings", text: lt, cell: lc},
				{name: "indicators", text: it, cell: ic},
				{name: "feeds", text: ft, cell: fc},
				{name: "by_kind", text: func(s *intel.Stats) string { return countsText(s.ByKind) }},
				{name: "bytes", text: func(s *intel.Stats) string { return fmt.Sprint(s.Bytes) }, cell: func(s *intel.Stats) string { return bytesText(s.Bytes) }},
				{name: "segments", text: gt, cell: gc},
				{name: "indexes", text: xt, cell: xc},
				{name: "memory",
					text: func(s *intel.Stats) string {
						return memoryText(&s.Memory, func(n int64) string { return fmt.Sprint(n) })
					},
					cell: func(s *intel.Stats) string { return memoryText(&s.Memory, bytesText) }},
			}
			if from.folder == nil && p.out.format == "table" { // what follows is of the data folder's own engine
				cols = cols[:4]
			}
			return printOne(p.out, &st, cols)
		},
	}
	p.cfg.Bind(cmd.Flags(), config.EngineFlags()...)
	return cmd
}

// memoryText writes what takes memory: "mapped 1.2 GB, directory 57.1 MB".
func memoryText(m *intel.Memory, size func(int64) string) string {
	var parts []string
	for _, x := range []struct {
		name  string
		bytes int64
	}{{"mapped", m.Mapped}, {"copied", m.Copied}, {"directory", m.Directory}, {"networks", m.Networks}, {"replaced", m.Replaced}} {
		if x.bytes > 0 {
			parts = append(parts, x.name+" "+size(x.bytes))
		}
	}
	return strings.Join(parts, ", ")
}

// countsText writes counts by name: "domain 12, ipv4 3".
func countsText(m map[string]int) string {
	var parts []string
	for _, k := range slices.Sorted(maps.Keys(m)) {
		parts = append(parts, k+" "+thousands(m[k]))
	}
	return strings.Join(parts, ", ")
}
