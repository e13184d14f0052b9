package enrich

// Clean makes text of others fit for a record: one line without control
// characters, valid UTF-8, of bounded length.
func Clean(s string) string { return clean(s) }

// HostName returns the canonical form of a host name, or "" for what is none.
func HostName(s string) string { return host(s) }

// ParseDate reads a date in any layout that registries use, "" for what is none.
func ParseDate(s string) Date { return parseDate(s) }

// Country returns a two-letter code in upper case, "" for what is none.
func Country(s string) string { return country(s) }
