package api

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/elasticintel/elasticintel/internal/auth"
	"github.com/elasticintel/elasticintel/internal/feed"
	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/lookup"
)

// ErrRunning is what Feeds.Run returns (wrapped) where the feed is being run already.
var ErrRunning = errors.New("the feed is running already")

// Feeds is what the API needs to know of feeds. An unknown id gives an error
// that wraps feed.ErrUnknown.
type Feeds interface {
	// List returns all feeds by id.
	List(ctx context.Context) ([]feed.View, error)
	Get(ctx context.Context, id string) (feed.View, error)
	// Runs returns the newest runs first, at most limit of them; 0 = all.
	Runs(ctx context.Context, id string, limit int) ([]intel.Run, error)
	// Report compares the feeds named, all that hold data where none is, with all
	// others. lookup.ErrNoCompare where the engine cannot.
	Report(ctx context.Context, ids ...string) ([]feed.Report, error)
	// Run runs a feed now and returns when the run has ended, whatever its
	// status. ErrRunning where it runs already. who asked stands in the ledger.
	Run(ctx context.Context, id string, who string) (intel.Run, error)
}

// Config is what New needs. Lookup and Feeds must be set.
type Config struct {
	Lookup  *lookup.Service
	Feeds   Feeds
	Keys    *auth.Keys       // nil = no keys: this machine only
	Version string           // of the program, for metrics
	Now     func() time.Time // nil = time.Now
	Ready   func() error     // nil = always ready
	Metrics func(io.Writer)  // writes further metrics in text exposition; may be nil
	Log     *slog.Logger     // nil = silent
	Hosts   []string         // further names a loopback server answers to (Host header), without port
	Limits  Limits
}

// Limits bound one request. Zero values mean the defaults.
type Limits struct {
	MaxBody int64         // bytes of a bulk body: default 256 MiB, some millions of values
	Bulk    int           // bulk requests and streamed searches worked on at a time, more wait: default 32
	Pages   int           // pages of searches and facets worked on at a time, more wait: default 16
	TempDir string        // where the values of a large body wait for their answers: default os.TempDir()
	Search  time.Duration // how long a page of a search may take, then it is partial: default 2 s
}

func (l Limits) withDefaults() Limits {
	if l.MaxBody <= 0 {
		l.MaxBody = 256 << 20
	}
	if l.Bulk <= 0 {
		l.Bulk = 32
	}
	if l.Pages <= 0 {
		l.Pages = 16
	}
	if l.Search <= 0 {
		l.Search = 2 * time.Second
	}
	return l
}

// api is the handler.
type api struct {
	Config
	mux     *http.ServeMux
	values  valueRoutes
	routes  []*route
	origin  *http.CrossOriginProtection
	hosts   map[string]bool
	host    atomic.Pointer[string] // the last Host header that was ours: the next is nearly always the same
	bulk    chan struct{}          // one token a bulk request
	pages   chan struct{}          // one token a page of a search
	metrics *meter
	mem     memories
	fixed   []header // of every answer
	idHead  string   // of request ids: random per process
	idTail  atomic.Uint64
}

// New returns the handler of the whole HTTP API.
func New(c Config) http.Handler { return newAPI(c) }

func newAPI(c Config) *api {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Ready == nil {
		c.Ready = func() error { return nil }
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	c.Limits = c.Limits.withDefaults()
	a := &api{Config: c, mux: http.NewServeMux(), routes: routes(), origin: http.NewCrossOriginProtection(), fixed: fixedHeaders()}
	a.hosts = map[string]bool{"localhost": true}
	for _, h := range c.Hosts {
		a.hosts[strings.ToLower(h)] = true
	}
	a.bulk, a.pages = make(chan struct{}, c.Limits.Bulk), make(chan struct{}, c.Limits.Pages)
	a.metrics = newMeter(c.Version, a.routes)
	var b [4]byte
	rand.Read(b[:])
	a.idHead = hex.EncodeToString(b[:]) + "-"
	for _, rt := range a.routes {
		switch rt.path {
		case indicatorPrefix + "{value}":
			a.values.indicator = rt
		case legacyPrefix + "{type}/{value}":
			a.values.legacy = rt
		case legacyPrefix + "{type}/{value}" + summarySuffix:
			a.values.summary = rt
		case legacyTextPath:
			a.values.text = rt
		case legacyTextPath + summarySuffix:
			a.values.textSummary = rt
		default:
			a.mux.HandleFunc(rt.method+" "+rt.path, func(w http.ResponseWriter, r *http.Request) {
				c := w.(*call)
				c.r = r // with what the pattern matched
				a.dispatch(c, rt)
			})
		}
	}
	a.mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		c := w.(*call)
		a.fail(c, a.unrouted(c))
	})
	return a
}

// NewServer returns a server for h with the time limits of a public service: a
// client that dawdles over headers, body or answer is cut off. Bulk requests
// move their own limits forward while they make progress.
func NewServer(h http.Handler) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       30 * time.Second,
		WriteTimeout:      60 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
	}
}
