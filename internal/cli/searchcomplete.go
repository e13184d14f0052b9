package cli

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/query"
)

// completeQuery completes the last word of a query: the name of a field, or a
// value of one that has few.
func (p *program) completeQuery(cmd *cobra.Command, _ []string, start string) ([]string, cobra.ShellCompDirective) {
	const open = cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
	cut := strings.LastIndexAny(start, " (")
	head, word := start[:cut+1], start[cut+1:]
	if rest, ok := strings.CutPrefix(word, "-"); ok {
		head, word = head+"-", rest
	}
	name, value, isField := strings.Cut(word, ":")
	var out []string
	if !isField {
		for _, f := range query.Fields() {
			if s := f.String() + ":"; strings.HasPrefix(s, word) {
				out = append(out, head+s)
			}
		}
		if strings.HasPrefix("context.", word) {
			out = append(out, head+"context.")
		}
		return out, open
	}
	var values []string
	switch query.Field(strings.ToLower(name)) {
	case query.FieldKind:
		for _, k := range intel.AnyKind.Kinds() {
			values = append(values, k.String())
		}
		values = append(values, "ip", "hash")
	case query.FieldListed:
		values = []string{"true", "false"}
	case query.FieldTLP:
		values = []string{"clear", "green", "amber", "amber+strict", "red"}
	case query.FieldFeed:
		ids, _ := p.completeFeeds(cmd, nil, value)
		values = ids
	}
	for _, v := range values {
		if strings.HasPrefix(v, value) {
			out = append(out, head+name+":"+v)
		}
	}
	return out, cobra.ShellCompDirectiveNoFileComp
}

func completeSort(_ *cobra.Command, _ []string, start string) ([]string, cobra.ShellCompDirective) {
	var out []string
	for _, n := range query.SortNames() {
		for _, s := range []string{n, "-" + n} {
			if strings.HasPrefix(s, start) {
				out = append(out, s)
			}
		}
	}
	return out, cobra.ShellCompDirectiveNoFileComp
}

// completeFacets completes the last of names with commas between.
func completeFacets(_ *cobra.Command, _ []string, start string) ([]string, cobra.ShellCompDirective) {
	cut := strings.LastIndexByte(start, ',') + 1
	var out []string
	for _, f := range query.FacetFields() {
		if strings.HasPrefix(f.String(), start[cut:]) {
			out = append(out, start[:cut]+f.String())
		}
	}
	return out, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
}
