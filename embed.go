package elasticintel

import (
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"
)

// The samples in feeds.d/samples are for tests and stay outside.
//
//go:embed feeds.d/*.json
var feedsFiles embed.FS

//go:embed starter
var starterFiles embed.FS

//go:embed deploy/terraform/*.tf deploy/terraform/modules/*/*.tf
var terraformFiles embed.FS

// FeedsFS holds the built-in catalogue: one *.json per provider in its root.
func FeedsFS() fs.FS { return sub(feedsFiles, "feeds.d") }

// StarterFS holds the starter data: starter.json, which lists the others, the
// snapshot files as their publishers serve them (compressed), and ATTRIBUTION.md.
func StarterFS() fs.FS { return sub(starterFiles, "starter") }

// TerraformFS holds the Terraform configuration of the deployment on AWS: the
// root module in its root.
func TerraformFS() fs.FS { return sub(terraformFiles, "deploy/terraform") }

// StarterFile is one snapshot of a feed, a line of starter.json.
type StarterFile struct {
	Feed        string `json:"feed"`        // id in the built-in catalogue
	File        string `json:"file"`        // name in StarterFS; gzip, zstd, xz or bzip2
	Date        string `json:"date"`        // YYYY-MM-DD: when its publisher wrote it
	Licence     string `json:"licence"`     // SPDX name
	Attribution string `json:"attribution"` // whom to name
	Source      string `json:"source"`      // where it was taken from
}

// Starter lists the starter data in the order it should be loaded.
func Starter() ([]StarterFile, error) {
	raw, err := fs.ReadFile(StarterFS(), "starter.json")
	if err != nil {
		return nil, fmt.Errorf("starter data: %w", err)
	}
	var files []StarterFile
	if err := json.Unmarshal(raw, &files); err != nil {
		return nil, fmt.Errorf("starter data: starter.json: %w", err)
	}
	return files, nil
}

// sub is fs.Sub for a folder that the embed directives name: it is always there.
func sub(files embed.FS, dir string) fs.FS {
	s, err := fs.Sub(files, dir)
	if err != nil {
		return files
	}
	return s
}
