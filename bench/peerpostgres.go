package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/jackc/pgx/v5"

	"github.com/elasticintel/elasticintel/internal/intel"
)

// postgresPeer is a PostgreSQL server in a folder of its own, reached by a socket in it.
type postgresPeer struct {
	s       *server
	conn    *pgx.Conn
	version string
}

const postgresSchema = `CREATE TABLE listing (seq bigint, feed text, kind smallint, value text COLLATE "C", original text, first bigint, last bigint,
	context text, rhost text COLLATE "C", net inet, words tsvector)`

var postgresIndexes = []string{
	"ALTER TABLE listing ADD PRIMARY KEY (seq)",
	"CREATE INDEX ON listing (value, kind)",
	"CREATE INDEX ON listing (rhost) WHERE rhost IS NOT NULL",
	"CREATE INDEX ON listing USING gist (net inet_ops) WHERE net IS NOT NULL",
	"CREATE INDEX ON listing USING gin (words)",
	"VACUUM (ANALYZE) listing",
	"CHECKPOINT",
}

func newPostgresPeer(ctx context.Context) (peer, error) {
	const debian = "/usr/lib/postgresql/*/bin"
	initdb, err := find("initdb", debian)
	if err != nil {
		return nil, err
	}
	postgres, err := find("postgres", debian)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "bench-pg-")
	if err != nil {
		return nil, err
	}
	data := filepath.Join(dir, "data")
	first := exec.Command(initdb, "-D", data, "-U", "bench", "-A", "trust", "-E", "UTF8", "--locale=C")
	args := []string{"-D", data, "-k", dir}
	for _, s := range []string{"listen_addresses=", "shared_buffers=1GB", "work_mem=64MB", "maintenance_work_mem=512MB", "max_wal_size=8GB",
		"effective_cache_size=8GB", "random_page_cost=1.1", "jit=off", "plan_cache_mode=force_custom_plan"} {
		args = append(args, "-c", s)
	}
	second := exec.Command(postgres, args...)
	if err := lowered(dir, first, second); err != nil {
		return nil, err
	}
	if out, err := first.CombinedOutput(); err != nil {
		_ = os.RemoveAll(dir)
		return nil, fmt.Errorf("initdb: %w: %s", err, out)
	}
	p := &postgresPeer{version: versionOf(postgres, postgres)}
	if p.s, err = startServer(dir, second); err != nil {
		return nil, err
	}
	err = p.s.until(func() (err error) {
		p.conn, err = pgx.Connect(ctx, "user=bench dbname=postgres host="+dir)
		return err
	})
	if err == nil {
		_, err = p.conn.Exec(ctx, postgresSchema)
	}
	if err != nil {
		_ = p.s.stop(syscall.SIGINT)
		return nil, err
	}
	return p, nil
}

func (p *postgresPeer) pid() int { return p.s.cmd.Process.Pid }

func (p *postgresPeer) name() string { return "PostgreSQL" }

func (p *postgresPeer) about() string {
	return p.version + ", Unix socket; B-trees on (value, kind) and reversed host, GIN on tsvector, GiST on inet; fsync, 1 GB shared buffers; " +
		"COPY with the tsvector ready-made, indexes and VACUUM ANALYZE after the load"
}

func (p *postgresPeer) load(ctx context.Context, _ int, _ []intel.Entry, rows []listing) error {
	return p.copy(ctx, rows)
}

// copy streams rows in the text format of COPY.
func (p *postgresPeer) copy(ctx context.Context, rows []listing) error {
	r, w := io.Pipe()
	go func() {
		b := bufio.NewWriterSize(w, 1<<18)
		var line []byte
		for i := range rows {
			line = appendCopy(line[:0], &rows[i])
			if _, err := b.Write(line); err != nil {
				return // the reader went away and says why
			}
		}
		w.CloseWithError(b.Flush())
	}()
	_, err := p.conn.PgConn().CopyFrom(ctx, r, "COPY listing FROM STDIN")
	r.CloseWithError(err)
	return err
}

var copyEscape = strings.NewReplacer("\\", "\\\\", "\t", "\\t", "\n", "\\n", "\r", "\\r", "\x00", "")

func appendCopy(b []byte, r *listing) []byte {
	host, net := `\N`, `\N`
	if r.rhost != "" {
		host = copyEscape.Replace(r.rhost)
	}
	if r.net.IsValid() {
		net = r.net.String()
	}
	return fmt.Appendf(b, "%d\t%s\t%d\t%s\t%s\t%d\t%d\t%s\t%s\t%s\t%s\n", r.seq, r.feed, r.ind.Kind, copyEscape.Replace(r.ind.Value),
		copyEscape.Replace(r.original), r.seq, r.seq, copyEscape.Replace(r.context), host, net, tsvector(r.texts))
}

