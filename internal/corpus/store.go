package corpus

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/cespare/xxhash/v2"
	"github.com/dchest/siphash"

	"github.com/elasticintel/elasticintel/internal/blob"
	"github.com/elasticintel/elasticintel/internal/intel"
)

// ErrNoStore says that a folder or bucket holds no ElasticIntel store.
var ErrNoStore = errors.New("no ElasticIntel data here")

// ErrNewer says that something was written by a newer elasticintel than this one.
var ErrNewer = errors.New("written by a newer elasticintel")

// ErrCorrupt says that an object's content is not what was written.
var ErrCorrupt = errors.New("corrupt")

// Keys of the objects of this package.
const (
	storeKey  = "store.json"
	headDir   = "heads/"
	headExt   = ".json"
	segDir    = "segments/"
	segExt    = ".seg"
	maxHeader = 1 << 20 // most bytes that store.json or a head may have
)

const storeFormat = 1

// storeFile is store.json.
type storeFile struct {
	Format int    `json:"format"`
	Seed   string `json:"seed"` // 32 hex digits
}

func newer(what string, has, reads int) error {
	return fmt.Errorf("%s was %w (format %d; this one reads up to %d); upgrade", what, ErrNewer, has, reads)
}

// Init makes a store usable: it writes store.json with a random seed unless
// there is one.
func Init(ctx context.Context, store blob.Store) error {
	_, err := readStore(ctx, store)
	if !errors.Is(err, ErrNoStore) {
		return err
	}
	seed := make([]byte, 16)
	_, _ = rand.Read(seed) // never fails
	data, err := seal(storeFile{Format: storeFormat, Seed: hex.EncodeToString(seed)})
	if err != nil {
		return err
	}
	_, err = blob.Write(ctx, store, storeKey, data, blob.Cond{IfAbsent: true})
	if errors.Is(err, blob.ErrConflict) {
		return nil // another process made it just now
	}
	return err
}

// readStore reads store.json and returns the hasher of its seed.
func readStore(ctx context.Context, store blob.Store) (hasher, error) {
	data, _, err := blob.Read(ctx, store, storeKey)
	if errors.Is(err, blob.ErrNotFound) {
		return hasher{}, ErrNoStore
	} else if err != nil {
		return hasher{}, err
	}
	var f storeFile
	if err := unseal(data, "the store", storeFormat, &f); err != nil {
		return hasher{}, fmt.Errorf("%s: %w", storeKey, err)
	}
	seed, err := hex.DecodeString(f.Seed)
	if err != nil || len(seed) != 16 {
		return hasher{}, fmt.Errorf("%s: %w: the seed is not 32 hex digits", storeKey, ErrCorrupt)
	}
	return hasher{binary.LittleEndian.Uint64(seed), binary.LittleEndian.Uint64(seed[8:]), ^uint64(0)}, nil
}

// hasher is SipHash-2-4 under the store's seed: nobody who does not know it can
// make values that collide.
type hasher struct {
	k0, k1 uint64
	mask   uint64 // all ones; tests narrow it to force collisions
}

// sum hashes a kind and a value.
func (h hasher) sum(kind intel.Kind, value string) uint64 {
	var stack [200]byte
	b := append(append(stack[:0], byte(kind)), value...)
	return siphash.Hash(h.k0, h.k1, b) & h.mask
}

func (h hasher) sumBytes(kind intel.Kind, value []byte) uint64 {
	var stack [200]byte
	b := append(append(stack[:0], byte(kind)), value...)
	return siphash.Hash(h.k0, h.k1, b) & h.mask
}

// check identifies the seed without giving it away.
func (h hasher) check() uint64 { return siphash.Hash(h.k0, h.k1, []byte(magic)) }

// A sealed object is a JSON object whose last member is a checksum of the bytes
// before it, so that damage that leaves it readable is found too.
const (
	sealStart = `,"sum":"`
	sealEnd   = "\"}\n"
	sealLen   = len(sealStart) + 16 + len(sealEnd)
)

// seal writes v, a struct with at least one member, as sealed JSON.
func seal(v any) ([]byte, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	body := bytes.TrimSuffix(buf.Bytes(), []byte("}\n"))
	sum := xxhash.Sum64(body)
	return fmt.Appendf(body, "%s%016x%s", sealStart, sum, sealEnd), nil
}

// unseal reads what seal wrote into v. The format is looked at first, since a
// newer one may be sealed in another way.
func unseal(data []byte, what string, format int, v any) error {
	var f struct{ Format int }
	if err := json.Unmarshal(data, &f); err == nil && f.Format > format {
		return newer(what, f.Format, format)
	}
	cut := len(data) - sealLen
	if cut < 0 || len(data) > maxHeader || !bytes.HasPrefix(data[cut:], []byte(sealStart)) || !bytes.HasSuffix(data, []byte(sealEnd)) {
		return fmt.Errorf("%w: it does not end with its checksum (truncated?)", ErrCorrupt)
	}
	if sum := fmt.Sprintf("%016x", xxhash.Sum64(data[:cut])); sum != string(data[cut+len(sealStart):len(data)-len(sealEnd)]) {
		return fmt.Errorf("%w: its checksum differs", ErrCorrupt)
	}
	if err := json.Unmarshal(data, v); err != nil {
		return fmt.Errorf("%w: %v", ErrCorrupt, err)
	}
	return nil
}
