package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"github.com/elasticintel/elasticintel/internal/intel"
)

// sqlitePeer is SQLite with FTS5, under either driver.
type sqlitePeer struct {
	driver, dir string
	db          *sql.DB
	stmts       map[string]*sql.Stmt
}

const sqliteSchema = `
CREATE TABLE listing (seq INTEGER PRIMARY KEY, feed TEXT NOT NULL, kind INTEGER NOT NULL, value TEXT NOT NULL, original TEXT,
                      first INTEGER, last INTEGER, context TEXT, rhost TEXT, lo BLOB, hi BLOB);
CREATE VIRTUAL TABLE words USING fts5(text, content='', contentless_delete=1, tokenize="unicode61 remove_diacritics 0");`

const sqliteIndexes = `
CREATE INDEX listing_value ON listing (value, kind);
CREATE INDEX listing_rhost ON listing (rhost) WHERE rhost IS NOT NULL;
CREATE INDEX listing_lo ON listing (lo) WHERE lo IS NOT NULL;
INSERT INTO words (words) VALUES ('optimize');
ANALYZE;
PRAGMA wal_checkpoint(TRUNCATE);`

func newSQLitePeer(driver, options string) (peer, error) {
	dir, err := os.MkdirTemp("", "bench-sqlite-")
	if err != nil {
		return nil, err
	}
	db, err := sql.Open(driver, "file:"+filepath.Join(dir, "db")+options)
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	for _, s := range []string{"PRAGMA journal_mode=WAL", "PRAGMA synchronous=FULL", "PRAGMA cache_size=-400000", "PRAGMA mmap_size=8000000000", sqliteSchema} {
		if _, err := db.Exec(s); err != nil {
			return nil, errors.Join(err, db.Close(), os.RemoveAll(dir))
		}
	}
	return &sqlitePeer{driver: driver, dir: dir, db: db, stmts: map[string]*sql.Stmt{}}, nil
}

func (p *sqlitePeer) name() string {
	if p.driver == "sqlite" {
		return "SQLite modernc"
	}
	return "SQLite mattn"
}

func (p *sqlitePeer) about() string {
	var v string
	_ = p.db.QueryRow("SELECT sqlite_version()").Scan(&v)
	return "SQLite " + v + ", in process; B-trees on (value, kind), reversed host and first address; text in FTS5 (contentless, unicode61); " +
		"WAL, synchronous=FULL, 400 MB cache, mapped; B-trees made after the load, FTS5 optimized"
}

func (p *sqlitePeer) load(ctx context.Context, _ int, _ []intel.Entry, rows []listing) error {
	return p.write(ctx, nil, rows)
}

func (p *sqlitePeer) write(ctx context.Context, gone, added []listing) error {
	tx, err := p.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	for _, s := range []string{"DELETE FROM listing WHERE seq = ?", "DELETE FROM words WHERE rowid = ?"} {
		stmt, err := tx.PrepareContext(ctx, s)
		if err != nil {
			return err
		}
		for i := range gone {
			if _, err := stmt.Exec(gone[i].seq); err != nil {
				return err
			}
		}
	}
	put, err := tx.PrepareContext(ctx, "INSERT INTO listing VALUES (?,?,?,?,?,?,?,?,?,?,?)")
	if err != nil {
		return err
	}
	text, err := tx.PrepareContext(ctx, "INSERT INTO words (rowid, text) VALUES (?,?)")
	if err != nil {
		return err
	}
	for i := range added {
		r := &added[i]
		var host, lo, hi any
		if r.rhost != "" {
			host = r.rhost
		}
		if r.lo.IsValid() {
			lo, hi = ordered(r.lo), ordered(r.hi)
		}
		if _, err := put.Exec(r.seq, r.feed, int(r.ind.Kind), r.ind.Value, r.original, r.seq, r.seq, r.context, host, lo, hi); err != nil {
			return err
		}
		if _, err := text.Exec(r.seq, r.text()); err != nil {
			return err
		}
	}
	return tx.Commit()
}

func (p *sqlitePeer) ready(ctx context.Context) error {
	_, err := p.db.ExecContext(ctx, sqliteIndexes)
	return err
}

func (p *sqlitePeer) bytes(context.Context) (int64, error) { return folderBytes(p.dir, ".") }

// rows asks and scans whole listings.
func (p *sqlitePeer) rows(text string, args ...any) (out []string, err error) {
	stmt := p.stmts[text]
	if stmt == nil {
		if stmt, err = p.db.Prepare(text); err != nil {
			return nil, err
		}
		p.stmts[text] = stmt
	}
	rows, err := stmt.Query(args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var feed, value, original, context string
		var kind int
		var first, last int64
		if err := rows.Scan(&feed, &kind, &value, &original, &first, &last, &context); err != nil {
			return nil, err
		}
		out = append(out, feed+" "+value)
	}
	return out, rows.Err()
}

