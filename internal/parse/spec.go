// Package parse reads feeds' wire formats: bytes in, records out. One file per
// format, one line per format in the table of Formats; nothing here knows
// schedules, networks or storage.
package parse

import "github.com/elasticintel/elasticintel/internal/intel"

// Spec says how to read one feed: the part of a feed definition that parsing needs.
type Spec struct {
	Type       string        // a key of Formats: txt csv json ndjson hosts
	Kinds      intel.KindSet // what its indicators may be
	Separator  string        // csv: field separator, any length; txt: splits a line, "" = whole line
	Columns    []Column      // column i of a row (csv, txt) or path i of a record (json, ndjson)
	HasHeaders bool          // the first row (after comments) is skipped, or names the columns beyond the mapping
	Comments   *[]string     // line-start prefixes; nil = the format's default
	Inline     *[]string     // prefixes that after a blank end a value (txt); nil = the default
	NoQuotes   bool          // csv: a quote is an ordinary character
	Records    string        // json: path of the records array
	Constants  []intel.Field // fields every record gets
	Filter     []FilterRule  // records left out by rule: counted as suppressed
	Exclude    string        // a line prefix that marks an exclusion (suppressed), e.g. "!" in rbldnsd lists
}

// Column is one column of a mapping.
type Column struct {
	Source string        // its name in the feed; for json a path relative to the record
	Field  string        // context field it goes to; "indicator" where it holds the value; "" = skip
	Type   string        // "" text, "list" split at Split, "time", "int"
	Split  string        // for Type list: the separator; default ","
	Kinds  intel.KindSet // for an indicator column: what its values may be; 0 = the feed's kinds
}

// FilterRule keeps only records whose column equals (or, with Not, does not equal) one of Values.
type FilterRule struct {
	Column string
	Values []string
	Not    bool
}
