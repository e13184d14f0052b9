package terms

// walk goes through the keys of a dictionary in order.
type walk struct {
	dict  dict
	key   []byte
	value uint64
	left  uint64 // keys that may still come: more are a sign of damage
	stack []frame
}

// frame is a state on the way to the current key.
type frame struct {
	state
	todo  int    // transitions not yet taken: the places below
	fresh bool   // the key that ends here was not yet given
	sum   uint64 // of the outputs up to here
}

// free gives the walk's memory back to its index: the states on the way take some
// kilobytes. Nothing of it is read again before it is set.
func (w *walk) free(x *Index) {
	w.dict, w.key, w.stack = nil, w.key[:0], w.stack[:0]
	x.walks.Put(w)
}

// start places the walk in front of the first key at or after from.
func (w *walk) start(x *Index, from []byte) error {
	w.dict, w.left = x.dict, x.keys
	f := w.push(0)
	if err := w.dict.root(&f.state); err != nil {
		return err
	}
	f.todo = len(f.keys)
	for _, c := range from {
		f.fresh = false
		for f.todo > 0 && f.keys[f.todo-1] < c {
			f.todo--
		}
		if f.todo == 0 || f.keys[f.todo-1] != c {
			return nil
		}
		var err error
		if f, err = w.down(); err != nil {
			return err
		}
	}
	return nil
}

func (w *walk) push(sum uint64) *frame {
	if n := len(w.stack); n < cap(w.stack) {
		w.stack = w.stack[:n+1]
	} else {
		w.stack = append(w.stack, frame{})
	}
	f := &w.stack[len(w.stack)-1]
	f.sum, f.fresh = sum, true
	return f
}

// down takes the next transition of the last frame.
func (w *walk) down() (*frame, error) {
	top := &w.stack[len(w.stack)-1]
	top.todo--
	c := top.keys[top.todo]
	addr, out, err := top.step(w.dict, top.todo)
	if err != nil {
		return nil, err
	}
	f := w.push(top.sum + out)
	if err := w.dict.state(addr, &f.state); err != nil {
		return nil, err
	}
	f.todo = len(f.keys)
	if f.todo == 0 && !f.final {
		return nil, w.dict.bad(addr) // leads nowhere
	}
	w.key = append(w.key, c)
	return f, nil
}

// next goes to the next key; false where there is none.
func (w *walk) next() (bool, error) {
	for len(w.stack) > 0 {
		f := &w.stack[len(w.stack)-1]
		switch {
		case f.fresh && f.final:
			if w.left == 0 {
				return false, w.dict.bad(len(w.dict))
			}
			w.left--
			f.fresh = false
			w.value = f.sum + f.out
			return true, nil
		case f.todo > 0:
			f.fresh = false
			if _, err := w.down(); err != nil {
				return false, err
			}
		default:
			w.stack = w.stack[:len(w.stack)-1]
			w.key = w.key[:max(len(w.key)-1, 0)]
		}
	}
	return false, nil
}
