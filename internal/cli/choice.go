package cli

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/elasticintel/elasticintel/internal/app"
	"github.com/elasticintel/elasticintel/internal/aws"
	"github.com/elasticintel/elasticintel/internal/config"
	"github.com/elasticintel/elasticintel/internal/follow"
	"github.com/elasticintel/elasticintel/internal/local"
)

// chosen is what `migrate` chose for the data folder; the zero Choice where it
// chose nothing, or there is no folder.
func (p *program) chosen() (local.Choice, error) {
	store, err := p.openStore(context.Background())
	if errors.Is(err, local.ErrNoData) {
		return local.Choice{}, nil
	} else if err != nil {
		return local.Choice{}, err
	}
	c, err := local.ReadChoice(context.Background(), store)
	if err != nil && aws.IsURL(p.cfg.Data) { // the first thing that is asked of a bucket
		err = &failure{exitUnreachable, err, ""}
	} else if err != nil {
		err = configError(fmt.Errorf("data folder %s: %w", p.cfg.Data, err), "Or say which engine is meant: --engine embedded, or --engine opensearch with its settings.")
	}
	return c, err
}

// specOf is the cluster of a choice, nil where it chose none.
func (p *program) specOf(c local.Choice) *clusterSpec {
	if c.Engine != config.EngineOpenSearch {
		return nil
	}
	spec := &clusterSpec{OpenSearch: p.cfg.OpenSearch}
	spec.URLs, spec.Auth, spec.User, spec.Index, spec.CA = c.URLs, c.Auth, c.User, c.Index, ""
	if c.CA != "" {
		spec.caPEM = []byte(c.CA)
	}
	return spec
}

// choiceOf is the choice of a cluster.
func choiceOf(s *clusterSpec) local.Choice {
	return local.Choice{Engine: config.EngineOpenSearch, URLs: s.URLs, Auth: s.Auth, User: s.User, CA: string(s.caPEM), Index: s.Index}
}

// lookEvery is how often a server looks whether another engine was chosen.
const lookEvery = 500 * time.Millisecond

// follower is an engine that follows the folder until stop is called.
type follower struct {
	*follow.Engine
	where string
	stop  func()
}

// followChoice lets the engine answer that is chosen for the data folder, until
// ctx ends. The one before answers until an index is up to date.
func (p *program) followChoice(ctx context.Context, x *parts, use func(app.Engine)) {
	var loops sync.WaitGroup
	defer loops.Wait()
	start := func(e *follow.Engine, where string) *follower {
		ctx, stop := context.WithCancel(ctx)
		loops.Go(func() { e.Run(ctx) })
		return &follower{e, where, stop}
	}
	var now, next *follower
	if x.follow != nil {
		now = start(x.follow, x.cluster.where)
	}
	was, said := p.startedWith(x), ""
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if next != nil && !next.Status().Synced.IsZero() && next.Ready() == nil {
			use(next.Engine)
			p.talk.say("Look-ups are answered by the %s from now on, which follows the data folder.", next.where)
			now.end()
			now, next = next, nil
		}
		c, err := local.ReadChoice(ctx, x.folder.Store)
		if c.Engine == config.EngineEmbedded {
			c = local.Choice{} // as where nothing was chosen
		}
		if err == nil && c.Same(was) || ctx.Err() != nil {
			continue
		}
		var e *follow.Engine
		where := ""
		if err == nil {
			e, where, err = p.followerOf(ctx, c, x)
		}
		if err != nil {
			if text := err.Error(); text != said {
				p.talk.problem("The engine that was chosen cannot be used, the one before answers: %v", err)
				said = text
			}
			continue
		}
		was, said = c, ""
		next.end()
		next = nil
		if e != nil {
			next = start(e, where)
			continue
		}
		use(x.folder.Engine())
		p.talk.say("Look-ups are answered by the data folder itself from now on.")
		now.end()
		now = nil
	}
}

// end lets a follower follow no longer; requests under way still ask it.
func (f *follower) end() {
	if f != nil {
		f.stop()
	}
}

// startedWith is the choice that a server's parts were opened by.
func (p *program) startedWith(x *parts) local.Choice {
	if x.spec == nil {
		return local.Choice{}
	}
	return choiceOf(x.spec)
}

// followerOf makes the engine of a choice, nil where it is the folder's own.
func (p *program) followerOf(ctx context.Context, c local.Choice, x *parts) (*follow.Engine, string, error) {
	spec := p.specOf(c)
	if spec == nil {
		return nil, "", nil
	}
	to, err := p.openCluster(ctx, spec)
	if err != nil {
		return nil, "", err
	}
	return p.newFollower(x.folder, to), to.where, nil
}
