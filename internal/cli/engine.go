package cli

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/elasticintel/elasticintel/internal/aws"
	"github.com/elasticintel/elasticintel/internal/config"
	"github.com/elasticintel/elasticintel/internal/follow"
	"github.com/elasticintel/elasticintel/internal/local"
	"github.com/elasticintel/elasticintel/internal/lookup"
	"github.com/elasticintel/elasticintel/internal/opensearch"
)

// clusterSecret is the secret that holds the password of the cluster's user.
const clusterSecret = "opensearch"

// clusterSpec says which cluster holds the index, with everything read.
type clusterSpec struct {
	config.OpenSearch
	caPEM []byte // what CA names; nil: the system's authorities
}

// cluster is a cluster that holds the index.
type cluster struct {
	client *opensearch.Client
	engine *opensearch.Engine
	where  string // for people: "index NAME at HOST"
}

// clusterSpec returns the cluster that answers, by the settings or else by what was chosen for the data folder, nil where the data folder does by itself.
func (p *program) clusterSpec() (*clusterSpec, error) {
	switch {
	case p.cfg.Engine == config.EngineOpenSearch:
	case p.cfg.Engine == "" && len(p.cfg.OpenSearch.URLs) > 0:
		return nil, configError(errors.New("--opensearch-url is given, and --engine is not: which engine is meant?"), "Add --engine opensearch (EI_ENGINE=opensearch), or --engine embedded.")
	case p.cfg.Engine == "":
		c, err := p.chosen()
		return p.specOf(c), err
	default:
		return nil, nil
	}
	return p.givenSpec()
}

// givenSpec is the cluster that the settings name.
func (p *program) givenSpec() (*clusterSpec, error) {
	spec := &clusterSpec{OpenSearch: p.cfg.OpenSearch}
	if spec.CA != "" {
		var err error
		if spec.caPEM, err = os.ReadFile(spec.CA); err != nil {
			return nil, configError(fmt.Errorf("--opensearch-ca: %w", err), "")
		}
	}
	return spec, nil
}

// openCluster makes ready to ask a cluster; nothing is sent to it yet.
func (p *program) openCluster(ctx context.Context, spec *clusterSpec) (*cluster, error) {
	o := opensearch.Options{URLs: spec.URLs, CA: spec.caPEM, Now: time.Now}
	switch spec.AuthMode() {
	case config.AuthSigV4:
		signer, err := aws.NewSigner(ctx, aws.Options{URLs: spec.URLs, Now: time.Now})
		if err != nil {
			return nil, configError(fmt.Errorf("--opensearch-auth sigv4: %w", err), "")
		}
		o.Sign = signer.Sign
	case config.AuthBasic:
		password, ok := p.openSecrets().Get(clusterSecret)
		if !ok {
			return nil, configError(fmt.Errorf("the password of the cluster's user %s is not known", spec.User),
				fmt.Sprintf("Set %s, or write it into %s/secrets/%s (chmod 600).", local.SecretVar(clusterSecret), p.cfg.Data, clusterSecret))
		}
		o.User, o.Password = spec.User, password
	}
	client, err := opensearch.New(o)
	if err != nil {
		return nil, configError(err, "")
	}
	shape := opensearch.Shape{Shards: spec.Shards, AutoReplicas: spec.Replicas == config.ReplicasAuto}
	shape.Replicas, _ = strconv.Atoi(spec.Replicas) // checked by Fill; 0 where it is auto
	var hosts []string
	for _, s := range spec.URLs {
		if u, err := url.Parse(s); err == nil {
			hosts = append(hosts, u.Host)
		}
	}
	return &cluster{
		client: client,
		engine: opensearch.NewEngine(client, opensearch.EngineOptions{Alias: spec.Index, Shape: shape, Now: p.now}),
		where:  fmt.Sprintf("index %s at %s", spec.Index, strings.Join(hosts, ", ")),
	}, nil
}

// asked is what a command asks, whichever engine it is.
type asked struct {
	engine lookup.Engine
	folder *local.Folder     // nil where the engine is a cluster
	feeds  []opensearch.Feed // what is known of them
}

