package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"strings"
	"time"

	elasticintel "github.com/elasticintel/elasticintel"
	"github.com/elasticintel/elasticintel/internal/app"
	"github.com/elasticintel/elasticintel/internal/aws"
	"github.com/elasticintel/elasticintel/internal/enrich/facts"
	"github.com/elasticintel/elasticintel/internal/feed"
	"github.com/elasticintel/elasticintel/internal/fetch"
	"github.com/elasticintel/elasticintel/internal/follow"
	"github.com/elasticintel/elasticintel/internal/ingest"
	"github.com/elasticintel/elasticintel/internal/local"
)

// parts is what a command that deals with feeds works on.
type parts struct {
	folder    *local.Folder  // nil where nothing is stored yet
	cluster   *cluster       // nil where the engine is the folder's own
	spec      *clusterSpec   // of cluster
	follow    *follow.Engine // nil where folder or cluster is
	catalogue *local.Catalogue
	secrets   *local.Secrets
	runner    *ingest.Runner // nil where folder is
	feeds     *app.Feeds
}

// openFolder opens the data folder for reading; local.ErrNoData where there is none.
func (p *program) openFolder(ctx context.Context) (*local.Folder, error) {
	f, err := p.openData(ctx, false)
	if err == nil && f.Corpus.Err() != nil {
		p.talk.problem("Some data cannot be read, the rest is used: %v", f.Corpus.Err())
	}
	return f, err
}

// openCatalogue reads the feed definitions. Wrong ones are reported and the
// others used; none at all is an error, save for a server, which must go on
// answering and picks them up when they come.
func (p *program) openCatalogue() (*local.Catalogue, error) {
	if p.catalogue != nil {
		return p.catalogue, nil
	}
	dir, done, err := p.definitionsFolder(context.Background())
	defer done()
	if err != nil {
		return nil, err
	}
	c, err := local.OpenCatalogue(dir, elasticintel.FeedsFS())
	if c == nil || len(c.Current().All()) == 0 && !p.serving {
		return nil, configError(err, "Point --feeds at a folder with feed definitions, or leave it out to use the built-in catalogue.")
	}
	if err != nil {
		p.talk.problem("Feed definitions: %v", err)
	}
	p.catalogue = c
	return c, nil
}

// openParts opens the catalogue and the data folder: with write it is made
// where it is missing, otherwise it may be missing.
func (p *program) openParts(ctx context.Context, write bool) (*parts, error) {
	catalogue, err := p.openCatalogue()
	if err != nil {
		return nil, err
	}
	x := &parts{catalogue: catalogue}
	if spec, err := p.clusterSpec(); err != nil {
		return nil, err
	} else if spec != nil {
		x.spec = spec
		if x.cluster, err = p.openCluster(ctx, spec); err != nil {
			return nil, err
		}
	}
	if write && x.spec != nil && aws.IsURL(p.cfg.Data) {
		return nil, configError(errors.New("an index of a bucket's data is brought up to date by the functions, not from here"), "Leave --engine out (or say --engine embedded) to change the bucket alone.")
	}
	if write {
		x.folder, err = p.openData(ctx, true)
	} else if x.folder, err = p.openFolder(ctx); errors.Is(err, local.ErrNoData) {
		x.folder, err = nil, nil
	}
	if err != nil {
		return nil, err
	}
	x.secrets = p.openSecrets()
	c := app.FeedsConfig{Catalogue: catalogue.Current, Secret: x.secrets.Get, Now: p.now}
	if x.folder != nil {
		x.runner = p.newRunner(x.folder, x.secrets)
		c.Store, c.Engine, c.Runner, c.Ledger = x.folder.Store, x.folder.Engine(), x.runner, x.runner
		c.Facts = p.openFacts(ctx, x.folder)
	}
	if x.folder != nil && x.cluster != nil {
		x.follow = p.newFollower(x.folder, x.cluster)
		c.Engine = x.follow
	}
	x.feeds = app.NewFeeds(c)
	return x, nil
}

// openFacts opens what enrichment knows. What cannot be read is told, and is not in
// answers: what feeds say is right without it.
func (p *program) openFacts(ctx context.Context, f *local.Folder) *facts.Book {
	b, err := facts.Open(ctx, f.Store, facts.Tables(f.Store))
	if err != nil {
		p.talk.problem("What is known of networks and domains cannot be read, answers are without it: %v", err)
	}
	return b
}

func (p *program) newRunner(f *local.Folder, secrets *local.Secrets) *ingest.Runner {
	tmp := p.tempDir(f)
	return ingest.New(ingest.Config{
		Store: f.Store, Corpus: f.Corpus, Fetch: p.newFetcher(tmp), Secret: secrets.Get, Now: p.now, Log: p.log,
		KeepRaw: time.Duration(p.cfg.KeepRaw), KeepHistory: time.Duration(p.cfg.KeepHist), KeepHistoryOf: p.keepHistoryOf, TempDir: tmp,
	})
}

// keepHistoryOf is how long a feed's definition says that its history is kept; 0
// where it says nothing.
func (p *program) keepHistoryOf(id string) time.Duration {
	if p.catalogue == nil {
		return 0
	}
	if d := p.catalogue.Current().Get(id); d != nil {
		return time.Duration(d.KeepHistory)
	}
	return 0
}

func (p *program) newFetcher(tmp string) *fetch.Client {
	return fetch.New(fetch.Options{UserAgent: fetch.UserAgent(versionText()), TempDir: tmp, Now: p.now, Log: p.log})
}

// unknownFeed turns an unknown id into a usage error that says where ids are listed.
func unknownFeed(err error) error {
	var u *app.UnknownError
	if errors.As(err, &u) {
		hint := "See `elasticintel feeds list`."
		if u.Nearest != "" {
			hint = fmt.Sprintf("Did you mean %q? See `elasticintel feeds list`.", u.Nearest)
		}
		return usageError(hint, "unknown feed %q", u.ID)
	}
	return err
}

// who names the person at the command line, for the ledger.
func who() string {
	if u, err := user.Current(); err == nil && u.Username != "" {
		return u.Username
	}
	if n := os.Getenv("USER"); n != "" {
		return n
	}
	return "somebody at the command line"
}

// pathError makes a file's error a usage error: the name was given on the command line.
func pathError(what string, err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return usageError("", "%s: %s: %s", what, pe.Path, strings.TrimSuffix(pe.Err.Error(), "."))
	}
	return usageError("", "%s: %w", what, err)
}

// unknownFeedID is the usage error for an id that is not in the catalogue.
func unknownFeedID(c *feed.Catalogue, id string) error {
	return unknownFeed(&app.UnknownError{ID: id, Nearest: c.Nearest(id)})
}
