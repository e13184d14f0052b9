package deploy

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// Plan is what of Terraform's plan, as `show -json` prints it (format 1.x), is
// read here. Source: https://developer.hashicorp.com/terraform/internals/json-format
type Plan struct {
	Format  string           `json:"format_version"`
	Errored bool             `json:"errored"`
	Changes []ResourceChange `json:"resource_changes"`
	Drift   []ResourceChange `json:"resource_drift"`
	Outputs map[string]struct {
		Actions []string `json:"actions"`
	} `json:"output_changes"`
	Planned struct {
		Root module `json:"root_module"`
	} `json:"planned_values"`
}

// ResourceChange is what would happen to one resource.
type ResourceChange struct {
	Address string `json:"address"`
	Mode    string `json:"mode"` // managed or data
	Type    string `json:"type"`
	Change  struct {
		Actions []string `json:"actions"`
	} `json:"change"`
	Importing *struct{} `json:"importing"`
}

// Resource is one resource as it will be after the plan was applied.
type Resource struct {
	Address string         `json:"address"`
	Mode    string         `json:"mode"`
	Type    string         `json:"type"`
	Values  map[string]any `json:"values"`
}

type module struct {
	Resources []Resource `json:"resources"`
	Children  []module   `json:"child_modules"`
}

// ReadPlan decodes the output of `show -json`.
func ReadPlan(data []byte) (*Plan, error) {
	var p Plan
	if err := json.Unmarshal(data, &p); err != nil {
		return nil, fmt.Errorf("reading the plan: %w", err)
	}
	if !strings.HasPrefix(p.Format, "1.") {
		return nil, fmt.Errorf("reading the plan: format %q is not known here; use a newer release of this program or an older Terraform", p.Format)
	}
	return &p, nil
}

// Resources are the managed resources there will be, of all modules.
func (p *Plan) Resources() []Resource {
	var all []Resource
	var walk func(module)
	walk = func(m module) {
		for _, r := range m.Resources {
			if r.Mode == "managed" {
				all = append(all, r)
			}
		}
		for _, c := range m.Children {
			walk(c)
		}
	}
	walk(p.Planned.Root)
	return all
}

// Summary is a plan in four lists of addresses, each sorted. A resource that is
// replaced is in Replace alone: it is destroyed, too.
type Summary struct {
	Add     []string `json:"add"`
	Change  []string `json:"change"`
	Replace []string `json:"replace"`
	Destroy []string `json:"destroy"`
	Import  []string `json:"import"`  // taken over as they are
	Outputs int      `json:"outputs"` // that change
}

// Summary sorts the plan's changes.
func (p *Plan) Summary() Summary {
	var s Summary
	for _, c := range p.Changes {
		if c.Mode != "managed" {
			continue
		}
		has := func(a string) bool { return slices.Contains(c.Change.Actions, a) }
		switch {
		case has("create") && has("delete"):
			s.Replace = append(s.Replace, c.Address)
		case has("create"):
			s.Add = append(s.Add, c.Address)
		case has("update"):
			s.Change = append(s.Change, c.Address)
		case has("delete"), has("forget"):
			s.Destroy = append(s.Destroy, c.Address)
		case c.Importing != nil:
			s.Import = append(s.Import, c.Address)
		}
	}
	for _, o := range p.Outputs {
		if !slices.Equal(o.Actions, []string{"no-op"}) {
			s.Outputs++
		}
	}
	for _, l := range [][]string{s.Add, s.Change, s.Replace, s.Destroy, s.Import} {
		slices.Sort(l)
	}
	return s
}

// Nothing is whether applying the plan would change nothing. An output that
// alone changes is written to the state and is something.
func (s Summary) Nothing() bool {
	return len(s.Add)+len(s.Change)+len(s.Replace)+len(s.Destroy)+len(s.Import)+s.Outputs == 0
}

// Steps is how many resources an apply works on.
func (s Summary) Steps() int {
	return len(s.Add) + len(s.Change) + 2*len(s.Replace) + len(s.Destroy)
}

// holds are the types of resources whose end loses something that cannot be made
// again, with what that is.
var holds = []struct{ kind, what string }{
	{"aws_s3_bucket", "every object in it: listings, history, raw downloads, keys and settings"},
	{"aws_opensearch_domain", "the index (it can be filled again from the bucket)"},
	{"aws_kms_key", "whatever was encrypted with it, once its waiting time is over"},
	{"aws_ssm_parameter", "the secret in it"},
	{"aws_sqs_queue", "the jobs that wait in it"},
	{"aws_cloudwatch_log_group", "its logs"},
}

// Losses says in words what the destroys of the plan lose for ever, one line for
// each resource that holds something.
func (p *Plan) Losses() []string {
	var lines []string
	for _, h := range holds {
		for _, c := range p.Changes {
			if c.Mode == "managed" && c.Type == h.kind && slices.Contains(c.Change.Actions, "delete") {
				lines = append(lines, c.Address+": "+h.what)
			}
		}
	}
	return lines
}
