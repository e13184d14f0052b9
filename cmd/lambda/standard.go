package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/elasticintel/elasticintel/internal/app"
	"github.com/elasticintel/elasticintel/internal/aws"
	"github.com/elasticintel/elasticintel/internal/awslambda"
	"github.com/elasticintel/elasticintel/internal/blob"
	"github.com/elasticintel/elasticintel/internal/config"
	"github.com/elasticintel/elasticintel/internal/corpus"
	"github.com/elasticintel/elasticintel/internal/follow"
	"github.com/elasticintel/elasticintel/internal/opensearch"
)

const (
	// clusterSecret is the secret that holds the password of the cluster's user.
	clusterSecret = "opensearch"
	// askTime is the longest that an answer waits for one request to the cluster: less
	// than the function of the API has, so that it can say what is the matter.
	askTime = 10 * time.Second
	// saying is the time that is kept for what follows a sync: its line in the log, and
	// the reply to the queue.
	saying = 3 * time.Second
	// noFeed is the name of none.
	noFeed = "-"
	// leaseWait is the share of its time that a function waits for another's sync.
	leaseWait = 2
)

// standard says whether a cluster answers, and not the store by itself.
func (s *settings) standard() bool { return s.Engine == config.EngineOpenSearch }

// index is the index in a cluster, beside the store that it is made of.
type index struct {
	*opensearch.Engine
	client *opensearch.Client
	store  blob.Store
	heads  *awslambda.Remembered
	parts  *parts
}

// openIndex makes ready to ask the cluster; nothing is sent to it yet. wait is the
// longest for one request, 0 = the client's own.
func (p *parts) openIndex(ctx context.Context, wait time.Duration) (*index, error) {
	o := opensearch.Options{URLs: p.OpenSearch.URLs, Now: p.now, Timeout: wait}
	if p.OpenSearch.CA != "" {
		var err error
		if o.CA, err = os.ReadFile(p.OpenSearch.CA); err != nil {
			return nil, fmt.Errorf("EI_OPENSEARCH_CA: %w", err)
		}
	}
	switch p.OpenSearch.AuthMode() {
	case config.AuthSigV4:
		signer, err := aws.NewSigner(ctx, aws.Options{URLs: p.OpenSearch.URLs, Now: p.now})
		if err != nil {
			return nil, fmt.Errorf("EI_OPENSEARCH_AUTH=sigv4: %w", err)
		}
		o.Sign = signer.Sign
	case config.AuthBasic:
		password, ok := p.secret(clusterSecret)
		if !ok {
			return nil, fmt.Errorf("the password of the cluster's user %s is not known: set the secret %s", p.OpenSearch.User, clusterSecret)
		}
		o.User, o.Password = p.OpenSearch.User, password
	}
	client, err := opensearch.New(o)
	if err != nil {
		return nil, err
	}
	shape := opensearch.Shape{Shards: p.OpenSearch.Shards, AutoReplicas: p.OpenSearch.Replicas == config.ReplicasAuto}
	shape.Replicas, _ = strconv.Atoi(p.OpenSearch.Replicas) // checked by Fill; 0 where it is auto
	e := opensearch.NewEngine(client, opensearch.EngineOptions{Alias: p.OpenSearch.Index, Shape: shape, Now: p.now})
	return &index{Engine: e, client: client, store: p.store, heads: &awslambda.Remembered{Store: p.store}, parts: p}, nil
}

func (x *index) readHeads(ctx context.Context) (map[string]*corpus.Head, map[string]error, error) {
	return corpus.Heads(ctx, x.heads)
}

// reader is what the function of the API asks.
func (x *index) reader() *follow.Reader {
	return &follow.Reader{Index: x.Engine, Heads: x.readHeads, Down: x.client.Down}
}

