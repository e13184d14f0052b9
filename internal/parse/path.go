package parse

import (
	"fmt"
	"strings"
)

// The kinds of steps of a path.
const (
	stepMember = iota // a member of an object, by name
	stepAny           // *: every member of an object
	stepEach          // []: every element of an array
)

type step struct {
	kind int
	name string
}

// parsePath reads a path of jq's simplest form: data[] · *[] · a.b[] · . ·
// results[].indicators[]. A leading $ and [*] for [], as JSONPath writes them, are
// accepted.
func parsePath(s string) ([]step, error) {
	rest := strings.TrimPrefix(strings.TrimPrefix(strings.TrimSpace(s), "$"), ".")
	var steps []step
	for first := true; rest != ""; first = false {
		if !first && rest[0] != '[' {
			if rest[0] != '.' {
				return nil, fmt.Errorf("%q: a dot belongs before %q", s, rest)
			}
			rest = rest[1:]
		}
		if !strings.HasPrefix(rest, "[") {
			name := rest
			if i := strings.IndexAny(rest, ".["); i >= 0 {
				name = rest[:i]
			}
			switch name {
			case "":
				return nil, fmt.Errorf("%q: a name is missing between two dots", s)
			case "*":
				steps = append(steps, step{kind: stepAny})
			default:
				steps = append(steps, step{kind: stepMember, name: name})
			}
			rest = rest[len(name):]
		}
		for strings.HasPrefix(rest, "[") {
			inside, after, closed := strings.Cut(rest[1:], "]")
			if !closed || inside != "" && inside != "*" {
				return nil, fmt.Errorf("%q: only [] may stand in brackets", s)
			}
			steps = append(steps, step{kind: stepEach})
			rest = after
		}
	}
	return steps, nil
}

// checkPath says whether a path of records can be used.
func checkPath(s string) error {
	_, err := parsePath(s)
	return err
}

// keyPath is what sourcePath returns for "*".
const keyPath = "*"

// sourcePath brings a source path into the form in which the members of a record
// are compared with it: names with dots between them, "" for the record itself.
func sourcePath(s string) (string, error) {
	if s == "*" {
		return keyPath, nil
	}
	steps, err := parsePath(s)
	if err != nil {
		return "", err
	}
	var names []string
	for _, st := range steps {
		switch st.kind {
		case stepAny:
			return "", fmt.Errorf("%q: * can stand alone only, for the name that * of records stood for", s)
		case stepMember:
			names = append(names, st.name)
		}
	}
	return strings.Join(names, "."), nil
}

// pathString writes the steps taken so far, for messages.
func pathString(steps []step) string {
	var b strings.Builder
	for _, st := range steps {
		switch {
		case st.kind == stepEach:
			b.WriteString("[]")
			continue
		case b.Len() > 0:
			b.WriteByte('.')
		}
		if st.kind == stepAny {
			b.WriteByte('*')
		} else {
			b.WriteString(st.name)
		}
	}
	return b.String()
}
