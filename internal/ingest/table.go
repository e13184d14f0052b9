package ingest

import (
	"bytes"
	"context"
	"errors"
	"iter"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/elasticintel/elasticintel/internal/blob"
	"github.com/elasticintel/elasticintel/internal/corpus"
	"github.com/elasticintel/elasticintel/internal/enrich/table"
	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/parse"
)

// tablesPrefix is where tables lie: tables/FEED/RUN.eitb.
const tablesPrefix = "tables/"

// keepTable makes what a feed of offline data says current: it lists nothing, and its
// head names a table in place of segments. The table is there before the head is.
func (a *attempt) keepTable(ctx context.Context, in *input, res *parse.Result) error {
	a.progress("store", 0, int64(len(res.Entries)))
	var data bytes.Buffer
	meta := table.Meta{Feed: a.def.ID, Made: a.run.Started.UTC().Truncate(time.Second)}
	if err := table.Write(&data, meta, rowsOf(res.Entries)); err != nil {
		return &failure{code: "table", reason: err.Error(), err: err}
	}
	key := tablesPrefix + a.def.ID + "/" + a.run.ID + ".eitb"
	if _, err := blob.Write(ctx, a.cfg.Store, key, data.Bytes(), blob.Cond{}); err != nil {
		return storeFailure(err)
	}
	next := &corpus.Head{Info: a.def.Info(), Segments: []corpus.SegmentRef{}, LastGood: a.run.Started, Expires: res.Expires,
		Table: &corpus.TableRef{Key: key, Rows: len(res.Entries), Bytes: int64(data.Len())}}
	if a.head != nil { // segments that it had as a feed of another role go as replaced ones do
		next.Former = a.head.Former
		for _, s := range a.head.Segments {
			next.Former = append(next.Former, corpus.Former{Name: s.Name, Until: a.head.Version + 1})
		}
	}
	a.run.Status, a.run.Change = intel.RunOK, intel.Change{Open: len(res.Entries)}
	a.overtakes()
	if err := a.swap(ctx, in, next); err != nil || !a.committed {
		return err
	}
	return a.dropTables(ctx, key)
}

// dropTables deletes the tables that were before this one. Who is just about to read one
// finds the head's new one at his next try.
func (a *attempt) dropTables(ctx context.Context, current string) error {
	all, err := a.cfg.Store.List(ctx, tablesPrefix+a.def.ID+"/")
	for _, o := range all {
		if o.Key != current && err == nil {
			err = a.cfg.Store.Delete(ctx, o.Key)
		}
	}
	if err != nil && !errors.Is(err, context.Canceled) {
		a.cfg.Log.WarnContext(ctx, "replaced tables are not deleted; the next run does it", "feed", a.def.ID, "error", err)
	}
	return nil
}

// rowsOf are the rows of a table: of each network what its context says.
func rowsOf(entries []intel.Entry) iter.Seq[table.Row] {
	return func(yield func(table.Row) bool) {
		for i := range entries {
			if r, ok := tableRow(&entries[i]); ok && !yield(r) {
				return
			}
		}
	}
}

func tableRow(e *intel.Entry) (r table.Row, ok bool) {
	p, ok := e.Indicator.Prefix()
	if a, isAddr := e.Indicator.Addr(); !ok && isAddr {
		p, ok = netip.PrefixFrom(a, a.BitLen()), true
	}
	if !ok {
		return r, false
	}
	r.First, r.Last = p.Addr(), intel.LastAddr(p)
	first := func(name string) string {
		if v := e.Fields.Get(name); len(v) > 0 {
			return v[0]
		}
		return ""
	}
	r.Country, r.Registry, r.ASName, r.Org = strings.ToUpper(first(parse.FieldCountry)), first(parse.FieldRegistry), first(parse.FieldASName), first("org")
	if n, err := strconv.ParseUint(strings.TrimPrefix(strings.ToUpper(first(parse.FieldASN)), "AS"), 10, 32); err == nil {
		r.ASN = uint32(n)
	}
	if day, err := time.Parse(time.DateOnly, first(parse.FieldAllocated)); err == nil {
		r.Allocated = intel.Date(day.Format(time.RFC3339))
	}
	return r, true
}
