package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	elasticintel "github.com/elasticintel/elasticintel"
	"github.com/elasticintel/elasticintel/internal/auth"
	"github.com/elasticintel/elasticintel/internal/aws"
	"github.com/elasticintel/elasticintel/internal/blob"
	"github.com/elasticintel/elasticintel/internal/corpus"
	"github.com/elasticintel/elasticintel/internal/deploy"
	"github.com/elasticintel/elasticintel/internal/feed"
	"github.com/elasticintel/elasticintel/internal/local"
)

// uploadFeeds puts the definitions of --feeds into the bucket. What else is there
// stays, and is named: somebody may have put it there on purpose.
func (p *program) uploadFeeds(ctx context.Context, a *deploy.Account, bucket string) error {
	if p.cfg.Feeds == "" {
		return nil
	}
	dir := os.DirFS(p.cfg.Feeds)
	files, err := fs.Glob(dir, "*.json")
	if err != nil {
		return err
	}
	have := map[string]bool{}
	written := 0
	for _, name := range files {
		data, err := fs.ReadFile(dir, name)
		if err != nil {
			return pathError("feeds folder", err)
		}
		have[definitionsPrefix+name] = true
		done, err := a.Upload(ctx, bucket, definitionsPrefix+name, data)
		if err != nil {
			return err
		}
		if done {
			written++
		}
	}
	p.talk.say("Feed definitions: %s in %s, %d of them new or changed.", plural(len(files), "file"), p.cfg.Feeds, written)
	keys, err := a.Keys(ctx, bucket, definitionsPrefix)
	for _, k := range keys {
		if !have[k] {
			p.talk.say("%s is in the bucket and not in %s: it stays.", k, p.cfg.Feeds)
		}
	}
	return err
}

// dataOf opens the data of an environment.
func dataOf(ctx context.Context, out *deploy.Outputs) (blob.Store, error) {
	return aws.NewStore(ctx, aws.StoreOptions{URL: "s3://" + out.Bucket, Region: out.Region})
}

// firstKey makes the store ready for the functions, and a key where there is none
// that works. It returns the key, "" where there is one.
func (p *program) firstKey(ctx context.Context, out *deploy.Outputs) (string, error) {
	store, err := dataOf(ctx, out)
	if err != nil {
		return "", err
	}
	if err := corpus.Init(ctx, store); err != nil { // else the API would not answer before the first run has ended
		return "", err
	}
	keys := auth.New(store, p.now)
	list, err := keys.List(ctx)
	if err != nil {
		return "", err
	}
	for _, k := range list {
		if k.Revoked == nil && k.Name != smokeKey {
			return "", nil
		}
	}
	plain, _, err := keys.Create(ctx, "admin", auth.Admin)
	return plain, err
}

// smokeKey is the name of the key that a test uses where no other is known. It is
// revoked when the test has ended.
const smokeKey = "deploy-smoke"

// smokeTodo is the file in the work folder that says that a test is owed.
const smokeTodo = "smoke-test-is-due"

// smoke runs one feed through the public address: after a change, or where the
// last test was not passed.
func (p *program) smoke(ctx context.Context, s *deploy.Session, o *deployOptions, out *deploy.Outputs, key string, changed bool) error {
	if o.noSmoke || !changed && key == "" && o.smokeFeed == "" && !s.Runner.Work.Has(smokeTodo) {
		return nil
	}
	id, err := p.smokeFeed(ctx, s.Account, out.Bucket, o.smokeFeed)
	if err != nil {
		return err
	}
	if id == "" {
		p.talk.say("No feed is on that needs no key: nothing was run as a test. Name one with --smoke-feed ID.")
		return nil
	}
	if key == "" {
		var end func()
		if key, end, err = p.passingKey(ctx, out); err != nil {
			return failedDeploy(err)
		}
		defer end()
	}
	p.talk.say("Running feed %s through %s …", id, out.APIURL)
	began := p.now()
	t := &deploy.Smoke{API: deploy.NewAPI(out.APIURL, key), Feed: id, Limit: smokeLimit, Now: p.now, Pause: pause, Say: p.talk.say}
	value, err := t.Run(ctx)
	if err != nil {
		if ctx.Err() != nil {
			return context.Canceled
		}
		return &failure{exitPartial, fmt.Errorf("everything is deployed, and the test failed: %w", err),
			"See `elasticintel aws status" + envFlag(o.env) + "` and `elasticintel aws logs ingest" + envFlag(o.env) + "`; the same command runs the test again."}
	}
	p.talk.say("It works: %s is found in %s, %s after the run was asked for.", value, id, span(p.now().Sub(began)))
	return s.Runner.Work.Unmark(smokeTodo)
}

