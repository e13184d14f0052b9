package api

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"

	"github.com/elasticintel/elasticintel/internal/intel"
)

// maxRaw is the length in bytes up to which a value is read; the rest of a longer
// one is skipped. A JSON string that long is longer than any indicator even if
// every character of it is an escape (\u0000) and its quotes are counted, so
// nothing is lost: the value's answer is the error too_long.
const maxRaw = 6*intel.MaxValue + 3

// readSize is the buffer of a body being read: a value of maxRaw fits into it.
const readSize = maxRaw + 4096

// valuesReader reads a body and hands on each value in it. The bytes it hands on
// are valid until it continues.
type valuesReader func(br *bufio.Reader, add func([]byte) error) error

// readerFor picks the reader by the request's Content-Type.
func readerFor(r *http.Request) (valuesReader, error) {
	if e := r.Header.Get("Content-Encoding"); e != "" && !strings.EqualFold(e, "identity") {
		return nil, &fault{is: errMedia, detail: fmt.Sprintf("Content-Encoding %.40q is not unpacked here: send the body as it is", e)}
	}
	media, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if cs := params["charset"]; err == nil && cs != "" && !strings.EqualFold(cs, "utf-8") && !strings.EqualFold(cs, "us-ascii") {
		return nil, &fault{is: errMedia, detail: fmt.Sprintf("charset %.40q: send UTF-8", cs)}
	}
	switch media {
	case typeJSON:
		return readJSON, nil
	case typeNDJSON, "application/ndjson", "application/jsonl":
		return readNDJSON, nil
	case typeText:
		return readText, nil
	}
	return nil, &fault{is: errMedia, detail: fmt.Sprintf("Content-Type %.80q: send application/json ({\"values\":[…]}), application/x-ndjson (a string or {\"value\":…} a line) or text/plain (a value a line)", r.Header.Get("Content-Type"))}
}

// readText reads a paste: a value a line, blank lines skipped.
func readText(br *bufio.Reader, add func([]byte) error) error {
	return eachLine(br, add)
}

// readNDJSON reads a JSON string or an object with a "value" from each line. Any
// other line is taken for a value as it stands, whose answer will say what it is not.
func readNDJSON(br *bufio.Reader, add func([]byte) error) error {
	return eachLine(br, func(line []byte) error { return add(valueOf(line)) })
}

// eachLine hands on every line that is not blank, without the white space around it.
func eachLine(br *bufio.Reader, add func([]byte) error) error {
	for {
		line, err := br.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			line = bytes.Clone(line[:maxRaw])
			for errors.Is(err, bufio.ErrBufferFull) {
				_, err = br.ReadSlice('\n')
			}
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if line = bytes.TrimSpace(line); len(line) > maxRaw {
			line = line[:maxRaw]
		}
		if len(line) > 0 {
			if err := add(line); err != nil {
				return err
			}
		}
		if err != nil {
			return nil
		}
	}
}

// valueOf is the value that a JSON text stands for: a string's content, an
// object's "value", else the text itself.
func valueOf(raw []byte) []byte {
	switch raw[0] {
	case '"':
		if v, ok := plain(raw); ok {
			return v
		}
		var s string
		if json.Unmarshal(raw, &s) == nil {
			return []byte(s)
		}
	case '{':
		var o struct{ Value *string }
		if json.Unmarshal(raw, &o) == nil && o.Value != nil {
			return []byte(*o.Value)
		}
	}
	return raw
}

// plain returns the content of a quoted string without anything to decode.
func plain(raw []byte) ([]byte, bool) {
	if len(raw) < 2 || raw[len(raw)-1] != '"' {
		return nil, false
	}
	v := raw[1 : len(raw)-1]
	for _, c := range v {
		if c < 0x20 || c >= 0x7f || c == '"' || c == '\\' {
			return nil, false
		}
	}
	return v, true
}
