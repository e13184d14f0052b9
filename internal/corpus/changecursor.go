package corpus

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/cespare/xxhash/v2"

	"github.com/elasticintel/elasticintel/internal/intel"
)

// mark is what a cursor of Changes says: how far everything was told. Each feed
// has a time of its own, since a run may commit after a later run of another feed.
type mark struct {
	swept int64                // Unix ms: listings that ended by themselves up to here were told
	feeds map[uint64]*feedTold // by feedHash
	at    *spotTold            // where a page ended; nil: nothing was left
}

// feedTold is what was told of one feed.
type feedTold struct {
	told int64  // Unix ms: changes up to here were told
	met  int64  // the feed's last good run when it was first read: what had ended by then was never told as listed
	rule uint16 // of when what is absent ends (ruleHash)
}

// safe is the time up to which changes may be forgotten without being missed.
func (t *feedTold) safe() int64 { return max(t.told, t.met) }

// ruleHash identifies the rule by which a feed's absent listings end by
// themselves. Another rule ends others, in the past as well, which nothing tells.
// Kinds count where they differ from the rest, so that a kind that a later program
// adds does not change the rule.
func ruleHash(i *intel.FeedInfo) uint16 {
	rest := ttlOf(i, intel.KindNone)
	b := binary.BigEndian.AppendUint64(nil, uint64(rest))
	for _, k := range slices.Sorted(maps.Keys(i.KindTTL)) {
		if ttl := ttlOf(i, k); ttl != rest {
			b = binary.BigEndian.AppendUint64(append(b, byte(k)), uint64(ttl))
		}
	}
	return uint16(xxhash.Sum64(b))
}

// spotTold is the last event of a page: what comes before it in the order of
// events was told too.
type spotTold struct {
	ms   int64
	feed uint64
	ind  intel.Indicator
}

const (
	cursorFormat  = 2
	feedHashBytes = 6 // of the feed's hash: 180 feeds collide once in 10^10 stores
)

// feedHash identifies a feed in a cursor.
func feedHash(id string) uint64 { return xxhash.Sum64String(id) >> (64 - 8*feedHashBytes) }

// encode writes the cursor of a store:
//
//	u8 format, u32 of the store's seed check
//	varint swept
//	uvarint feeds; for each, by hash: 6 bytes hash, u16 rule, varint told - swept, varint met - told
//	u8 1 and varint ms - swept, 6 bytes feed hash, u8 kind, text value, or u8 0
//	u32 of the xxhash64 of all that
//
// in URL-safe base64. Big endian.
func (m *mark) encode(h hasher) string {
	b := binary.BigEndian.AppendUint32([]byte{cursorFormat}, uint32(h.check()))
	b = binary.AppendVarint(b, m.swept)
	b = binary.AppendUvarint(b, uint64(len(m.feeds)))
	for _, id := range slices.Sorted(maps.Keys(m.feeds)) {
		f := m.feeds[id]
		b = binary.BigEndian.AppendUint16(appendFeedHash(b, id), f.rule)
		b = binary.AppendVarint(b, f.told-m.swept)
		b = binary.AppendVarint(b, f.met-f.told)
	}
	if m.at == nil {
		b = append(b, 0)
	} else {
		b = binary.AppendVarint(append(b, 1), m.at.ms-m.swept)
		b = append(appendFeedHash(b, m.at.feed), byte(m.at.ind.Kind))
		b = appendText(b, m.at.ind.Value)
	}
	b = binary.BigEndian.AppendUint32(b, uint32(xxhash.Sum64(b)))
	return base64.RawURLEncoding.EncodeToString(b)
}

func appendFeedHash(b []byte, f uint64) []byte {
	return append(b, binary.BigEndian.AppendUint64(nil, f)[8-feedHashBytes:]...)
}

// badCursor says why a cursor cannot be used.
func badCursor(format string, a ...any) error {
	return fmt.Errorf("%w: %w; begin anew, without one and with an empty list", intel.ErrCursor, fmt.Errorf(format, a...))
}

// readMark reads what encode wrote.
func readMark(s string, h hasher) (*mark, error) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err != nil || len(b) < 1+4+4 {
		return nil, badCursor("it is not one, or was cut off")
	}
	if b[0] != cursorFormat {
		return nil, badCursor("it has format %d, this program reads %d", b[0], cursorFormat)
	}
	end := len(b) - 4
	if binary.BigEndian.Uint32(b[end:]) != uint32(xxhash.Sum64(b[:end])) {
		return nil, badCursor("its checksum differs: it was cut off or changed")
	}
	if binary.BigEndian.Uint32(b[1:]) != uint32(h.check()) {
		return nil, badCursor("it belongs to another data folder")
	}
	m, err := parseMark(b[5:end])
	if err != nil {
		return nil, badCursor("%w", err)
	}
	return m, nil
}

func parseMark(b []byte) (*mark, error) {
	c := cursor{b: b}
	m := &mark{swept: c.varint(), feeds: map[uint64]*feedTold{}}
	for range c.length() {
		id := c.feedHash()
		f := &feedTold{rule: uint16(c.byte())<<8 | uint16(c.byte())}
		f.told = m.swept + c.varint()
		f.met = f.told + c.varint()
		m.feeds[id] = f
	}
	if c.byte() == 1 {
		m.at = &spotTold{ms: m.swept + c.varint(), feed: c.feedHash()}
		m.at.ind.Kind = intel.Kind(c.byte())
		m.at.ind.Value = string(c.bytes(c.uvarint()))
	}
	if c.bad || len(c.b) > 0 {
		return nil, errors.New("it makes no sense")
	}
	return m, nil
}

func (c *cursor) feedHash() uint64 {
	var b [8]byte
	copy(b[8-feedHashBytes:], c.bytes(feedHashBytes))
	return binary.BigEndian.Uint64(b[:])
}
