package source

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"strings"
	"time"
)

const (
	markerName = "elasticintel-parts.json"
	markerText = "{\"format\":1}\n"

	paxURL       = "ELASTICINTEL.url"
	paxStamp     = "ELASTICINTEL.stamp"
	paxReference = "ELASTICINTEL.reference"
	paxRole      = "ELASTICINTEL.role"
	roleList     = "list"

	maxPack = 1 << 30 // bytes of a pack, as much as one download may unpack to
	maxName = 60      // of a part, behind its number
	maxPAX  = 4 << 10 // bytes of a record's value
)

// member is what a pack says of one of its parts.
type member struct {
	name      string // with its number, once it is packed
	url       string // where from, redacted
	stamp     string // of an item: when it was changed last
	reference string // of an item: where people find it
	list      bool   // it names the items and is no part of the feed
}

// packer writes a pack.
type packer struct {
	f   *os.File
	sum hash.Hash
	tar *tar.Writer
	n   int // parts so far
	len int64
}

// newPacker begins a pack in f.
func newPacker(f *os.File) (*packer, error) {
	p := &packer{f: f, sum: sha256.New()}
	p.tar = tar.NewWriter(p)
	err := p.tar.WriteHeader(&tar.Header{Name: markerName, Typeflag: tar.TypeReg, Mode: 0o600, Size: int64(len(markerText)), ModTime: epoch()})
	if err == nil {
		_, err = io.WriteString(p.tar, markerText)
	}
	return p, err
}

// epoch is the time of all members: equal answers make equal packs.
func epoch() time.Time { return time.Unix(0, 0) }

// Write implements io.Writer for the tar.
func (p *packer) Write(b []byte) (int, error) {
	n, err := p.f.Write(b)
	p.sum.Write(b[:n])
	p.len += int64(n)
	return n, err
}

// add packs a part of size bytes.
func (p *packer) add(m member, r io.Reader, size int64) error {
	if p.len+size > maxPack {
		return fmt.Errorf("the pull has more than %d MiB", maxPack>>20)
	}
	h := &tar.Header{Typeflag: tar.TypeReg, Mode: 0o600, Size: size, ModTime: epoch(), Format: tar.FormatPAX, PAXRecords: map[string]string{}}
	for key, value := range map[string]string{paxURL: m.url, paxStamp: m.stamp, paxReference: m.reference} {
		if value = paxValue(value); value != "" {
			h.PAXRecords[key] = value
		}
	}
	if m.list {
		h.PAXRecords[paxRole] = roleList
	} else {
		p.n++
	}
	h.Name = fmt.Sprintf("%04d-%s", p.n, safeName(m.name))
	err := p.tar.WriteHeader(h)
	if err == nil {
		_, err = io.CopyN(p.tar, r, size)
	}
	return err
}

// paxValue is s as a PAX record can hold it.
func paxValue(s string) string {
	s = strings.ToValidUTF8(strings.ReplaceAll(s, "\x00", ""), "?")
	return strings.ToValidUTF8(s[:min(len(s), maxPAX)], "")
}

// safeName makes a name of what is already redacted.
func safeName(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '.', r == '_', r == '-':
			return r
		}
		return '-'
	}, s)
	if s = strings.Trim(s, ".-"); s == "" {
		return "part"
	}
	return s[:min(len(s), maxName)]
}

// close ends the pack; the file is at its beginning then.
func (p *packer) close() (size int64, sum string, err error) {
	err = p.tar.Close()
	if err == nil {
		_, err = p.f.Seek(0, io.SeekStart)
	}
	return p.len, hex.EncodeToString(p.sum.Sum(nil)), err
}

// IsPack says whether a file is a pack.
func IsPack(f io.ReaderAt) bool {
	head := make([]byte, 512)
	if n, _ := f.ReadAt(head, 0); n < len(head) {
		return false
	}
	return bytes.HasPrefix(head, []byte(markerName+"\x00")) && bytes.HasPrefix(head[257:], []byte("ustar"))
}

// unpacker reads a pack.
type unpacker struct {
	f   *os.File
	tar *tar.Reader
}

// newUnpacker reads the pack in f from its start.
func newUnpacker(f *os.File) (*unpacker, error) {
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	u := &unpacker{f: f, tar: tar.NewReader(f)}
	if h, err := u.tar.Next(); err != nil || h.Name != markerName {
		return nil, fmt.Errorf("this is no pack of parts: %w", errors.Join(err, errMarker))
	}
	return u, nil
}

var errMarker = errors.New("it does not begin with " + markerName)

// next goes to the next part; io.EOF behind the last. body is the part's bytes,
// good until the next call.
func (u *unpacker) next() (m member, body *io.SectionReader, err error) {
	h, err := u.tar.Next()
	if err == io.EOF {
		return m, nil, io.EOF
	}
	if err != nil || h.Typeflag != tar.TypeReg {
		return m, nil, fmt.Errorf("the pack of parts is damaged: %w", errors.Join(err, errKind(h)))
	}
	at, err := u.f.Seek(0, io.SeekCurrent) // the reader takes whole blocks, and no more
	if err != nil {
		return m, nil, err
	}
	m = member{name: h.Name, url: h.PAXRecords[paxURL], stamp: h.PAXRecords[paxStamp],
		reference: h.PAXRecords[paxReference], list: h.PAXRecords[paxRole] == roleList}
	return m, io.NewSectionReader(u.f, at, h.Size), nil
}

func errKind(h *tar.Header) error {
	if h == nil || h.Typeflag == tar.TypeReg {
		return nil
	}
	return fmt.Errorf("%q is no file", safeName(h.Name))
}
