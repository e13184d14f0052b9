package deploy

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strings"
)

var variableLine = regexp.MustCompile(`(?m)^variable "([a-z_]+)" \{$`)

// ParseVariable reads NAME=VALUE for a variable of the configuration files. VALUE
// is JSON where it is that (5, true, ["a"]), else text; nil where it is empty,
// which stands for the default. Terraform checks the value itself.
func ParseVariable(files fs.FS, line string) (name string, value any, err error) {
	name, text, ok := strings.Cut(line, "=")
	if !ok {
		return "", nil, fmt.Errorf("%q: want NAME=VALUE", line)
	}
	hcl, err := fs.ReadFile(files, "variables.tf")
	if err != nil {
		return "", nil, err
	}
	var names []string
	for _, m := range variableLine.FindAllSubmatch(hcl, -1) {
		if n := string(m[1]); n != "prefix" && n != "zip" && n != "architecture" { // which deploy sets
			names = append(names, n)
		}
	}
	if !slices.Contains(names, name) {
		return "", nil, fmt.Errorf("there is no variable %q to set; there are %s", name, strings.Join(names, ", "))
	}
	if text == "" {
		return name, nil, nil
	}
	if json.Unmarshal([]byte(text), &value) != nil {
		value = text
	}
	return name, value, nil
}