func (p *sqlitePeer) number(text string, args ...any) (n int, err error) {
	stmt := p.stmts[text]
	if stmt == nil {
		if stmt, err = p.db.Prepare(text); err != nil {
			return 0, err
		}
		p.stmts[text] = stmt
	}
	return n, stmt.QueryRow(args...).Scan(&n)
}

const sqliteColumns = "SELECT l.feed, l.kind, l.value, l.original, l.first, l.last, l.context FROM "

func (p *sqlitePeer) exact(_ context.Context, i intel.Indicator) (int, error) {
	out, err := p.rows(sqliteColumns+"listing l WHERE l.value = ? AND l.kind = ?", i.Value, int(i.Kind))
	return len(out), err
}

func (p *sqlitePeer) bulk(ctx context.Context, asked []intel.Indicator) (n int, err error) {
	for len(asked) > 0 {
		some := asked[:min(len(asked), 500)]
		args := make([]any, 0, 1000)
		for _, i := range some {
			args = append(args, i.Value, int(i.Kind))
		}
		out, err := p.rows(sqliteColumns+"listing l WHERE (l.value, l.kind) IN (VALUES "+strings.Repeat("(?,?),", len(some)-1)+"(?,?))", args...)
		if err != nil {
			return n, err
		}
		n, asked = n+len(out), asked[len(some):]
	}
	return n, nil
}

func (p *sqlitePeer) search(_ context.Context, q question) (a answer, err error) {
	from, args, order := "words t JOIN listing l ON l.seq = t.rowid WHERE words MATCH ?", []any{fts5(q)}, "t.rowid"
	total := "SELECT count(*) FROM words WHERE words MATCH ?"
	switch q.sort {
	case "subdomains":
		r := reversed(q.host) + "."
		from, args, order = "listing l WHERE l.rhost > ? AND l.rhost < ?", []any{r, r[:len(r)-1] + "/"}, "l.seq"
		total = "SELECT count(*) FROM listing l WHERE l.rhost > ? AND l.rhost < ?"
	case "net":
		from = "listing l WHERE l.lo BETWEEN ? AND ? AND l.hi <= ?"
		lo, hi := ordered(q.net.Addr()), ordered(lastAddr(q.net))
		args, order, total = []any{lo, hi, hi}, "l.seq", "SELECT count(*) FROM "+from
	}
	if a.total, err = p.number(total, args...); err != nil {
		return a, err
	}
	a.first, err = p.rows(sqliteColumns+from+" ORDER BY "+order+" DESC LIMIT 20", args...)
	return a, err
}

func fts5(q question) string {
	switch q.sort {
	case "and":
		return `"` + strings.Join(q.words, `" AND "`) + `"`
	case "prefix":
		return `"` + q.words[0] + `"*`
	}
	return `"` + strings.Join(q.words, " ") + `"`
}

// covering probes each of the networks that an address can lie in.
func (p *sqlitePeer) covering(_ context.Context, a netip.Addr) (int, error) {
	args := []any{int(intel.CIDR)}
	for _, n := range covers(a) {
		args = append(args, n)
	}
	out, err := p.rows(sqliteColumns+"listing l WHERE l.kind = ? AND l.value IN (?"+strings.Repeat(",?", len(args)-2)+")", args...)
	return len(out), err
}

func covers(a netip.Addr) (out []string) {
	for bits := range a.BitLen() + 1 {
		n, _ := a.Prefix(bits)
		out = append(out, n.String())
	}
	return out
}

func (p *sqlitePeer) facet(_ context.Context, word string) (map[string]int, error) {
	rows, err := p.db.Query("SELECT l.feed, count(*) FROM words t JOIN listing l ON l.seq = t.rowid WHERE words MATCH ? GROUP BY l.feed", `"`+word+`"`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	return scanCounts(rows)
}

func scanCounts(rows interface {
	Next() bool
	Scan(...any) error
	Err() error
}) (map[string]int, error) {
	out := map[string]int{}
	for rows.Next() {
		var feed string
		var n int
		if err := rows.Scan(&feed, &n); err != nil {
			return nil, err
		}
		out[feed] = n
	}
	return out, rows.Err()
}

func (p *sqlitePeer) change(ctx context.Context, c *change) error {
	return p.write(ctx, c.gone, c.added)
}

func (p *sqlitePeer) count(_ context.Context, feed int) (int, error) {
	return p.number("SELECT count(*) FROM listing WHERE feed = ?", feedID(feed))
}

func (p *sqlitePeer) close() error {
	for _, s := range p.stmts {
		_ = s.Close()
	}
	if err := errors.Join(p.db.Close(), os.RemoveAll(p.dir)); err != nil {
		return fmt.Errorf("stop %s: %w", p.name(), err)
	}
	return nil
}
