package cli

import (
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/elasticintel/elasticintel/internal/corpus"
	"github.com/elasticintel/elasticintel/internal/local"
)

// release is the version of this source tree.
const release = "0.1.0-dev"

// buildInfo is what `version` prints.
type buildInfo struct {
	Version    string         `json:"version"`
	Commit     string         `json:"commit,omitempty"`
	Go         string         `json:"go"`
	Platform   string         `json:"platform"`
	Formats    map[string]int `json:"formats"`                 // newest version of each stored format that is read
	SuffixList string         `json:"public_suffix,omitempty"` // the module that carries the public suffix list
}

func (p *program) versionCmd() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version, the formats it reads and what it was built with",
		Example: "  elasticintel version\n  elasticintel version --json",
		Args:    args(0, 0, "nothing"),
		RunE: func(*cobra.Command, []string) error {
			v := readBuild()
			return printOne(p.out, &v, []column[buildInfo]{
				{name: "version", text: func(b *buildInfo) string { return b.Version }, cell: func(b *buildInfo) string { return "elasticintel " + b.Version }},
				{name: "commit", text: func(b *buildInfo) string { return b.Commit }},
				{name: "go", text: func(b *buildInfo) string { return b.Go }},
				{name: "platform", text: func(b *buildInfo) string { return b.Platform }},
				{name: "formats", text: func(b *buildInfo) string { return countsText(b.Formats) }},
				{name: "public-suffix", text: func(b *buildInfo) string { return b.SuffixList }},
			})
		},
	}
}

func versionText() string { return readBuild().Version }

func readBuild() buildInfo {
	v := buildInfo{
		Version: release, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH,
		Formats: map[string]int{"head": corpus.HeadFormat, "backup": local.BackupFormat},
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision" && len(s.Value) >= 12:
			v.Commit = s.Value[:12] + v.Commit
		case s.Key == "vcs.modified" && s.Value == "true":
			v.Commit += " (changed)"
		}
	}
	for _, m := range info.Deps {
		if m.Path == "golang.org/x/net" { // carries the list that domains are cut by
			v.SuffixList = m.Path + " " + m.Version
		}
	}
	return v
}
