package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/elasticintel/elasticintel/internal/intel"
)

// ingestRows: one feed, first pull and a pull whose bytes changed in nothing but order.
func ingestRows(ctx context.Context, o options, values []string) ([]row, error) {
	web := newOrigin()
	defer web.Close()
	d, err := web.definition("one")
	if err != nil {
		return nil, err
	}
	list := []byte(strings.Join(values[:o.one], "\n") + "\n")
	again := []byte("# the same, so it must be parsed and compared\n" + string(list))
	var first, unchanged, liteFirst, liteAgain []time.Duration
	var bytes, liteBytes, written int64
	for range o.rounds {
		s, err := newOurs(ctx)
		if err != nil {
			return nil, err
		}
		web.lists["one"], web.tag = list, web.tag+1
		t, err := s.pull(ctx, d, intel.RunOK)
		if err != nil {
			return nil, err
		}
		first = append(first, t)
		if bytes, err = folderBytes(s.dir, "segments"); err != nil {
			return nil, err
		}
		web.lists["one"], web.tag = again, web.tag+1
		if t, err = s.pull(ctx, d, intel.RunUnchanged); err != nil {
			return nil, err
		}
		unchanged = append(unchanged, t)
		after, err := folderBytes(s.dir, "segments")
		if err != nil {
			return nil, err
		}
		written += after - bytes
		os.RemoveAll(s.dir)

		l, err := newLite()
		if err != nil {
			return nil, err
		}
		if t, err = l.pull(ctx, d, list, 1); err != nil {
			return nil, err
		}
		liteFirst = append(liteFirst, t)
		if t, err = l.pull(ctx, d, again, 2); err != nil {
			return nil, err
		}
		liteAgain = append(liteAgain, t)
		l.db.Close()
		if liteBytes, err = folderBytes(l.dir, "."); err != nil {
			return nil, err
		}
		os.RemoveAll(l.dir)
	}
	a, b, c, e := median(first), median(liteFirst), median(unchanged), median(liteAgain)
	return []row{
		{fmt.Sprintf("first ingest of one feed of %d (download to acknowledged)", o.one), perSecond(o.one, a), perSecond(o.one, b), times(b.Seconds(), a.Seconds())},
		{"re-pull with changed bytes and unchanged content", perSecond(o.one, c), perSecond(o.one, e), times(e.Seconds(), c.Seconds())},
		{"segment bytes that such a re-pull wrote", strconv.FormatInt(written, 10), "–", ""},
		{"bytes a listing on disk", strconv.FormatInt(bytes/int64(o.one), 10), strconv.FormatInt(liteBytes/int64(o.one), 10), times(float64(liteBytes), float64(bytes))},
	}, nil
}

// lookupRows: exact look-ups over 40 feeds, half of them hits.
func lookupRows(ctx context.Context, o options, values []string) ([]row, error) {
	web := newOrigin()
	defer web.Close()
	s, err := newOurs(ctx)
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(s.dir)
	l, err := newLite()
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(l.dir)
	defer l.db.Close()
	const feeds = 40
	for i := range feeds {
		id := fmt.Sprintf("feed%02d", i)
		d, err := web.definition(id)
		if err != nil {
			return nil, err
		}
		web.lists[id] = []byte(strings.Join(values[i*o.many/feeds:(i+1)*o.many/feeds], "\n"))
		if _, err := s.pull(ctx, d, intel.RunOK); err != nil {
			return nil, err
		}
		if _, err := l.pull(ctx, d, web.lists[id], 1); err != nil {
			return nil, err
		}
		web.lists[id] = nil
	}
	if _, err := s.corpus.Refresh(ctx); err != nil {
		return nil, err
	}
	asked := questions(values[:o.many], 200_000)
	var p50, p99, liteP50, liteP99 []time.Duration
	view := s.corpus.View()
	stmt, err := l.db.Prepare(`SELECT feed, original, first, last, context FROM listing WHERE kind = ? AND value = ?`)
	if err != nil {
		return nil, err
	}
	for range o.rounds {
		var buf []intel.Listing
		a, b := latencies(asked, func(i intel.Indicator) error { buf = view.Exact(i, time.Time{}, buf[:0]); return nil })
		p50, p99 = append(p50, a), append(p99, b)
		a, b = latencies(asked[:len(asked)/10], func(i intel.Indicator) error { return askLite(stmt.Query(int(i.Kind), i.Value)) })
		liteP50, liteP99 = append(liteP50, a), append(liteP99, b)
	}
	return []row{
		{fmt.Sprintf("exact look-up in process, %d listings of 40 feeds, half hits, p50", o.many), median(p50).String(), median(liteP50).String(), times(float64(median(liteP50)), float64(median(p50)))},
		{"the same, p99", median(p99).String(), median(liteP99).String(), times(float64(median(liteP99)), float64(median(p99)))},
	}, nil
}
