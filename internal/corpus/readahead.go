package corpus

import (
	"context"
	"runtime"

	"github.com/elasticintel/elasticintel/internal/blob"
)

// readAheadStep is how much is asked of the system at once, so that what look-ups
// wait for is not queued behind everything.
const readAheadStep = 8 << 20

// ReadAhead makes the directory, if that is still to be made, brings what the view
// refers to into memory, the tables first and the records last, and lets the system read around what is read from then
// on: a server wants that after a cold start, a process that answers one question
// does not. It returns when all of it was asked for, or ctx ends. But for the
// directory it takes no memory of its own: the system drops the pages again where it needs them.
func (v *View) ReadAhead(ctx context.Context) error {
	if err := v.dir.make(v.c.opt.Workers); err != nil {
		return err
	}
	if _, mapped := v.c.store.(blob.Mapper); !mapped {
		return nil
	}
	for _, heap := range []bool{false, true} {
		for _, s := range v.segs {
			from, to := len(s.heap), len(s.data)
			if heap {
				from, to = 0, from
			}
			adviseNormal(s.data)
			for ; from < to; from += readAheadStep {
				if err := ctx.Err(); err != nil {
					return err
				}
				adviseNeed(s.data[:min(from+readAheadStep, to)], from)
			}
		}
	}
	runtime.KeepAlive(v)
	return nil
}
