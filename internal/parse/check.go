package parse

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Check reports everything that is wrong with the spec, joined. Every error
// begins with the key of the definition that it is about; [i] counts from 0.
func (s Spec) Check() error {
	f, ok := formatOf(s.Type)
	if !ok {
		return fmt.Errorf("feed_type: %q is not known (known: %s)", s.Type, strings.Join(Formats(), " "))
	}
	errs := []error{s.checkLines(f), s.checkColumns(f), s.checkPaths(f), s.checkFilter(f)}
	if s.Kinds == 0 && f.kinds == 0 {
		errs = append(errs, errors.New("indicator_type: missing"))
	}
	return errors.Join(errs...)
}

// checkLines checks what concerns lines: separator, comments, exclusions.
func (s Spec) checkLines(f format) error {
	var errs []error
	bad := func(key, reason string, args ...any) {
		errs = append(errs, fmt.Errorf(key+": "+reason, args...))
	}
	if strings.ContainsAny(s.Separator, "\r\n\x00") {
		bad("field_mapping.separator", "%q has a line break; rows are lines", s.Separator)
	}
	if s.Separator != "" && unquoteSeparator(s.Separator) == "" {
		bad("field_mapping.separator", "%q has nothing between its quotes", s.Separator)
	}
	if s.Comments != nil && slices.Contains(*s.Comments, "") {
		bad("comments", "an empty prefix begins every line")
	}
	if s.Inline != nil && slices.Contains(*s.Inline, "") {
		bad("inline_comments", "an empty prefix begins everywhere")
	}
	if s.Exclude != "" && !f.lines {
		bad("exclude", "%s has no lines that a prefix could stand before", s.Type)
	}
	return errors.Join(errs...)
}

// checkColumns checks that one column holds the indicator, or that several do
// on purpose.
func (s Spec) checkColumns(f format) error {
	var errs []error
	var values []int
	kinds := true
	for i, c := range s.Columns {
		if !slices.Contains([]string{"", "text", "list", "time", "int"}, c.Type) {
			errs = append(errs, fmt.Errorf("field_mapping.types: source[%d] %q: type %q is not known (known: text list time int)", i, c.Source, c.Type))
		}
		if c.Field == Indicator {
			values = append(values, i)
			kinds = kinds && c.Kinds != 0
		}
	}
	switch {
	case f.kinds != 0 && len(s.Columns) > 0:
		errs = append(errs, fmt.Errorf("field_mapping: %s has a fixed layout and takes no columns", s.Type))
	case f.kinds != 0 || f.plain && len(s.Columns) == 0:
	case len(values) == 0:
		errs = append(errs, fmt.Errorf("field_mapping.destination: no column is %q", Indicator))
	case len(values) > 1 && !kinds:
		errs = append(errs, fmt.Errorf("field_mapping.destination: %d columns are %q (source[%d] %q, source[%d] %q); a row that offers several needs the kinds of each",
			len(values), Indicator, values[0], s.Columns[values[0]].Source, values[1], s.Columns[values[1]].Source))
	}
	if len(s.Columns) > maxColumns {
		errs = append(errs, fmt.Errorf("field_mapping.source: %d columns, more than %d", len(s.Columns), maxColumns))
	}
	return errors.Join(errs...)
}

// checkPaths checks the paths of formats that have them, and that no other has any.
func (s Spec) checkPaths(f format) error {
	if f.path == nil {
		if s.Records != "" {
			return fmt.Errorf("records: %s has rows, not paths", s.Type)
		}
		return nil
	}
	var errs []error
	if err := f.records(s.Records); err != nil {
		errs = append(errs, fmt.Errorf("records: %w", err))
	}
	for i, c := range s.Columns {
		if _, err := f.path(c.Source); err != nil {
			errs = append(errs, fmt.Errorf("field_mapping.source[%d]: %w", i, err))
		}
		if c.Field == Indicator && c.Source == "" {
			errs = append(errs, fmt.Errorf("field_mapping.source[%d]: the path of the indicator is missing", i))
		}
	}
	return errors.Join(errs...)
}

// checkFilter checks that the rules can be applied. Where headers, paths or a fixed layout name
// further columns, only the records can show whether one is there.
func (s Spec) checkFilter(f format) error {
	var errs []error
	p := compile(s)
	for i, rule := range s.Filter {
		if rule.Column == "" || len(rule.Values) == 0 {
			errs = append(errs, fmt.Errorf("filter[%d]: needs a column and values", i))
			continue
		}
		_, numbered := columnNumber(rule.Column)
		if p.find(rule.Column) < 0 && !numbered && !s.HasHeaders && f.path == nil && f.kinds == 0 {
			errs = append(errs, fmt.Errorf("filter[%d].column: no column is called %q", i, rule.Column))
		}
	}
	return errors.Join(errs...)
}
