package feed

import (
	"fmt"
	"net/url"
	"strings"

	"github.com/elasticintel/elasticintel/internal/parse"
)

// TemplatePaths lists the paths of the {path} marks in the URL of items.
func TemplatePaths(s string) ([]string, error) {
	var paths []string
	for rest := s; ; {
		_, after, open := strings.Cut(rest, "{")
		if !open {
			return paths, nil
		}
		path, tail, closed := strings.Cut(after, "}")
		if !closed {
			return nil, fmt.Errorf("%q: a { is not closed", short(s))
		}
		if err := parse.CheckPath(path); err != nil || path == "" {
			return nil, fmt.Errorf("%q: {%s} is no path", short(s), short(path))
		}
		paths, rest = append(paths, path), tail
	}
}

// Expand puts values into the marks of an items template. A template that is
// one mark alone is the value as it is, which may be a URL; within others values
// are escaped, so that no item can lead elsewhere. {secret} is the secret. An
// error names the mark for which the item has nothing.
func Expand(template string, get func(path string) string, secret string) (string, error) {
	var b strings.Builder
	alone := strings.HasPrefix(template, "{") && strings.Index(template, "}") == len(template)-1
	for rest := template; ; {
		before, after, open := strings.Cut(rest, "{")
		b.WriteString(before)
		if !open {
			return b.String(), nil
		}
		mark, tail, _ := strings.Cut(after, "}")
		value := secret
		if "{"+mark+"}" != secretMark {
			if value = strings.TrimSpace(get(mark)); value == "" {
				return "", fmt.Errorf("the item has nothing at %s", mark)
			}
		}
		switch {
		case alone:
		case strings.Contains(b.String(), "?"):
			value = url.QueryEscape(value)
		case strings.Trim(value, ".") == "": // a name that would climb up the path
			return "", fmt.Errorf("the item has %q at %s", value, mark)
		default:
			value = url.PathEscape(value)
		}
		b.WriteString(value)
		rest = tail
	}
}
