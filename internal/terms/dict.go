package terms

import (
	"bytes"
	"errors"
	"fmt"
)

// ErrCorrupt says that an index is not what was written.
var ErrCorrupt = errors.New("corrupt text index")

// dict reads a transducer of vellum's version 1. Unlike vellum's reader it
// trusts no byte: states refer to states in front of them only, so that every
// walk ends, and nothing outside of the data is read.
//
// A state is encoded backwards from its address, where its head is:
//
//	1nccccc  one transition and not final. c is the byte's place in common plus
//	         one, or 0, and then the byte itself comes next. With n the target is
//	         the state right in front; else sizes, target and output come next.
//	0fkkkkkk final with f; k transitions, or 0, and then their number comes next
//	         (1 stands for 256). Then sizes, the transitions' bytes, targets and
//	         outputs, each in descending order, and the final output.
//
// Sizes are the bytes of a target in the upper half and of an output in the
// lower. A target is a distance from the state's lowest byte, or 0: the final
// state without transitions. A key's value is the sum of the outputs on its way.
type dict []byte

const (
	dictHeader = 16 // u64 version, u64 type
	dictFooter = 16 // u64 keys, u64 address of the root

	common = "te/oasripcnw.hlm-du012g=:bf3y5&_4v9678k%?xCDASFIBEjPTzRNM+LOqHG"
)

// state is a decoded state.
type state struct {
	final bool
	out   uint64 // of a final state
	keys  []byte // of the transitions, in descending order

	low   int    // its lowest byte
	sizes byte   // 0: one transition, to next with nextOut
	ends  []byte // targets
	outs  []byte // outputs
	next  int
	one   [1]byte
	value uint64
}

// openDict checks what can be checked at once.
func openDict(data []byte, keys uint64) (dict, error) {
	if len(data) < dictHeader+dictFooter {
		return nil, fmt.Errorf("%w: a dictionary of %d bytes", ErrCorrupt, len(data))
	}
	if v := le.Uint64(data); v != 1 {
		return nil, fmt.Errorf("%w: a dictionary of version %d", ErrCorrupt, v)
	}
	if n := le.Uint64(data[len(data)-dictFooter:]); n != keys {
		return nil, fmt.Errorf("%w: a dictionary of %d keys, not %d (truncated?)", ErrCorrupt, n, keys)
	}
	return dict(data), nil
}

// root decodes the state that keys begin at.
func (d dict) root(s *state) error {
	addr := le.Uint64(d[len(d)-8:])
	if addr > uint64(len(d)) {
		return d.bad(len(d) - 8)
	}
	return d.state(int(addr), s)
}

func (d dict) bad(at int) error {
	return fmt.Errorf("%w: dictionary at byte %d", ErrCorrupt, at)
}

// state decodes the state at an address.
func (d dict) state(addr int, s *state) error {
	if addr == 0 {
		s.final, s.out, s.keys = true, 0, nil
		return nil
	}
	if addr < dictHeader+1 || addr >= len(d)-dictFooter {
		return d.bad(addr)
	}
	if head := d[addr]; head&0x80 == 0 {
		return d.many(addr, head, s)
	} else {
		return d.single(addr, head, s)
	}
}

// single decodes a state with one transition. In front of every state are at
// least the 16 bytes of the header, so small steps back cannot leave the data.
func (d dict) single(addr int, head byte, s *state) error {
	s.final, s.sizes, s.value = false, 0, 0
	at := addr
	if c := head & 63; c > 0 {
		s.one[0] = common[c-1]
	} else {
		at--
		s.one[0] = d[at]
	}
	s.keys = s.one[:]
	if head&0x40 != 0 {
		s.next = at - 1
		return nil
	}
	at--
	target, out := int(d[at]>>4), int(d[at]&15)
	at -= target + out
	if at < dictHeader || target > 8 || out > 8 {
		return d.bad(addr)
	}
	s.value = packed(d[at : at+out])
	return s.follow(d, at, packed(d[at+out:at+out+target]))
}

// follow sets next to the state that is so far in front of low.
func (s *state) follow(d dict, low int, distance uint64) error {
	switch {
	case distance == 0:
		s.next = 0
	case distance > uint64(low):
		return d.bad(low)
	default:
		s.next = low - int(distance)
	}
	return nil
}

// many decodes a state of any number of transitions.
func (d dict) many(addr int, head byte, s *state) error {
	s.final, s.out = head&0x40 != 0, 0
	at, n := addr, int(head&63)
	if n == 0 {
		at--
		if n = int(d[at]); n == 1 {
			n = 256
		}
	}
	at--
	s.sizes = d[at]
	target, out := int(s.sizes>>4), int(s.sizes&15)
	low := at - n - n*target - n*out
	if s.final {
		low -= out
	}
	if low < dictHeader || target > 8 || out > 8 || n > 0 && target == 0 {
		return d.bad(addr)
	}
	s.low = low
	if s.final {
		s.out = packed(d[low : low+out])
		low += out
	}
	s.outs = d[low : low+n*out]
	s.ends = d[low+n*out : at-n]
	s.keys = d[at-n : at]
	return nil
}

// step returns where the transition at place i of keys leads and what it adds.
func (s *state) step(d dict, i int) (addr int, out uint64, err error) {
	if s.sizes == 0 {
		return s.next, s.value, nil
	}
	target, size := int(s.sizes>>4), int(s.sizes&15)
	err = s.follow(d, s.low, packed(s.ends[i*target:(i+1)*target]))
	return s.next, packed(s.outs[i*size : (i+1)*size]), err
}

// packed reads a number of up to eight bytes, the lowest first.
func packed(b []byte) (n uint64) {
	for i := len(b) - 1; i >= 0; i-- {
		n = n<<8 | uint64(b[i])
	}
	return n
}

// get returns the value of a key.
func (d dict) get(key []byte) (value uint64, ok bool, err error) {
	var s state
	if err := d.root(&s); err != nil {
		return 0, false, err
	}
	for _, c := range key {
		i := bytes.IndexByte(s.keys, c)
		if i < 0 {
			return 0, false, nil
		}
		addr, out, err := s.step(d, i)
		if err != nil {
			return 0, false, err
		}
		value += out
		if err := d.state(addr, &s); err != nil {
			return 0, false, err
		}
	}
	return value + s.out, s.final, nil
}
