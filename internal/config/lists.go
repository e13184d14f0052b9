package config

import (
	"fmt"
	"net/netip"
	"strings"
)

// SecretList is several secrets. As a flag it is given several times; in a
// variable or a file blanks stand between.
type SecretList []Secret

// String prints nothing of the secrets.
func (l *SecretList) String() string {
	if l == nil || len(*l) == 0 {
		return ""
	}
	return redacted
}

// Set adds secrets. It takes everything, since its errors would be printed with
// the text; whoever uses the secrets checks them.
func (l *SecretList) Set(s string) error {
	for word := range strings.FieldsSeq(s) {
		*l = append(*l, Secret(word))
	}
	return nil
}

// Type is what the help calls the value.
func (l *SecretList) Type() string { return "URL" }

// WordList is several words, given as SecretList is.
type WordList []string

// String lists the words with blanks between.
func (l *WordList) String() string {
	if l == nil {
		return ""
	}
	return strings.Join(*l, " ")
}

// Set adds words.
func (l *WordList) Set(s string) error {
	*l = append(*l, strings.Fields(s)...)
	return nil
}

// Type is what the help calls the value.
func (l *WordList) Type() string { return "NAME" }

// NetworkList is several networks, given as SecretList is. A bare address is the
// network of itself.
type NetworkList []netip.Prefix

// String lists the networks with blanks between.
func (l *NetworkList) String() string {
	if l == nil {
		return ""
	}
	var words []string
	for _, p := range *l {
		words = append(words, p.String())
	}
	return strings.Join(words, " ")
}

// Set adds networks.
func (l *NetworkList) Set(s string) error {
	for word := range strings.FieldsSeq(s) {
		p, err := netip.ParsePrefix(word)
		if err != nil {
			ip, bad := netip.ParseAddr(word)
			if bad != nil {
				return fmt.Errorf("%q is no network such as 10.0.0.0/8", word)
			}
			p = netip.PrefixFrom(ip, ip.BitLen())
		}
		if p != p.Masked() {
			return fmt.Errorf("%s has host bits; the network is %s", word, p.Masked())
		}
		*l = append(*l, p)
	}
	return nil
}

// Type is what the help calls the value.
func (l *NetworkList) Type() string { return "NETWORK" }

// words joins a JSON array of texts as a variable would hold it.
func words(list []any) (string, bool) {
	var out []string
	for _, v := range list {
		s, ok := v.(string)
		if !ok {
			return "", false
		}
		out = append(out, s)
	}
	return strings.Join(out, " "), true
}
