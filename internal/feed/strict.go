package feed

import (
	"encoding"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// strict fills Go values from JSON nodes: keys are taken exactly as written,
// an unknown or doubled key or a wrong type is reported and reading goes on, so
// that all mistakes of a file come out at once.
type strict struct {
	file string
	feed string
	errs []error
}

func (s *strict) report(line int, key, reason string, args ...any) {
	s.errs = append(s.errs, &Error{File: s.file, Line: line, Feed: s.feed, Key: key, Reason: fmt.Sprintf(reason, args...)})
}

// wrong reports a value of another type than key wants.
func (s *strict) wrong(n *node, key, want string) {
	got := string(n.kind)
	switch n.kind {
	case stringNode:
		got = "the string " + strconv.Quote(short(n.text()))
	case numberNode, boolNode:
		got = fmt.Sprint(n.value)
	}
	s.report(n.line, key, "want %s, not %s", want, got)
}

// fill puts n into v. key is the path for messages.
func (s *strict) fill(n *node, v reflect.Value, key string) {
	switch u := v.Addr().Interface().(type) {
	case encoding.TextUnmarshaler:
		s.fillText(n, u, key)
		return
	case *TTL:
		s.fillTTL(n, u, key)
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		if n.kind != nullNode {
			v.Set(reflect.New(v.Type().Elem()))
			s.fill(n, v.Elem(), key)
		}
	case reflect.Struct:
		s.fillStruct(n, v, key)
	case reflect.Map:
		s.fillMap(n, v, key)
	case reflect.Slice:
		s.fillSlice(n, v, key)
	default:
		s.fillScalar(n, v, key)
	}
}

func (s *strict) fillText(n *node, u encoding.TextUnmarshaler, key string) {
	if n.kind != stringNode {
		s.wrong(n, key, "a string")
		return
	}
	if err := u.UnmarshalText([]byte(n.text())); err != nil {
		s.report(n.line, key, "%q: %v", short(n.text()), err)
	}
}

func (s *strict) fillStruct(n *node, v reflect.Value, key string) {
	if n.kind != objectNode {
		s.wrong(n, key, string(objectNode))
		return
	}
	fields := keysOf(v.Type())
	seen := map[int]member{}
	for _, m := range n.members {
		path := join(key, m.key)
		i, known := fields[m.key]
		if !known {
			s.report(m.line, path, "unknown key%s", didYouMean(m.key, keyNames(fields)))
			continue
		}
		if first, twice := seen[i]; twice {
			s.report(m.line, path, "stands twice; %q is in line %d already", first.key, first.line)
			continue
		}
		seen[i] = m
		s.fill(m.value, v.Field(i), path)
	}
}

func (s *strict) fillMap(n *node, v reflect.Value, key string) {
	if n.kind != objectNode {
		s.wrong(n, key, string(objectNode))
		return
	}
	v.Set(reflect.MakeMap(v.Type()))
	for _, m := range n.members {
		path, name := join(key, m.key), reflect.ValueOf(m.key)
		if v.MapIndex(name).IsValid() {
			s.report(m.line, path, "stands twice")
			continue
		}
		value := reflect.New(v.Type().Elem()).Elem()
		s.fill(m.value, value, path)
		v.SetMapIndex(name, value)
	}
}

func (s *strict) fillSlice(n *node, v reflect.Value, key string) {
	if n.kind != arrayNode {
		s.wrong(n, key, string(arrayNode))
		return
	}
	v.Set(reflect.MakeSlice(v.Type(), len(n.items), len(n.items)))
	for i, item := range n.items {
		s.fill(item, v.Index(i), fmt.Sprintf("%s[%d]", key, i))
	}
}

func (s *strict) fillScalar(n *node, v reflect.Value, key string) {
	switch v.Kind() {
	case reflect.String:
		if n.kind != stringNode {
			s.wrong(n, key, "a string")
			return
		}
		v.SetString(n.text())
	case reflect.Bool:
		b, ok := n.value.(bool)
		if !ok && v.Type() == reflect.TypeFor[Flag]() { // the 2018 format has it as text, too
			b, ok = n.text() == "true", n.text() == "true" || n.text() == "false"
		}
		if !ok {
			s.wrong(n, key, "true or false")
			return
		}
		v.SetBool(b)
	case reflect.Int:
		number, _ := n.value.(json.Number)
		i, err := strconv.Atoi(string(number))
		if err != nil {
			s.wrong(n, key, "a whole number")
			return
		}
		v.SetInt(int64(i))
	case reflect.Float64:
		number, _ := n.value.(json.Number)
		f, err := number.Float64()
		if err != nil {
			s.wrong(n, key, "a number")
			return
		}
		v.SetFloat(f)
	default:
		s.report(n.line, key, "cannot be read into %s", v.Type())
	}
}

// keysOf maps the JSON keys of a struct, and their second names, to its field numbers.
func keysOf(t reflect.Type) map[string]int {
	keys := make(map[string]int, t.NumField())
	for i := range t.NumField() {
		tag := t.Field(i).Tag
		if name, _, _ := strings.Cut(tag.Get("json"), ","); name != "" && name != "-" {
			keys[name] = i
		}
		if alias := tag.Get("alias"); alias != "" {
			keys[alias] = i
		}
	}
	return keys
}

func keyNames(fields map[string]int) []string {
	names := make([]string, 0, len(fields))
	for name := range fields {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}
