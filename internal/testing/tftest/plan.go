package tftest

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// Plan is what Terraform would do, as `terraform show -json` says it.
type Plan struct {
	Changes []Change `json:"resource_changes"`
}

// Change is what happens to one resource.
type Change struct {
	Address string `json:"address"`
	Mode    string `json:"mode"` // managed or data
	Type    string `json:"type"`
	Change  struct {
		Actions []string       `json:"actions"`
		After   map[string]any `json:"after"`
		Unknown map[string]any `json:"after_unknown"`
	} `json:"change"`
}

// Of returns the managed resources of a type.
func (p Plan) Of(kind string) []Change {
	var out []Change
	for _, c := range p.Changes {
		if c.Mode == "managed" && c.Type == kind && !slices.Equal(c.Change.Actions, []string{"delete"}) {
			out = append(out, c)
		}
	}
	return out
}

// Get returns an attribute, by names and numbers of lists with dots between
// ("environment.0.variables.EI_DATA"); nil where it is null or unknown.
func (c Change) Get(path string) any { return get(c.Change.After, path) }

// Unknown says whether an attribute is known only after the apply.
func (c Change) Unknown(path string) bool { return get(c.Change.Unknown, path) == true }

func get(v any, path string) any {
	for _, name := range strings.Split(path, ".") {
		switch x := v.(type) {
		case map[string]any:
			v = x[name]
		case []any:
			var i int
			if _, err := fmt.Sscan(name, &i); err != nil || i < 0 || i >= len(x) {
				return nil
			}
			v = x[i]
		default:
			return nil
		}
	}
	return v
}

// Statement is one of a policy.
type Statement struct {
	Address    string // of the resource, with the attribute
	Sid        string
	Effect     string
	Principals []string // "*", or kind and name: "Service sns.amazonaws.com"
	Actions    []string
	Resources  []string
	Condition  map[string]any
}

// policyAttributes hold policies, in whatever resource.
var policyAttributes = []string{"policy", "assume_role_policy", "access_policies", "policy_document"}

// Statements returns those of all policies that the plan knows.
func (p Plan) Statements() ([]Statement, error) {
	var out []Statement
	for _, c := range p.Changes {
		for _, name := range policyAttributes {
			text, ok := c.Get(name).(string)
			if !ok || c.Mode != "managed" {
				continue
			}
			more, err := statements(text)
			if err != nil {
				return nil, fmt.Errorf("%s.%s: %w", c.Address, name, err)
			}
			for _, s := range more {
				s.Address = c.Address + "." + name
				out = append(out, s)
			}
		}
	}
	return out, nil
}

func statements(text string) ([]Statement, error) {
	var doc struct {
		Statement []struct {
			Sid, Effect                                          string
			Principal, NotPrincipal, Action, NotAction, Resource any
			Condition                                            map[string]any
		}
	}
	if err := json.Unmarshal([]byte(text), &doc); err != nil {
		return nil, err
	}
	var out []Statement
	for _, s := range doc.Statement {
		if s.NotAction != nil || s.NotPrincipal != nil {
			return nil, fmt.Errorf("statement %q says what it does not allow; say what it allows", s.Sid)
		}
		out = append(out, Statement{Sid: s.Sid, Effect: s.Effect, Principals: principals(s.Principal),
			Actions: words(s.Action), Resources: words(s.Resource), Condition: s.Condition})
	}
	return out, nil
}

func words(v any) []string {
	switch x := v.(type) {
	case string:
		return []string{x}
	case []any:
		var out []string
		for _, e := range x {
			out = append(out, fmt.Sprint(e))
		}
		return out
	}
	return nil
}

func principals(v any) []string {
	m, ok := v.(map[string]any)
	if !ok {
		return words(v)
	}
	var out []string
	for kind, names := range m {
		for _, n := range words(names) {
			out = append(out, kind+" "+n)
		}
	}
	slices.Sort(out)
	return out
}

// Grant is an action that a role has, and on what.
type Grant struct {
	Action   string
	Resource string
}

// Grants returns what each role may do, by the role's name, sorted: to be
// compared with the calls that the program makes.
func (p Plan) Grants() (map[string][]Grant, error) {
	out := map[string][]Grant{}
	for _, c := range p.Of("aws_iam_role_policy") {
		text, ok := c.Get("policy").(string)
		role, _ := c.Get("role").(string)
		if !ok {
			continue // known only after the apply: logs and the own key
		}
		more, err := statements(text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c.Address, err)
		}
		for _, s := range more {
			for _, a := range s.Actions {
				for _, r := range s.Resources {
					out[role] = append(out[role], Grant{a, r})
				}
			}
		}
	}
	for _, g := range out {
		slices.SortFunc(g, func(a, b Grant) int {
			return strings.Compare(a.Action+" "+a.Resource, b.Action+" "+b.Resource)
		})
	}
	return out, nil
}
