package enginetest

import (
	"context"
	"slices"
	"time"

	"github.com/elasticintel/elasticintel/internal/intel"
)

// shrinker makes a failing script short: it leaves out steps, entries and fields
// as long as the script still fails.
type shrinker struct {
	ctx   context.Context
	open  Opener
	best  *Script
	err   error
	until time.Time
}

// shrink returns a shorter script that fails, and how, after at most that long.
func shrink(ctx context.Context, open Opener, s *Script, err error, most time.Duration) (*Script, error) {
	x := &shrinker{ctx: ctx, open: open, best: s, err: err, until: time.Now().Add(most)}
	last := s.Steps[len(s.Steps)-1]
	quiet := slices.DeleteFunc(slices.Clone(s.Steps[:len(s.Steps)-1]), func(s *Step) bool { return s.Find != nil || s.Search != nil || s.Stats })
	x.try(append(quiet, last))
	x.steps()
	x.entries()
	x.steps()
	return x.best, x.err
}

// try takes the steps over if they fail as well.
func (x *shrinker) try(steps []*Step) bool {
	if len(steps) == 0 || time.Now().After(x.until) {
		return false
	}
	r, err := newRunner(x.ctx, x.open)
	if err != nil {
		return false
	}
	for i, s := range steps {
		if _, err := r.step(s); err != nil {
			x.best, x.err = &Script{Steps: slices.Clone(steps[:i+1])}, err
			return true
		}
	}
	return false
}

// steps leaves out ever smaller parts.
func (x *shrinker) steps() {
	for size := len(x.best.Steps) / 2; size > 0; size /= 2 {
		for at := 0; at < len(x.best.Steps) && len(x.best.Steps) > 1; {
			all := x.best.Steps
			if !x.try(slices.Concat(all[:at], all[min(at+size, len(all)):])) {
				at += size
			}
		}
	}
}

// entries does the same with what each run lists, and then with its fields.
func (x *shrinker) entries() {
	for i := 0; i < len(x.best.Steps); i++ {
		l := x.best.Steps[i].Load
		if l == nil {
			continue
		}
		for size := (len(l.Entries) + 1) / 2; size > 0; size /= 2 {
			for at := 0; at < len(l.Entries); {
				c := x.best.Steps[i].clone()
				c.Load.Entries = slices.Delete(c.Load.Entries, at, min(at+size, len(c.Load.Entries)))
				if !x.replace(i, c) {
					at += size
				}
				if i >= len(x.best.Steps) {
					return
				}
				l = x.best.Steps[i].Load
			}
		}
		x.fields(i)
	}
}

// fields leaves out fields of the entries of step i.
func (x *shrinker) fields(i int) {
	for k := 0; i < len(x.best.Steps) && k < len(x.best.Steps[i].Load.Entries); k++ {
		for j := len(x.best.Steps[i].Load.Entries[k].Fields) - 1; j >= 0; j-- {
			c := x.best.Steps[i].clone()
			e := &c.Load.Entries[k]
			e.Fields = slices.Delete(slices.Clone(e.Fields), j, j+1)
			if len(e.Fields) == 0 {
				e.Fields = intel.Fields(nil)
			}
			if x.replace(i, c); i >= len(x.best.Steps) {
				return
			}
		}
	}
}

// replace tries another step in place of step i.
func (x *shrinker) replace(i int, s *Step) bool {
	steps := slices.Clone(x.best.Steps)
	steps[i] = s
	return x.try(steps)
}
