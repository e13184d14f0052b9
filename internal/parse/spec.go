// Package parse reads feeds' wire formats: bytes in, entries and an account of
// every record out. One file per format, one line per format in the table of
// formats.go; nothing here knows schedules, networks or storage.
//
// A format's reader turns bytes into records and says where each one stands. The
// collector decides what becomes of a record: accepted, duplicate, suppressed or
// rejected, always exactly one of these.
package parse

import "github.com/elasticintel/elasticintel/internal/intel"

// Spec says how to read one feed: the part of a feed definition that parsing
// needs. It is plain data; the zero value of every field but Type and Kinds is
// the format's default.
type Spec struct {
	Type       string        // one of Formats
	Kinds      intel.KindSet // what its indicators may be; hosts: default domain
	Separator  string        // between cells, any length; csv: default ","; txt: default none, the line is the value
	Columns    []Column      // column i of a row (csv, txt) or path i of a record (json, ndjson, xml, html)
	HasHeaders bool          // the first row is no record; it names the columns beyond the mapping
	Comments   *[]string     // line-start prefixes of lines that are no records; nil = the format's default
	Inline     *[]string     // prefixes that after a blank end a value (txt, hosts); nil = the default
	NoQuotes   bool          // csv: a quote is an ordinary character
	Records    string        // json, ndjson: path of the records; "" = the document, or the elements of the array it is; xml: as parseElements reads it; html: a tableChoice
	Constants  []intel.Field // fields that every entry gets
	Filter     []FilterRule  // records that break a rule are suppressed
	Exclude    string        // a line prefix that marks an exclusion, "!" in rbldnsd lists: suppressed
	Blanks     []string      // cell texts that mean that there is none, such as None or n/a
}

// Indicator is the Field of a column that holds the indicator.
const Indicator = "indicator"

// Column is one column of a mapping.
//
// Several columns may be Indicator where each says its Kinds: then a row offers
// one indicator in each of them that is not empty, and the others are context.
//
// A source path of json names members, separated by dots, from the record down:
// "url", "details[].ip_address". What it leads to may be a list; each element is
// a value. "." is the record itself, where that is a plain value; "*" is the name
// that the last * of Records stood for. In xml and html @name is an attribute.
type Column struct {
	Source string        // its name in the feed, or (json, ndjson, xml, html) a path
	Field  string        // the context field it goes to, Indicator, or "" to skip it
	Type   string        // "" or "text"; "list": split at Split; "time" and "int": kept as written
	Split  string        // Type list: the separator, default ","
	Kinds  intel.KindSet // of an Indicator column: what its values may be; 0 = the feed's
}

// FilterRule keeps only records in which a value of Column is (or, with Not,
// none is) one of Values, which are compared exactly. Column is a source, a
// destination, colN with N from 1, a header name or a path.
type FilterRule struct {
	Column string
	Values []string
	Not    bool
}