func (x *index) catchUp() *follow.CatchUp {
	return &follow.CatchUp{Index: x.Engine, Heads: x.readHeads, Now: x.parts.now, Log: x.parts.log,
		Open: func(ctx context.Context, feed string) (*corpus.Corpus, error) {
			store := x.store
			if feed != "" {
				store = awslambda.OneFeed(store, feed)
			}
			return corpus.Open(ctx, store, corpus.Options{Now: x.parts.now})
		}}
}

// follower brings the index up to date after events.
type follower struct {
	*index
	catch *follow.CatchUp
	lease *awslambda.Lease
	tidy  time.Time // when it last looked after what lies around in the cluster
}

// followed is a handler after which the index is brought up to date. What comes of
// that is no matter of the event: its runs are in the store and must not be repeated,
// and what the index lacks is seen in the index, by whoever comes next.
func (p *parts) followed(ctx context.Context, h awslambda.Handler) (awslambda.Handler, error) {
	x, err := p.openIndex(ctx, 0)
	if err != nil {
		return nil, err
	}
	f := &follower{index: x, catch: x.catchUp(), lease: &awslambda.Lease{Store: p.store, Key: "state/" + p.OpenSearch.Index + ".lease", Now: p.now, Sleep: awslambda.Pause, ID: rand.Text}}
	return func(ctx context.Context, e awslambda.Event) (awslambda.Reply, error) {
		reply, err := h(ctx, e)
		if err == nil {
			f.follow(ctx, e.ID)
		}
		return reply, err
	}, nil
}

// follow brings the index up to date while there is time, and says what came of it.
func (f *follower) follow(ctx context.Context, request string) {
	start := f.parts.now()
	end, ok := ctx.Deadline()
	if !ok {
		end = start.Add(time.Hour)
	}
	end = end.Add(-saying)
	ctx, cancel := context.WithDeadline(ctx, end)
	defer cancel()
	done, err := f.once(ctx, end)
	level, attrs := slog.LevelInfo, []slog.Attr{slog.String("request", request), slog.Int("written", done.Written), slog.Int("deleted", done.Deleted), slog.Int("refused", done.Rejected),
		slog.Any("left", done.Left), slog.Duration("took", f.parts.now().Sub(start))}
	switch {
	case errors.Is(err, awslambda.ErrLeased):
		level, attrs = slog.LevelWarn, append(attrs, slog.String("error", err.Error()))
	case err != nil:
		level, attrs = slog.LevelError, append(attrs, slog.String("error", err.Error()))
	}
	f.parts.log.LogAttrs(ctx, level, "index", attrs...)
}

// tidyEvery is how often a process looks after what lies around in the cluster.
const tidyEvery = time.Hour

// once is one attempt. A panic over what a stranger's feed holds is its error: the
// event's runs stand.
func (f *follower) once(ctx context.Context, end time.Time) (done follow.Caught, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the sync panicked: %v\n%s", p, debug.Stack())
		}
	}()
	now := f.parts.now()
	release, err := f.lease.Take(ctx, end, end.Sub(now)/leaseWait)
	if err != nil {
		return done, err
	}
	defer release(context.WithoutCancel(ctx))
	if done, err = f.catch.Run(ctx); err == nil && now.Sub(f.tidy) > tidyEvery {
		f.tidy = now
		_, err = f.Tidy(ctx)
	}
	return done, err
}

// answering is the engine of the function of the API, and the corpus that decisions
// of people are carried out on: one without any feed where a cluster answers, so that
// nothing is fetched.
func (p *parts) answering(ctx context.Context) (app.Engine, *corpus.Corpus, error) {
	if p.standard() {
		x, err := p.openIndex(ctx, askTime)
		if err != nil {
			return nil, nil, err
		}
		none, err := corpus.Open(ctx, awslambda.OneFeed(p.store, noFeed), corpus.Options{Now: p.now})
		return x.reader(), none, err
	}
	c, err := corpus.Open(ctx, p.store, corpus.Options{Now: p.now})
	if err != nil {
		return nil, nil, err
	}
	return engine{c}, c, nil
}