// openEngine opens what answers: the data folder, or a cluster, for which no
// folder is needed. Without any data that is an error (local.ErrNoData), because
// "nothing known" would be a wrong answer.
func (p *program) openEngine(ctx context.Context) (*asked, error) {
	spec, err := p.clusterSpec()
	if err != nil {
		return nil, err
	}
	if spec == nil {
		return p.openEmbedded(ctx)
	}
	c, err := p.openCluster(ctx, spec)
	if err != nil {
		return nil, err
	}
	feeds, err := c.engine.Feeds(ctx)
	var status *opensearch.StatusError
	var down *opensearch.UnavailableError
	switch {
	case err == nil && len(feeds) == 0:
		return nil, fmt.Errorf("%s: %w: no feed has been loaded", c.where, local.ErrNoData)
	case errors.Is(err, opensearch.ErrUnsynced), errors.As(err, &status) && status.Status == http.StatusNotFound:
		return nil, &failure{exitUnreachable, fmt.Errorf("%s: %w: there is no such index yet", c.where, local.ErrNoData), clusterHint(err)}
	case errors.As(err, &down):
		return nil, fmt.Errorf("%s does not answer: %w", c.where, down.Err) // nobody here waits to try again
	case err != nil:
		return nil, fmt.Errorf("%s: %w", c.where, err)
	}
	if err := c.engine.Err(); err != nil {
		p.talk.problem("Some data is not in the index, the rest is used: %v", err)
	}
	return &asked{engine: c.engine, feeds: feeds}, nil
}

func (p *program) openEmbedded(ctx context.Context) (*asked, error) {
	f, err := p.openFolder(ctx)
	if err != nil {
		return nil, err
	}
	feeds := follow.Of(f.Corpus).Feeds()
	if len(feeds) == 0 {
		return nil, fmt.Errorf("data folder %s: %w: no feed has been loaded", f.Root, errors.Join(local.ErrNoData, f.Corpus.Err()))
	}
	return &asked{engine: f.Corpus, folder: f, feeds: feeds}, nil
}

// newFollower returns the engine that lets a cluster follow the folder.
func (p *program) newFollower(f *local.Folder, c *cluster) *follow.Engine {
	return follow.New(follow.Config{
		Index: c.engine, Corpus: f.Corpus, Down: c.client.Down, Now: p.now, Say: p.talk.say, Log: p.log,
		Lock: func(ctx context.Context) (func(), error) { return local.LockIndex(ctx, f.Root) },
	})
}

// syncIndex brings the index up to date after a command has changed the folder.
func (p *program) syncIndex(ctx context.Context, x *parts) error {
	if x.follow == nil {
		return nil
	}
	if _, err := x.follow.Refresh(ctx); err != nil {
		p.log.WarnContext(ctx, "data cannot be read", "error", err)
	}
	if _, err := x.follow.Sync(ctx); err != nil {
		if ctx.Err() != nil {
			return context.Canceled
		}
		_, hint := verdictOf(err)
		return &failure{exitUnreachable, fmt.Errorf("the %s was not brought up to date: %w", x.cluster.where, err),
			strings.TrimSpace("What was taken up is safe in the data folder; the next run, or a server, sends it to the index. " + hint)}
	}
	return nil
}

// clusterHint is what to do about an error of the cluster; "" where it is none.
func clusterHint(err error) string {
	var status *opensearch.StatusError
	switch {
	case errors.Is(err, opensearch.ErrUnsynced), errors.As(err, &status) && status.Status == http.StatusNotFound:
		return "`elasticintel serve` or `elasticintel ingest --all` with the same --engine and --opensearch-… settings fills it; is --opensearch-index right?"
	case errors.As(err, &status) && status.Status == http.StatusUnauthorized:
		return "Check --opensearch-user and the password (" + local.SecretVar(clusterSecret) + ", or secrets/" + clusterSecret + " in the data folder)."
	case errors.As(err, &status) && status.Status == http.StatusForbidden:
		return "docs/opensearch.md lists the permissions that a reader and a writer need."
	}
	if errors.As(err, new(x509.UnknownAuthorityError)) {
		return "Name the file of the authority that signed the cluster's certificate with --opensearch-ca."
	}
	if _, passes := opensearch.RetryAfter(err); passes {
		return "Is the cluster up, and --opensearch-url right, http or https included?"
	}
	return ""
}

// newest is when a feed was last good, starter data left out; zero: never.
func (a *asked) newest() (at time.Time) {
	for _, f := range a.feeds {
		if f.LastGood.After(at) && f.Info.Snapshot == "" {
			at = f.LastGood
		}
	}
	return at
}
