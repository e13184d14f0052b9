package feed

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"
)

// node is a JSON value that remembers where it stood, so that a mistake can be
// shown by line and every key of an object is seen, doubled ones included.
type node struct {
	line    int
	value   any      // string, json.Number or bool
	members []member // of an object
	items   []*node  // of an array
	kind    nodeKind
}

type member struct {
	key   string
	line  int
	value *node
}

type nodeKind string

const (
	objectNode nodeKind = "an object"
	arrayNode  nodeKind = "a list"
	stringNode nodeKind = "a string"
	numberNode nodeKind = "a number"
	boolNode   nodeKind = "true or false"
	nullNode   nodeKind = "null"
)

// maxDepth is far above what a definition nests.
const maxDepth = 32

type treeReader struct {
	data []byte
	dec  *json.Decoder
}

// readTree reads one JSON value and nothing after it. On an error the line is where it stands.
func readTree(data []byte) (root *node, line int, err error) {
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	if !utf8.Valid(data) {
		return nil, 0, errors.New("the file is not UTF-8")
	}
	t := &treeReader{data: data, dec: json.NewDecoder(bytes.NewReader(data))}
	t.dec.UseNumber()
	root, err = t.value(0)
	if err == nil {
		if _, extra := t.dec.Token(); extra != io.EOF {
			err = errors.New("there is more after the end of the JSON value")
		}
	}
	if err != nil {
		return nil, t.errorLine(err), t.plain(err)
	}
	return root, 0, nil
}

func (t *treeReader) line() int {
	return 1 + bytes.Count(t.data[:min(int(t.dec.InputOffset()), len(t.data))], []byte("\n"))
}

func (t *treeReader) errorLine(err error) int {
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) && syntax.Offset > t.dec.InputOffset() {
		return 1 + bytes.Count(t.data[:min(int(syntax.Offset), len(t.data))], []byte("\n"))
	}
	return t.line()
}

// plain puts what the decoder says into a sentence.
func (t *treeReader) plain(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("not valid JSON: it ends in the middle")
	}
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		return fmt.Errorf("not valid JSON: %w", err)
	}
	return err
}

func (t *treeReader) value(depth int) (*node, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("nested more than %d deep", maxDepth)
	}
	tok, err := t.dec.Token()
	if err != nil {
		return nil, err
	}
	n := &node{line: t.line()}
	switch v := tok.(type) {
	case json.Delim:
		if v == '{' {
			return n, t.object(n, depth)
		}
		return n, t.array(n, depth)
	case string:
		n.kind, n.value = stringNode, v
	case json.Number:
		n.kind, n.value = numberNode, v
	case bool:
		n.kind, n.value = boolNode, v
	default:
		n.kind = nullNode
	}
	return n, nil
}

func (t *treeReader) object(n *node, depth int) error {
	n.kind = objectNode
	for t.dec.More() {
		tok, err := t.dec.Token()
		if err != nil {
			return err
		}
		key, _ := tok.(string) // the decoder accepts nothing else here
		m := member{key: key, line: t.line()}
		if m.value, err = t.value(depth + 1); err != nil {
			return err
		}
		n.members = append(n.members, m)
	}
	_, err := t.dec.Token()
	return err
}

func (t *treeReader) array(n *node, depth int) error {
	n.kind = arrayNode
	for t.dec.More() {
		item, err := t.value(depth + 1)
		if err != nil {
			return err
		}
		n.items = append(n.items, item)
	}
	_, err := t.dec.Token()
	return err
}

// get returns the value of the object's first member called key, or nil.
func (n *node) get(key string) *node {
	for _, m := range n.members {
		if m.key == key {
			return m.value
		}
	}
	return nil
}

// text returns a string's value, "" for anything else.
func (n *node) text() string {
	if n == nil {
		return ""
	}
	s, _ := n.value.(string)
	return s
}
