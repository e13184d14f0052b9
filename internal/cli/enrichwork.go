package cli

import (
	"context"
	"errors"
	"strconv"

	"github.com/elasticintel/elasticintel/internal/enrich/facts"
	"github.com/elasticintel/elasticintel/internal/enrich/registry"
	"github.com/elasticintel/elasticintel/internal/enrich/work"
	"github.com/elasticintel/elasticintel/internal/local"
	"github.com/elasticintel/elasticintel/internal/lookup"
)

// askAtOnce is how many questions are under way at a time: each server gets no more than
// its own rate, but there are many, and waiting is what takes the time.
const askAtOnce = 16

// sayEvery is after how many questions a word is said: at the rates of registries that
// is less than once a minute.
const sayEvery = 50

// enrichListed asks registries about what feeds list.
func (p *program) enrichListed(ctx context.Context, budget int) error {
	if budget < 1 {
		return usageError("", "--budget: %d, expected at least 1", budget)
	}
	f, err := p.openFolder(ctx)
	if err != nil {
		return err
	}
	b, err := facts.Open(ctx, f.Store, facts.Tables(f.Store))
	if err != nil {
		return err
	}
	turn, done, err := p.enrichTurn(f, p.openSecrets(), b, budget, func(r work.Report) {
		if r.Asked%sayEvery == 0 {
			p.talk.say("%s of at most %s asked: %s, %s", plural(r.Asked, "question"), thousands(budget), plural(r.Networks, "network"), plural(r.Domains, "domain"))
		}
	})
	if err != nil {
		return err
	}
	defer done()
	r, err := turn(ctx)
	if printed := errors.Join(printOne(p.out, &r, turnColumns()), p.out.flush()); printed != nil {
		return printed
	}
	switch {
	case err != nil:
		return err
	case r.Asked > 0 && r.Networks+r.Domains == 0:
		return &failure{exitUnreachable, errors.New("no registry said anything of use"), "They are asked again later; `elasticintel enrich INDICATOR` shows what each answers."}
	case r.More:
		p.talk.say("There is more to ask: run it again, or let `elasticintel serve` do it.")
	}
	return nil
}

// enrichTurn makes ready to ask registries about what a folder lists. done lets go of
// them.
func (p *program) enrichTurn(f *local.Folder, secrets *local.Secrets, b *facts.Book, budget int, on func(work.Report)) (turn func(context.Context) (work.Report, error), done func(), err error) {
	r, err := p.openRegistry(secrets, registry.KeepIn(f.Store))
	if err != nil {
		return nil, nil, err
	}
	svc := lookup.New(f.Corpus, p.now).Knowing(func() lookup.Known { return b.Snapshot() })
	o := work.Options{Budget: budget, Parallel: askAtOnce, Now: p.now, OnAnswer: on}
	return func(ctx context.Context) (work.Report, error) { return work.Run(ctx, svc, r, b, o) }, r.Close, nil
}

func turnColumns() []column[work.Report] {
	num := func(name string, get func(*work.Report) int) column[work.Report] {
		return column[work.Report]{name: name, right: true, text: func(r *work.Report) string { return strconv.Itoa(get(r)) }}
	}
	return []column[work.Report]{
		num("asked", func(r *work.Report) int { return r.Asked }), num("networks", func(r *work.Report) int { return r.Networks }),
		num("domains", func(r *work.Report) int { return r.Domains }), num("nothing", func(r *work.Report) int { return r.Nothing }),
		num("origins", func(r *work.Report) int { return r.Origins }), num("covered", func(r *work.Report) int { return r.Covered }),
		{name: "more", text: func(r *work.Report) string { return strconv.FormatBool(r.More) }},
	}
}
