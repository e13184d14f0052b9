package main

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/elasticintel/elasticintel/internal/blob"
	"github.com/elasticintel/elasticintel/internal/corpus"
	"github.com/elasticintel/elasticintel/internal/feed"
	"github.com/elasticintel/elasticintel/internal/fetch"
	"github.com/elasticintel/elasticintel/internal/ingest"
	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/parse"
	_ "modernc.org/sqlite" // the driver that is measured beside us
)

// origin serves each feed's list and counts what it was asked.
type origin struct {
	*httptest.Server
	lists map[string][]byte
	tag   int
}

func newOrigin() *origin {
	o := &origin{lists: map[string][]byte{}}
	o.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", fmt.Sprintf(`"%d"`, o.tag))
		_, _ = w.Write(o.lists[strings.Trim(r.URL.Path, "/")])
	}))
	return o
}

func (o *origin) definition(id string) (*feed.Definition, error) {
	text, err := json.Marshal(map[string]any{"feeds": []any{map[string]any{
		"id": id, "feed_name": id, "feed_type": "txt", "indicator_type": "auto", "feed_url": o.URL + "/" + id,
		"field_mapping": map[string]any{"source": []string{}, "destination": []string{}},
		"interval":      "1h", "allow_networks": []string{"127.0.0.0/8"},
		"guards": map[string]any{"max_reject": 1.0},
	}}})
	if err != nil {
		return nil, err
	}
	defs, err := feed.Decode("bench.json", text)
	if err != nil {
		return nil, err
	}
	return defs[0], nil
}

// ours is a store of the program with what runs feeds into it.
type ours struct {
	dir    string
	corpus *corpus.Corpus
	runner *ingest.Runner
}

func newOurs(ctx context.Context) (*ours, error) {
	dir, err := os.MkdirTemp("", "bench-ei-")
	if err != nil {
		return nil, err
	}
	store, err := blob.NewDir(dir)
	if err != nil {
		return nil, err
	}
	if err := corpus.Init(ctx, store); err != nil {
		return nil, err
	}
	c, err := corpus.Open(ctx, store, corpus.Options{})
	if err != nil {
		return nil, err
	}
	return &ours{dir, c, ingest.New(ingest.Config{Store: store, Corpus: c, Fetch: fetch.New(fetch.Options{})})}, nil
}

func (s *ours) pull(ctx context.Context, d *feed.Definition, want intel.RunStatus) (time.Duration, error) {
	began := time.Now()
	run, err := s.runner.Run(ctx, feed.Job{Def: d, Trigger: "manual"})
	if err == nil && run.Status != want {
		err = fmt.Errorf("run of %s ended as %s (%s), want %s", d.ID, run.Status, run.Reason, want)
	}
	return time.Since(began), err
}

// lite is the same in SQLite: the same parser, one row a listing, an index on
// the value, one transaction a run, synchronous=FULL as we sync too.
type lite struct {
	dir string
	db  *sql.DB
}

const schema = `
CREATE TABLE listing (kind INTEGER, value TEXT, feed TEXT, original TEXT, first INTEGER, last INTEGER, context TEXT,
                      PRIMARY KEY (kind, value, feed)) WITHOUT ROWID;`

func newLite() (*lite, error) {
	dir, err := os.MkdirTemp("", "bench-sqlite-")
	if err != nil {
		return nil, err
	}
	db, err := sql.Open("sqlite", "file:"+filepath.Join(dir, "db")+"?_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=cache_size(-200000)&_pragma=mmap_size(4000000000)")
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	if _, err := db.Exec(schema); err != nil {
		return nil, err
	}
	return &lite{dir, db}, nil
}

// pull parses the list and inserts what is new; what is there gets its last-seen time.
func (l *lite) pull(ctx context.Context, d *feed.Definition, list []byte, now int64) (time.Duration, error) {
	began := time.Now()
	res, err := parse.Collect(ctx, bytes.NewReader(list), d.Spec(), parse.Options{})
	if err != nil {
		return 0, err
	}
	tx, err := l.db.BeginTx(ctx, nil)
	if err != nil {
		return 0, err
	}
	stmt, err := tx.PrepareContext(ctx, `INSERT INTO listing VALUES (?,?,?,?,?,?,?) ON CONFLICT DO UPDATE SET last = excluded.last`)
	if err != nil {
		return 0, err
	}
	for i := range res.Entries {
		e := &res.Entries[i]
		context, err := e.Fields.MarshalJSON()
		if err != nil {
			return 0, err
		}
		if _, err := stmt.ExecContext(ctx, int(e.Indicator.Kind), e.Indicator.Value, d.ID, e.Original, now, now, string(context)); err != nil {
			return 0, err
		}
	}
	if err := tx.Commit(); err != nil {
		return 0, err
	}
	return time.Since(began), nil
}

func folderBytes(dir, below string) (n int64, err error) {
	err = filepath.WalkDir(filepath.Join(dir, below), func(_ string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		st, err := e.Info()
		if err == nil {
			n += st.Size()
		}
		return err
	})
	return n, err
}