// tsvector writes the words with their positions, texts ten positions apart, so
// that phrases stay within one.
func tsvector(texts [][]string) string {
	var b strings.Builder
	at := 0
	for _, t := range texts {
		for _, w := range t {
			at++
			fmt.Fprintf(&b, "'%s':%d ", w, min(at, 16383))
		}
		at += 10
	}
	return b.String()
}

func (p *postgresPeer) ready(ctx context.Context) error {
	for _, s := range postgresIndexes {
		if _, err := p.conn.Exec(ctx, s); err != nil {
			return fmt.Errorf("%s: %w", s, err)
		}
	}
	return nil
}

func (p *postgresPeer) bytes(ctx context.Context) (n int64, err error) {
	return n, p.conn.QueryRow(ctx, "SELECT pg_total_relation_size('listing')").Scan(&n)
}

func (p *postgresPeer) rows(ctx context.Context, text string, args ...any) (out []string, err error) {
	rows, err := p.conn.Query(ctx, "SELECT feed, kind, value, original, first, last, context FROM listing WHERE "+text, args...)
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

func (p *postgresPeer) exact(ctx context.Context, i intel.Indicator) (int, error) {
	out, err := p.rows(ctx, "value = $1 AND kind = $2", i.Value, int(i.Kind))
	return len(out), err
}

func (p *postgresPeer) bulk(ctx context.Context, asked []intel.Indicator) (int, error) {
	values, kinds := make([]string, len(asked)), make([]int16, len(asked))
	for i, x := range asked {
		values[i], kinds[i] = x.Value, int16(x.Kind)
	}
	out, err := p.rows(ctx, "(value, kind) IN (SELECT * FROM unnest($1::text[], $2::smallint[]))", values, kinds)
	return len(out), err
}

func (p *postgresPeer) search(ctx context.Context, q question) (a answer, err error) {
	where, args := "words @@ $1::tsquery", []any{tsquery(q)}
	switch q.sort {
	case "subdomains":
		r := reversed(q.host) + "."
		where, args = "rhost > $1 AND rhost < $2", []any{r, r[:len(r)-1] + "/"}
	case "net":
		where, args = "net <<= $1::inet", []any{q.net.String()}
	}
	return p.newest(ctx, where, args)
}

// newest finds all rows by the index that the condition has, counts them and
// fetches the last 20. The planner is not left the choice to walk the rows
// downwards until 20 match, which is very slow where few do.
func (p *postgresPeer) newest(ctx context.Context, where string, args []any) (a answer, err error) {
	rows, err := p.conn.Query(ctx, "WITH m AS MATERIALIZED (SELECT seq FROM listing WHERE "+where+`),
		t AS (SELECT seq FROM m ORDER BY seq DESC LIMIT 20)
		SELECT (SELECT count(*) FROM m), feed, kind, value, original, first, last, context FROM t JOIN listing USING (seq) ORDER BY seq DESC`, args...)
	if err != nil {
		return a, err
	}
	defer rows.Close()
	for rows.Next() {
		var feed, value, original, context string
		var kind int
		var first, last int64
		if err := rows.Scan(&a.total, &feed, &kind, &value, &original, &first, &last, &context); err != nil {
			return a, err
		}
		a.first = append(a.first, feed+" "+value)
	}
	return a, rows.Err()
}

func tsquery(q question) string {
	switch q.sort {
	case "and":
		return "'" + strings.Join(q.words, "' & '") + "'"
	case "prefix":
		return "'" + q.words[0] + "':*"
	}
	return "'" + strings.Join(q.words, "' <-> '") + "'"
}

func (p *postgresPeer) covering(ctx context.Context, a netip.Addr) (int, error) {
	out, err := p.rows(ctx, "net >>= $1::inet AND kind = "+strconv.Itoa(int(intel.CIDR)), a.String())
	return len(out), err
}

func (p *postgresPeer) facet(ctx context.Context, word string) (map[string]int, error) {
	rows, err := p.conn.Query(ctx, "SELECT feed, count(*) FROM listing WHERE words @@ $1::tsquery GROUP BY feed", "'"+word+"'")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	return scanCounts(rows)
}

func (p *postgresPeer) change(ctx context.Context, c *change) error {
	seqs := make([]int64, len(c.gone))
	for i := range c.gone {
		seqs[i] = c.gone[i].seq
	}
	if _, err := p.conn.Exec(ctx, "BEGIN"); err != nil {
		return err
	}
	if _, err := p.conn.Exec(ctx, "DELETE FROM listing WHERE seq = ANY($1)", seqs); err != nil {
		return err
	}
	if err := p.copy(ctx, c.added); err != nil {
		return err
	}
	_, err := p.conn.Exec(ctx, "COMMIT")
	return err
}

func (p *postgresPeer) count(ctx context.Context, feed int) (n int, err error) {
	return n, p.conn.QueryRow(ctx, "SELECT count(*) FROM listing WHERE feed = $1", feedID(feed)).Scan(&n)
}

func (p *postgresPeer) close() error {
	_ = p.conn.Close(context.Background())
	return p.s.stop(syscall.SIGINT) // fast shutdown
}
