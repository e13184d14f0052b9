package intel

// ValueError says why a value cannot be used as an indicator.
type ValueError struct {
	Code   string // empty not_an_indicator wrong_kind invalid too_long
	Value  string // what was given, shortened to 200 bytes
	Reason string // a sentence without the value
}

// Error gives the value and the reason.
func (e *ValueError) Error() string { return e.Value + ": " + e.Reason }

// Parse cleans, refangs and canonicalises one value that must be one of kinds.
// Its error is a *ValueError.
func Parse(s string, kinds KindSet) (Indicator, error) {
	return Indicator{}, &ValueError{Code: "invalid", Value: s, Reason: "not implemented"}
}

// Detect canonicalises a value of any kind, as a person typed it.
func Detect(s string) (Indicator, error) { return Parse(s, AnyKind) }

// SplitComposite splits `filename|sha256` and its like.
func SplitComposite(s string) (name, value string, ok bool) { return "", s, false }

// Refang undoes the ways people make a value unclickable.
func Refang(s string) string { return s }

// Defang makes a value unclickable, for people.
func Defang(s string) string { return s }
