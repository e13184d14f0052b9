package parse

import (
	"context"
	"io"
	"strings"

	"github.com/elasticintel/elasticintel/internal/intel"
)

// Reasons of rules that do not block a host or an address of the web.
const (
	suppressedCosmetic = "a rule that changes what a page shows"
	suppressedPartial  = "a rule for some pages only"
	suppressedPattern  = "a pattern that stands for more than one value"
)

// What a modifier of a rule does.
const (
	modifierKeeps   = iota + 1 // the rule blocks what it names
	modifierPartial            // it blocks on some pages, or for some programs
	modifierChanges            // it changes the request or the page
	modifierExcepts            // it takes a rule back
)

// modifiers are those of AdGuard, AdGuard Home and uBlock Origin, by their
// documentations. Read-only.
var modifiers = map[string]int{
	"all": modifierKeeps, "document": modifierKeeps, "doc": modifierKeeps, "important": modifierKeeps, "popup": modifierKeeps,
	"third-party": modifierKeeps, "3p": modifierKeeps, "first-party": modifierKeeps, "1p": modifierKeeps, "match-case": modifierKeeps,
	"script": modifierKeeps, "image": modifierKeeps, "stylesheet": modifierKeeps, "css": modifierKeeps, "object": modifierKeeps,
	"subdocument": modifierKeeps, "frame": modifierKeeps, "xmlhttprequest": modifierKeeps, "xhr": modifierKeeps, "websocket": modifierKeeps,
	"media": modifierKeeps, "font": modifierKeeps, "ping": modifierKeeps, "other": modifierKeeps, "network": modifierKeeps,
	"dnsrewrite": modifierKeeps, "dnstype": modifierKeeps,
	"domain": modifierPartial, "from": modifierPartial, "denyallow": modifierPartial, "app": modifierPartial, "client": modifierPartial,
	"ctag": modifierPartial, "to": modifierPartial, "method": modifierPartial,
	"badfilter": modifierExcepts,
	"csp":       modifierChanges, "permissions": modifierChanges, "removeparam": modifierChanges, "queryprune": modifierChanges, "removeheader": modifierChanges,
	"replace": modifierChanges, "redirect": modifierChanges, "redirect-rule": modifierChanges, "rewrite": modifierChanges, "cookie": modifierChanges,
	"stealth": modifierChanges, "generichide": modifierChanges, "ghide": modifierChanges, "elemhide": modifierChanges, "ehide": modifierChanges,
	"specifichide": modifierChanges, "shide": modifierChanges, "header": modifierChanges, "inline-script": modifierChanges, "inline-font": modifierChanges,
}

// readAdblock reads filter lists of AdBlock, uBlock Origin and AdGuard that block
// names and addresses of the web, and what such lists mix in: plain names, URLs
// and lines of hosts files. Each rule is a record.
func readAdblock(ctx context.Context, r io.Reader, c *collector) error {
	return readLayout(ctx, r, c, c.adblockLine)
}

// adblockLine takes one rule.
func (c *collector) adblockLine(no int, text string) {
	switch {
	case text[0] == '[' && text[len(text)-1] == ']' && strings.IndexByte(text, ' ') > 0:
		return // the heading, [Adblock Plus 2.0]
	case cosmetic(text):
		c.suppress(suppressedCosmetic, 1)
		return
	case text[0] == '#':
		return // a comment
	}
	rule, excepts := strings.CutPrefix(text, "@@")
	if !excepts && !strings.ContainsAny(rule, "|^$") && strings.ContainsAny(rule, " \t") {
		c.hostsLine(no, rule)
		return
	}
	pattern, said := cutModifiers(rule)
	effect := effectOf(said)
	value, wide, why := adblockValue(pattern)
	switch {
	case effect == modifierChanges:
		c.suppress(suppressedCosmetic, 1)
	case effect == modifierPartial:
		c.suppress(suppressedPartial, 1)
	case excepts || effect == modifierExcepts:
		c.except(value)
	case wide:
		c.suppress(suppressedPattern, 1)
	case why != "":
		c.reject(no, text, why)
	case said == "":
		c.listing(no, value)
	default:
		c.listing(no, value, pair{"modifiers", said})
	}
}

// cosmetic says whether a rule is about elements of pages: ##, #@#, #?#, #$# and
// the like between names and a selector.
func cosmetic(text string) bool {
	for i := strings.IndexByte(text, '#'); i >= 0 && i+1 < len(text); {
		rest := strings.TrimLeft(text[i+1:], "@?$%")
		if rest != "" && rest[0] == '#' && len(text)-i-1-len(rest) <= 3 && len(rest) > 1 && rest[1] != ' ' && rest[1] != '#' {
			return true
		}
		next := strings.IndexByte(text[i+1:], '#')
		if next < 0 {
			break
		}
		i += 1 + next
	}
	return false
}

// cutModifiers cuts the modifiers off a rule. A dollar sign that no known
// modifier follows is a part of the pattern.
func cutModifiers(rule string) (pattern, said string) {
	at := strings.LastIndexByte(rule, '$')
	if at < 0 {
		return rule, ""
	}
	for word := range strings.SplitSeq(rule[at+1:], ",") {
		if modifiers[modifierName(word)] != 0 {
			return rule[:at], rule[at+1:]
		}
	}
	return rule, ""
}

// modifierName returns the name of a modifier: ~third-party and domain=a|b have one.
func modifierName(word string) string {
	name, _, _ := strings.Cut(word, "=")
	return strings.TrimPrefix(intel.Trim(name), "~")
}

// effectOf returns the strongest effect of a rule's modifiers.
func effectOf(said string) int {
	effect := 0
	for word := range strings.SplitSeq(said, ",") {
		effect = max(effect, modifiers[modifierName(word)])
	}
	return effect
}

// adblockValue returns the one value that a pattern names. Where it is a good
// pattern that names none, such as a regular expression or a path with a * in the
// middle, wide says so; else why says what is wrong with it.
func adblockValue(pattern string) (value string, wide bool, why string) {
	if len(pattern) > 1 && pattern[0] == '/' && pattern[len(pattern)-1] == '/' {
		return "", true, ""
	}
	value = strings.TrimPrefix(strings.TrimPrefix(pattern, "|"), "|")
	for _, end := range []string{"|", "*", "^"} {
		value = strings.TrimSuffix(value, end)
	}
	if pattern != value {
		value = strings.TrimPrefix(value, "://")
	}
	switch name := strings.TrimPrefix(value, "*."); {
	case value == "" && strings.ContainsAny(pattern, "*^"):
		return "", true, ""
	case value == "":
		return "", false, "a rule without a pattern"
	case strings.Contains(name, "^$"):
		return value, false, "a modifier that is not known"
	case strings.IndexByte(name, '|') >= 0:
		return value, false, "a | in the middle of a pattern"
	default:
		return value, strings.ContainsAny(name, "*^"), ""
	}
}
