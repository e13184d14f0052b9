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
	begun int64            // Unix ms: what was purged before cannot be missed, for following began later
	swept int64            // listings that ended by themselves up to here were told
	told  map[uint64]int64 // by feed (feedHash): changes up to here were told
	at    *spotTold        // where a page ended; nil: nothing was left
}

// spotTold is the last event of a page: what comes before it in the order of
// events was told too.
type spotTold struct {
	ms   int64
	feed uint64
	ind  intel.Indicator
}

const (
	cursorFormat  = 1
	feedHashBytes = 6 // of the feed's hash: 180 feeds collide once in 10^10 stores
)

// feedHash identifies a feed in a cursor.
func feedHash(id string) uint64 { return xxhash.Sum64String(id) >> (64 - 8*feedHashBytes) }

// encode writes the cursor of a store:
//
//	u8 format, u32 of the store's seed check
//	varint begun, varint swept - begun
//	uvarint feeds; for each, by hash: 6 bytes hash, varint told - begun
//	u8 1 and varint ms - begun, 6 bytes feed hash, u8 kind, text value, or u8 0
//	u32 of the xxhash64 of all that
//
// in URL-safe base64. Big endian.
func (m *mark) encode(h hasher) string {
	b := binary.BigEndian.AppendUint32([]byte{cursorFormat}, uint32(h.check()))
	b = binary.AppendVarint(b, m.begun)
	b = binary.AppendVarint(b, m.swept-m.begun)
	b = binary.AppendUvarint(b, uint64(len(m.told)))
	for _, f := range slices.Sorted(maps.Keys(m.told)) {
		b = binary.AppendVarint(appendFeedHash(b, f), m.told[f]-m.begun)
	}
	if m.at == nil {
		b = append(b, 0)
	} else {
		b = binary.AppendVarint(append(b, 1), m.at.ms-m.begun)
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
	m := &mark{begun: c.varint(), told: map[uint64]int64{}}
	m.swept = m.begun + c.varint()
	for range c.length() {
		f := c.feedHash()
		m.told[f] = m.begun + c.varint()
	}
	if c.byte() == 1 {
		m.at = &spotTold{ms: m.begun + c.varint(), feed: c.feedHash()}
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
