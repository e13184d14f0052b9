package ingest_test

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/elasticintel/elasticintel/internal/blob"
	"github.com/elasticintel/elasticintel/internal/corpus"
	"github.com/elasticintel/elasticintel/internal/feed"
	"github.com/elasticintel/elasticintel/internal/ingest"
	"github.com/elasticintel/elasticintel/internal/intel"
)

// hooked is a store that tells of every object that was written.
type hooked struct {
	blob.Store
	put func(key string)
}

func (h hooked) Put(ctx context.Context, key string, r io.Reader, c blob.Cond) (blob.Info, error) {
	info, err := h.Store.Put(ctx, key, r, c)
	if err == nil {
		h.put(key)
	}
	return info, err
}

// A run that is abandoned is as if it had never begun, until its head stands;
// from then on it is recorded whatever happens.
func TestCancel(t *testing.T) {
	for _, at := range []string{"fetch", "parse", "store", "raw/", "segments/", "heads/", "runs/", "state/"} {
		t.Run(strings.Trim(at, "/"), func(t *testing.T) {
			l := newLab(t)
			d := l.def("stop", nil)
			l.job(feed.Job{Def: d, Open: content(names("a", 10))})
			l.advance(time.Hour)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			store := hooked{l.store, func(key string) {
				if strings.HasPrefix(key, at) {
					cancel()
				}
			}}
			c, err := corpus.Open(t.Context(), store, corpus.Options{Now: l.now})
			if err != nil {
				t.Fatal(err)
			}
			tmp := t.TempDir()
			r := ingest.New(ingest.Config{Store: store, Corpus: c, Now: l.now, TempDir: tmp})
			run, err := r.Run(ctx, feed.Job{Def: d, Open: content(names("a", 11)), Progress: func(p feed.Progress) {
				if p.Phase == at {
					cancel()
				}
			}})
			committed := at == "heads/" || at == "runs/" || at == "state/"
			if committed != (err == nil) || !committed && !errors.Is(err, context.Canceled) {
				t.Errorf("%+v, %v", run, err)
			}
			want := 10
			if committed {
				want = 11
			}
			l.wantListed(d, time.Time{}, names("a", 11), names("a", want))
			if rows := l.runs("stop"); (len(rows) == 2) != committed {
				t.Errorf("%d rows in the ledger", len(rows))
			}
			if left, err := os.ReadDir(filepath.Join(tmp)); err != nil || len(left) > 0 {
				t.Errorf("temporary files: %v, %v", left, err)
			}
			l.verify()
			wantStatus := intel.RunOK
			if committed {
				wantStatus = intel.RunUnchanged
			}
			l.want2(feed.Job{Def: d, Open: content(names("a", 11))}, wantStatus)
			l.verify()
		})
	}
}