// passingKey makes a key for a test, and returns what ends it.
func (p *program) passingKey(ctx context.Context, out *deploy.Outputs) (string, func(), error) {
	store, err := dataOf(ctx, out)
	if err != nil {
		return "", nil, err
	}
	keys := auth.New(store, p.now)
	plain, k, err := keys.Create(ctx, smokeKey, auth.Editor)
	return plain, func() {
		if err := keys.Revoke(context.WithoutCancel(ctx), k.ID); err != nil {
			p.talk.problem("The key %s (%s) could not be revoked: %v. Do it with `elasticintel keys revoke %s --data s3://%s`.", k.ID, k.Name, err, k.ID, out.Bucket)
		}
	}, err
}

// pause is the time between two tries of a test.
func pause(ctx context.Context) error {
	t := time.NewTimer(2 * time.Second)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// usualSmoke is a feed of the built-in catalogue that is small and has never been away.
const usualSmoke = "spamhaus-drop4"

// smokeFeed chooses the feed of the test: the one asked for, the usual one, or the
// first that is on and needs no key.
func (p *program) smokeFeed(ctx context.Context, a *deploy.Account, bucket, asked string) (string, error) {
	c, err := p.bucketCatalogue(ctx, a, bucket)
	if err != nil {
		return "", err
	}
	if asked != "" {
		if c.Get(asked) == nil {
			return "", unknownFeedID(c, asked)
		}
		return asked, nil
	}
	usable := func(d *feed.Definition) bool { return d != nil && d.OnByDefault() && !d.NeedsKey() }
	if usable(c.Get(usualSmoke)) {
		return usualSmoke, nil
	}
	for _, d := range c.All() {
		if usable(d) {
			return d.ID, nil
		}
	}
	return "", nil
}

// bucketCatalogue reads the catalogue that the functions use: the definitions in
// the bucket, or the built-in one where there are none.
func (p *program) bucketCatalogue(ctx context.Context, a *deploy.Account, bucket string) (*feed.Catalogue, error) {
	keys, err := a.Keys(ctx, bucket, definitionsPrefix)
	if err != nil {
		return nil, failedDeploy(err)
	}
	dir, err := os.MkdirTemp("", "elasticintel-feeds-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	n := 0
	for _, k := range keys {
		name := strings.TrimPrefix(k, definitionsPrefix)
		if !strings.HasSuffix(name, ".json") || strings.ContainsAny(name, `/\`) {
			continue
		}
		data, err := a.Object(ctx, bucket, k)
		if err != nil {
			return nil, failedDeploy(err)
		}
		if err := os.WriteFile(dir+string(os.PathSeparator)+name, bytes.TrimSpace(data), 0o600); err != nil {
			return nil, err
		}
		n++
	}
	folder := dir
	if n == 0 {
		folder = ""
	}
	c, err := local.OpenCatalogue(folder, elasticintel.FeedsFS())
	if c == nil || len(c.Current().All()) == 0 {
		return nil, configError(errors.Join(fmt.Errorf("the feed definitions in s3://%s/%s", bucket, definitionsPrefix), err), "")
	}
	if err != nil {
		p.talk.problem("Feed definitions: %v", err)
	}
	return c.Current(), nil
}
