// Package enrich reads registration records: who registered a domain or was given
// a network, through whom, and when. It understands the JSON of RDAP (RFC 9083)
// and the text that registries and registrars answer with on port 43. It asks
// nobody anything.
//
// Personal data is left out: of registrants and contacts only the organisation
// that holds a network is kept, and the address to which abuse is reported.
package enrich

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/elasticintel/elasticintel/internal/intel"
)

// MaxAnswer is the size in bytes of the largest answer that is read. The largest
// real ones are below 100 KiB.
const MaxAnswer = 1 << 20

const (
	maxText = 256 // bytes of a name or status
	maxList = 128 // members of a list
)

// What an answer says instead of a record.
var (
	// ErrUnregistered: there is no such registration.
	ErrUnregistered = errors.New("the answer says that there is no such registration")
	// ErrRefused: the server was asked too often, or does not serve the asker.
	ErrRefused = errors.New("the answer refuses: too many questions or no access; ask again later")
	// ErrNoRecord: there is nothing in it that could be read as a record.
	ErrNoRecord = errors.New("no registration record in the answer")
)

// Record is what an answer says: either of the two is set.
type Record struct {
	Domain  *Domain
	Network *Network
}

// Domain is the registration of a domain. Lists are never nil.
type Domain struct {
	Name        string   `json:"domain_name"`  // canonical: lower case, ASCII
	Registrar   string   `json:"registrar"`    // as the answer names it: a name, or a handle; "" = not said
	Created     Date     `json:"created"`      // where only "before" a time is known, that time
	Updated     Date     `json:"updated"`      // the last change
	Expires     Date     `json:"expires"`      // until when it is paid for
	NameServers []string `json:"name_servers"` // canonical, in the order of the answer, each once
	Status      []string `json:"status"`       // EPP codes as RFC 5731 spells them, others as the answer does; each once
}

// Network is the registration of a range of addresses or, without CIDR, of an
// autonomous system. The list is never nil.
type Network struct {
	CIDR      []string `json:"cidr"`      // the prefixes that the range consists of, in order
	Name      string   `json:"name"`      // the registry's name for it
	Org       string   `json:"org"`       // the organisation that holds it, never a person
	Country   string   `json:"country"`   // ISO 3166-1 alpha-2, upper case
	Registry  string   `json:"registry"`  // afrinic, apnic, arin, lacnic or ripencc, as in their delegation files
	Abuse     string   `json:"abuse"`     // mail address that takes reports
	ASN       uint32   `json:"asn"`       // 0 = not said
	Allocated Date     `json:"allocated"` // when the range was given, or its record made
}

// Parse reads the answer of a registry: RDAP, or text of port 43. Name is the
// domain that was asked for, "" for whatever the answer is about. An answer of a
// domain above it counts, one about another domain is an error. Besides the
// errors of this package there are those of unusable input, which say what is wrong.
func Parse(answer []byte, name string) (*Record, error) {
	if len(answer) > MaxAnswer {
		return nil, fmt.Errorf("the answer has %d bytes, more than the %d that are read: it is no registration record", len(answer), MaxAnswer)
	}
	if name != "" {
		i, err := intel.Parse(name, intel.Domain.Set())
		if err != nil {
			return nil, fmt.Errorf("domain %q: %w", clean(name), err)
		}
		name = i.Value
	}
	answer = bytes.TrimSpace(bytes.TrimPrefix(answer, []byte("\ufeff")))
	if bytes.HasPrefix(answer, []byte("{")) {
		return parseRDAP(answer, name)
	}
	return parseText(string(answer), name)
}

// about says whether an answer about a domain is one for who asked for name.
func about(domain, name string) bool {
	return name == "" || domain == name || strings.HasSuffix(name, "."+domain)
}

func otherDomain(domain, name string) error {
	return fmt.Errorf("%w for %s: it is about %s", ErrNoRecord, name, domain)
}

// clean makes text of others fit for a record: one line without control
// characters, valid UTF-8, of bounded length.
func clean(s string) string {
	if len(s) > 4*maxText {
		s = s[:4*maxText]
	}
	s = strings.Join(strings.FieldsFunc(strings.ToValidUTF8(s, "\ufffd"), func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }), " ")
	for len(s) > maxText {
		_, n := utf8.DecodeLastRuneInString(s)
		s = s[:len(s)-n]
	}
	return strings.TrimSpace(s)
}

// host returns the canonical form of a host name, or "" for what is none. Top
// level domains have no dot and are none.
func host(s string) string {
	s = strings.ToLower(strings.TrimSuffix(strings.TrimSpace(s), "."))
	if len(s) > 253 || !strings.Contains(s, ".") {
		return ""
	}
	digits := true
	for _, label := range strings.Split(s, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return ""
		}
		for _, c := range []byte(label) {
			if c != '-' && c != '_' && (c < '0' || c > '9') && (c < 'a' || c > 'z') {
				return ""
			}
			digits = digits && c >= '0' && c <= '9'
		}
	}
	if digits {
		return "" // an IPv4 address
	}
	return s
}

// domainName returns the canonical form of the domain that a record is about: a
// host name, one written in its own script, or a top level domain; "" for others.
func domainName(s string) string {
	s = strings.ToLower(strings.TrimSuffix(strings.TrimSpace(s), "."))
	if h := host(s); h != "" {
		return h
	}
	if host(s+".x") != "" && strings.Trim(s, "0123456789") != "" {
		return s
	}
	if i, err := intel.Parse(s, intel.Domain.Set()); err == nil && len(s) <= maxText {
		return i.Value
	}
	return ""
}

// mail returns s if it looks like a mail address, in lower case.
func mail(s string) string {
	s = strings.ToLower(strings.Trim(clean(s), "<>'\" "))
	at := strings.IndexByte(s, '@')
	if at < 1 || strings.ContainsAny(s, " ,;:()<>\"'") || host(s[at+1:]) == "" {
		return ""
	}
	return s
}

// add appends what is not there yet, whatever its case, up to the bound.
func add(list []string, s string) []string {
	if s == "" || len(list) >= maxList {
		return list
	}
	for _, have := range list {
		if strings.EqualFold(have, s) {
			return list
		}
	}
	return append(list, s)
}

// eppCodes are the states of a domain (RFC 5731, RFC 3915) that RDAP spells in
// words (RFC 8056). Keys are without spaces, in lower case. Read-only.
var eppCodes = func() map[string]string {
	m := map[string]string{}
	for _, c := range strings.Fields(`addPeriod autoRenewPeriod renewPeriod transferPeriod redemptionPeriod pendingCreate pendingDelete pendingRenew
		pendingRestore pendingTransfer pendingUpdate clientDeleteProhibited clientHold clientRenewProhibited clientTransferProhibited clientUpdateProhibited
		serverDeleteProhibited serverHold serverRenewProhibited serverTransferProhibited serverUpdateProhibited`) {
		m[strings.ToLower(c)] = c
	}
	return m
}()

// status returns a state as a record has it: without the address that explains it.
func status(s string) string {
	s = clean(s)
	if i := strings.Index(s, "http"); i > 0 {
		s = strings.TrimRight(s[:i], " (")
	}
	if i := strings.Index(s, " - "); i > 0 {
		s = s[:i]
	}
	s = strings.TrimSuffix(strings.TrimSpace(s), ".")
	if c, ok := eppCodes[strings.ReplaceAll(strings.ToLower(s), " ", "")]; ok {
		return c
	}
	if strings.HasPrefix(strings.ToLower(s), "no ") || strings.Trim(s, "-") == "" {
		return ""
	}
	return s
}
