package feed

import (
	"fmt"
	"strings"

	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/parse"
)

// valueField is the destination that says outright which column holds the indicator.
const valueField = parse.Indicator

// columns turns the mapping into the parser's columns and finds the value column.
func (d *Definition) columns() ([]parse.Column, error) {
	m := d.Mapping
	if len(m.Destination) > 0 && len(m.Destination) != len(m.Source) {
		return nil, fmt.Errorf("has %d sources and %d destinations; give one destination for each source, null to skip it",
			len(m.Source), len(m.Destination))
	}
	columns := make([]parse.Column, 0, len(m.Source))
	for i, source := range m.Source {
		destination := source
		if len(m.Destination) > 0 {
			destination = m.Destination[i]
		}
		var c parse.Column
		if source != nil {
			c.Source = strings.TrimSpace(*source)
		}
		if source != nil && destination != nil {
			c.Field = strings.TrimSpace(*destination)
			t := m.Types[c.Field]
			c.Type, c.Split = t.Type, t.Split
			if c.Type == "text" {
				c.Type = ""
			}
		}
		columns = append(columns, c)
	}
	if len(columns) == 0 {
		return nil, nil // the whole line, or a format with a fixed layout
	}
	return columns, d.markValues(columns)
}

// markValues finds the column that holds the indicator: the one called
// indicator, else the one called like the feed's indicator type, else one called
// like any kind. A row that offers several takes all of these.
func (d *Definition) markValues(columns []parse.Column) error {
	tests := []func(name string) bool{
		func(name string) bool { return name == valueField },
		func(name string) bool { return name == strings.ToLower(d.Kind) },
		isKindName,
	}
	if d.Mapping.Several {
		tests = []func(name string) bool{func(name string) bool { return name == valueField || isKindName(name) }}
	}
	var found []int
	for _, test := range tests {
		for i := range columns {
			if test(strings.ToLower(columns[i].Field)) {
				found = append(found, i)
			}
		}
		if len(found) > 0 {
			break
		}
	}
	names := make([]string, 0, len(found))
	for _, i := range found {
		names = append(names, quoted(columns[i].Field))
	}
	switch {
	case len(found) == 0:
		return fmt.Errorf("no column holds the indicator: give it the destination %q or %q", valueField, d.Kind)
	case len(found) > 1 && !d.Mapping.Several:
		return fmt.Errorf("%d columns may hold the indicator (%s): call one %q, or say \"several\": true where a row offers several",
			len(found), strings.Join(names, ", "), valueField)
	}
	for _, i := range found {
		d.markValue(&columns[i])
	}
	return nil
}

// markValue makes c an indicator column. Its kinds are those it is declared
// with, else, in a row of several, those its name says, else the feed's.
func (d *Definition) markValue(c *parse.Column) {
	kind := d.Mapping.Types[c.Field].Kind
	if kind == "" && d.Mapping.Several {
		if kind = strings.ToLower(c.Field); kind == valueField {
			kind = d.Kind
		}
	}
	if kind != "" {
		c.Kinds, _ = intel.ParseKindSet(kind) // checked when it was decoded
	}
	c.Field = parse.Indicator
}

// isKindName says whether a column of this name can be taken for the indicator.
func isKindName(name string) bool {
	if name == "auto" {
		return false
	}
	_, err := intel.ParseKindSet(name)
	return err == nil
}
