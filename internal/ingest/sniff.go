package ingest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/elasticintel/elasticintel/internal/parse"
)

// sniff finds content that is no list at all by its start, whatever the parser
// made of it: a web page, an error message, binary data, nothing.
func sniff(format string, res *parse.Result, head []byte) (code, reason string) {
	text := plainText(head)
	switch {
	case len(text) == 0:
		return "", "" // empty, which may be allowed
	case isBinary(text):
		return CodeBinary, "this is binary data, not a list: it starts with " + fmt.Sprintf("%q", clip(string(text), 24))
	case format != "html" && isHTML(text, slices.Contains(xmlFormats, format)):
		return CodeHTML, "this is a web page, not a list: it starts with " + fmt.Sprintf("%q", clip(string(text), 80))
	case !slices.Contains(xmlFormats, format) && text[0] == '<' && isMarkup(text):
		return CodeError, "this is an XML document, not a list: it starts with " + fmt.Sprintf("%q", clip(string(text), 120))
	case res.Accepted == 0 && isJSONError(format, text):
		return CodeError, "this is an error message, not a list: " + clip(string(text), 200)
	}
	return "", ""
}

// xmlFormats are the formats whose content may start like markup. Read-only.
var xmlFormats = []string{"rss", "xml", "openioc", "html"}

// plainText is head without what may stand before the first character: a byte
// order mark and white space. UTF-16 loses its zeros, which is enough for a look.
func plainText(head []byte) []byte {
	switch {
	case bytes.HasPrefix(head, []byte("\xff\xfe")), bytes.HasPrefix(head, []byte("\xfe\xff")):
		head = bytes.ReplaceAll(head[2:], []byte{0}, nil)
	case bytes.HasPrefix(head, []byte("\xef\xbb\xbf")):
		head = head[3:]
	}
	return bytes.TrimSpace(head)
}

// isBinary: of text, at most a tenth is control characters (NULs occur in lists).
func isBinary(text []byte) bool {
	for _, magic := range []string{"%PDF-", "\x7fELF", "\x89PNG", "GIF8", "\xff\xd8\xff", "SQLite format 3\x00", "wOF", "\x00asm"} {
		if bytes.HasPrefix(text, []byte(magic)) {
			return true
		}
	}
	control := 0
	for _, c := range text {
		if c < ' ' && !(c >= '\t' && c <= '\r') && c != 0x1b {
			control++
		}
	}
	return control*10 > len(text)
}

// isHTML looks for a page's start, at the beginning or at a line's beginning
// after comments or messages. In XML any element may begin a document but html.
func isHTML(text []byte, xml bool) bool {
	low := bytes.ToLower(text)
	if low[0] == '<' && !xml {
		for _, tag := range []string{"!doctype html", "html", "head", "body", "title", "meta", "script", "style", "link", "div", "p", "br", "center",
			"h1", "h2", "h3", "font", "table", "iframe", "a", "b", "pre", "span", "form", "img", "noscript", "svg"} {
			if rest, ok := bytes.CutPrefix(low[1:], []byte(tag)); ok && (len(rest) == 0 || !isNameByte(rest[0])) {
				return true
			}
		}
	}
	for line := range bytes.Lines(low) {
		line = bytes.TrimSpace(line)
		if bytes.HasPrefix(line, []byte("<!doctype html")) || bytes.HasPrefix(line, []byte("<html>")) || bytes.HasPrefix(line, []byte("<html ")) {
			return true
		}
	}
	return false
}

func isNameByte(c byte) bool { return c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' }

// isMarkup: '<' and what a tag, a comment or a declaration goes on with.
func isMarkup(text []byte) bool {
	return len(text) > 1 && (isNameByte(text[1]|0x20) || text[1] == '!' || text[1] == '?')
}

// jsonFormats are the formats whose content may be one JSON object. Read-only.
var jsonFormats = []string{"json", "ndjson", "stix", "taxii", "misp", "misp-warninglist", "otx"}

// errorKeys are what error messages in JSON are made of: RFC 9457 and what
// publishers of feeds send. Read-only.
var errorKeys = []string{"error", "errors", "error_message", "message", "msg", "detail", "details", "status", "statuscode", "status_code",
	"query_status", "code", "fault", "exception", "reason", "title", "success", "ok", "response_code"}

// fineValues are values of those keys that mean no error. Read-only.
var fineValues = []string{`null`, `""`, `[]`, `{}`, `0`, `200`, `"200"`, `"ok"`, `"success"`}

// isJSONError: an object where no list came out. In a format that is not JSON
// any object will do; in one that is, only with the keys of an error.
func isJSONError(format string, text []byte) bool {
	if text[0] != '{' {
		return false
	}
	isJSON := slices.Contains(jsonFormats, format)
	dec := json.NewDecoder(bytes.NewReader(text))
	if _, err := dec.Token(); err != nil {
		return false
	}
	for first := true; dec.More(); first = false {
		key, err := dec.Token()
		name, ok := key.(string)
		if err != nil || !ok {
			return false
		}
		if !isJSON && first {
			return true
		}
		var value json.RawMessage
		if dec.Decode(&value) != nil { // cut off here
			return false
		}
		if isErrorField(strings.ToLower(name), strings.ToLower(string(value))) {
			return true
		}
	}
	return !isJSON
}

func isErrorField(name, value string) bool {
	positive := name == "success" || name == "ok"
	switch {
	case !slices.Contains(errorKeys, name) || slices.Contains(fineValues, value):
		return false
	case value == "true":
		return !positive
	case value == "false":
		return positive
	}
	return true
}

// clip shortens s to n bytes, at a character's end, without line breaks.
func clip(s string, n int) string {
	s = strings.Join(strings.Fields(strings.ToValidUTF8(s, "?")), " ")
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "") + "…"
}
