package parse

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/elasticintel/elasticintel/internal/intel"
)

// jsonSpec is a Spec as the test data writes it.
type jsonSpec struct {
	Type      string              `json:"type"`
	Kinds     string              `json:"kinds"`
	Separator string              `json:"separator,omitempty"`
	Columns   []jsonColumn        `json:"columns,omitempty"`
	Headers   bool                `json:"headers,omitempty"`
	Comments  *[]string           `json:"comments,omitempty"`
	Inline    *[]string           `json:"inline,omitempty"`
	NoQuotes  bool                `json:"no_quotes,omitempty"`
	Records   string              `json:"records,omitempty"`
	Constants map[string][]string `json:"constants,omitempty"`
	Filter    []jsonFilter        `json:"filter,omitempty"`
	Exclude   string              `json:"exclude,omitempty"`
	Blanks    []string            `json:"blanks,omitempty"`
}

type jsonColumn struct {
	Source string `json:"source"`
	Field  string `json:"field"`
	Type   string `json:"type,omitempty"`
	Split  string `json:"split,omitempty"`
	Kinds  string `json:"kinds,omitempty"`
}

type jsonFilter struct {
	Column string   `json:"column"`
	Values []string `json:"values"`
	Not    bool     `json:"not,omitempty"`
}

// decodeSpec reads a jsonSpec strictly.
func decodeSpec(data []byte) (Spec, error) {
	var j jsonSpec
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&j); err != nil {
		return Spec{}, fmt.Errorf("spec: %w", err)
	}
	s := Spec{
		Type: j.Type, Separator: j.Separator, HasHeaders: j.Headers, Comments: j.Comments, Inline: j.Inline,
		NoQuotes: j.NoQuotes, Records: j.Records, Exclude: j.Exclude, Blanks: j.Blanks,
	}
	var err error
	if s.Kinds, err = kindsOf(j.Kinds); err != nil {
		return s, err
	}
	for _, c := range j.Columns {
		kinds, err := kindsOf(c.Kinds)
		if err != nil {
			return s, err
		}
		s.Columns = append(s.Columns, Column{c.Source, c.Field, c.Type, c.Split, kinds})
	}
	var constants intel.Fields
	for name, values := range j.Constants {
		for _, v := range values {
			constants.Add(name, v)
		}
	}
	s.Constants = constants
	for _, f := range j.Filter {
		s.Filter = append(s.Filter, FilterRule(f))
	}
	return s, nil
}

func kindsOf(name string) (intel.KindSet, error) {
	if name == "" {
		return 0, nil
	}
	return intel.ParseKindSet(name)
}
