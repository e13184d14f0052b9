package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/elasticintel/elasticintel/internal/blob"
	"github.com/elasticintel/elasticintel/internal/corpus"
	"github.com/elasticintel/elasticintel/internal/enrich/facts"
	"github.com/elasticintel/elasticintel/internal/feed"
	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/lookup"
)

// SettingsKey is the object with the users' choices which feeds are pulled:
// a JSON object of feed.Setting by feed id.
const SettingsKey = "settings/feeds.json"

// Runner runs feeds and keeps their ledger. ingest.Runner is one. Safe for
// concurrent use.
type Runner interface {
	// Run executes one job; an error means that it could not be recorded.
	Run(ctx context.Context, job feed.Job) (intel.Run, error)
	// Decide accepts or refuses a quarantined run; deciding again the same way is no error.
	Decide(ctx context.Context, d *feed.Definition, runID string, approve bool, who, why string) (intel.Run, error)
	// Runs lists a feed's ledger, newest first; limit 0 = all.
	Runs(ctx context.Context, feedID string, limit int) ([]intel.Run, error)
	// States returns what is remembered of every feed that was ever run.
	States(ctx context.Context) (map[string]feed.State, error)
}

// Engine finds listings and says what it holds.
type Engine interface {
	lookup.Engine
	// Refresh takes up what was committed since, by any process. A feed that
	// cannot be read is reported and keeps its last readable data.
	Refresh(ctx context.Context) (changed bool, err error)
	// Held says what is held, by feed.
	Held() map[string]Held
	// Broken says why a feed's data cannot be read as it is now, or nil.
	Broken(feed string) error
}

// Held is what an engine holds of one feed.
type Held struct {
	Version  int64  // another one after every run that was good
	Listings int    // open now
	Snapshot string // day of the starter data, where that is all there is
}

// HeldOf says what a corpus holds, by feed.
func HeldOf(c *corpus.Corpus) map[string]Held {
	held := map[string]Held{}
	for _, h := range c.View().Feeds() {
		held[h.Feed] = Held{Version: h.Version, Listings: h.Open(), Snapshot: h.Info.Snapshot}
	}
	return held
}

// FeedsConfig is what Feeds works with.
type FeedsConfig struct {
	Catalogue func() *feed.Catalogue
	Store     blob.Store  // nil: nothing is stored yet
	Runner    Runner      // nil where Store is
	Engine    Engine      // nil where Store is, unless it needs none
	Ledger    Ledger      // nil where Store is
	Facts     *facts.Book // what enrichment knows; nil: nothing
	Secret    func(name string) (string, bool)
	Now       func() time.Time
	Progress  func(feed.Progress) // of every run; may be nil
}

// Feeds is all that can be asked of feeds and done with them. It is safe for
// concurrent use, by several processes too.
type Feeds struct {
	FeedsConfig
	// Trigger starts a run that a person asked for; Runner.Run unless a scheduler is there.
	Trigger func(ctx context.Context, job feed.Job) (intel.Run, error)

	reports reports
	using   atomic.Pointer[Engine] // in place of FeedsConfig.Engine; nil: that one

	mu          sync.Mutex
	asked       bool   // settingsMoved was called before
	settingsTag string // what it saw
}

// NewFeeds returns Feeds without a scheduler.
func NewFeeds(c FeedsConfig) *Feeds {
	f := &Feeds{FeedsConfig: c, reports: reports{turn: make(chan struct{}, 1)}}
	if c.Runner != nil {
		f.Trigger = c.Runner.Run
	}
	return f
}

// known is what answers show of enrichment, nil for nothing.
func (f *Feeds) known() func() lookup.Known {
	if f.Facts == nil {
		return nil
	}
	return func() lookup.Known { return f.Facts.Snapshot() }
}

// use lets another engine answer.
func (f *Feeds) use(e Engine) { f.using.Store(&e) }

// engine returns the engine that answers, or nil.
func (f *Feeds) engine() Engine {
	if e := f.using.Load(); e != nil {
		return *e
	}
	return f.Engine
}

// UnknownError says that no feed has an id. It is a feed.ErrUnknown.
type UnknownError struct{ ID, Nearest string }

// Error implements error.
func (e *UnknownError) Error() string {
	if e.Nearest != "" {
		return fmt.Sprintf("unknown feed %q: did you mean %q?", e.ID, e.Nearest)
	}
	return fmt.Sprintf("unknown feed %q", e.ID)
}

// Unwrap makes it a feed.ErrUnknown.
func (e *UnknownError) Unwrap() error { return feed.ErrUnknown }

// Definition returns a feed's definition, or an *UnknownError.
func (f *Feeds) Definition(id string) (*feed.Definition, error) {
	c := f.Catalogue()
	if d := c.Get(id); d != nil {
		return d, nil
	}
	return nil, &UnknownError{ID: id, Nearest: c.Nearest(id)}
}

// List returns every feed of the catalogue, by id.
func (f *Feeds) List(ctx context.Context) ([]feed.View, error) {
	view, err := f.viewer(ctx)
	if err != nil {
		return nil, err
	}
	defs := f.Catalogue().All()
	views := make([]feed.View, len(defs))
	for i, d := range defs {
		views[i] = view(d)
	}
	return views, nil
}

// Get returns one feed, or an *UnknownError.
func (f *Feeds) Get(ctx context.Context, id string) (feed.View, error) {
	d, err := f.Definition(id)
	if err != nil {
		return feed.View{}, err
	}
	view, err := f.viewer(ctx)
	if err != nil {
		return feed.View{}, err
	}
	return view(d), nil
}

// viewer reads what is remembered of feeds, once, and returns what makes views of it.
func (f *Feeds) viewer(ctx context.Context) (func(*feed.Definition) feed.View, error) {
	var states map[string]feed.State
	var held map[string]Held
	if f.Runner != nil {
		var err error
		if states, err = f.Runner.States(ctx); err != nil {
			return nil, err
		}
		held = f.engine().Held()
	}
	settings, err := f.settings(ctx)
	if err != nil {
		return nil, err
	}
	now := f.Now()
	return func(d *feed.Definition) feed.View {
		h := held[d.ID]
		facts := feed.Facts{Def: d, Enabled: enabled(d, settings), Switched: settings[d.ID].At, HaveKey: f.HaveKey(d),
			State: states[d.ID], Listings: h.Listings, Snapshot: h.Snapshot}
		if f.engine() != nil {
			facts.Broken = f.engine().Broken(d.ID)
		}
		return feed.NewView(facts, now)
	}, nil
}

// Runs returns a feed's ledger, newest first; limit 0 = all of it.
func (f *Feeds) Runs(ctx context.Context, id string, limit int) ([]intel.Run, error) {
	if _, err := f.Definition(id); err != nil {
		return nil, err
	}
	if f.Runner == nil {
		return nil, nil
	}
	return f.Runner.Runs(ctx, id, limit)
}

// Run runs a feed now, enabled or not, and waits for its end.
func (f *Feeds) Run(ctx context.Context, id, who string) (intel.Run, error) {
	d, err := f.Definition(id)
	if err != nil {
		return intel.Run{}, err
	}
	run, err := f.Trigger(ctx, feed.Job{Def: d, Trigger: "manual", Who: who, Progress: f.Progress})
	if err != nil {
		return run, err
	}
	_, err = f.engine().Refresh(ctx)
	return run, err
}

// Enable and Disable record a user's choice whether a feed is pulled.
func (f *Feeds) Enable(ctx context.Context, id, who string) (feed.View, error) {
	return f.set(ctx, id, who, true)
}

// Disable stops a feed from being pulled; what it lists stays.
func (f *Feeds) Disable(ctx context.Context, id, who string) (feed.View, error) {
	return f.set(ctx, id, who, false)
}

func (f *Feeds) set(ctx context.Context, id, who string, on bool) (feed.View, error) {
	if _, err := f.Definition(id); err != nil {
		return feed.View{}, err
	}
	err := blob.Update(ctx, f.Store, SettingsKey, func(old []byte) ([]byte, error) {
		m, err := decodeSettings(old)
		if err != nil {
			return nil, err
		}
		if s, ok := m[id]; ok && s.Enabled == on {
			return nil, nil
		}
		m[id] = feed.Setting{Enabled: on, At: f.Now().UTC(), Who: who}
		return json.MarshalIndent(m, "", "  ")
	})
	if err != nil {
		return feed.View{}, err
	}
	return f.Get(ctx, id)
}

// Approve accepts a quarantined run: the newest where runID is "".
func (f *Feeds) Approve(ctx context.Context, id, runID, who, why string) (intel.Run, error) {
	return f.decide(ctx, id, runID, true, who, why)
}

// Reject refuses a quarantined run: the newest where runID is "".
func (f *Feeds) Reject(ctx context.Context, id, runID, who, why string) (intel.Run, error) {
	return f.decide(ctx, id, runID, false, who, why)
}

func (f *Feeds) decide(ctx context.Context, id, runID string, approve bool, who, why string) (intel.Run, error) {
	d, err := f.Definition(id)
	if err != nil {
		return intel.Run{}, err
	}
	return f.Runner.Decide(ctx, d, runID, approve, who, why)
}

// Due returns what is to be run at now; it makes Feeds a schedule.Source. Feeds
// that wait for a key are left out.
func (f *Feeds) Due(ctx context.Context, now time.Time) ([]feed.Job, error) {
	return f.DueWithin(ctx, now, 0)
}

// DueWithin is Due for who looks seldom: also what becomes due within ahead, the
// longest overdue first. A feed that failed, or whose publisher asked for a pause,
// is not called early.
func (f *Feeds) DueWithin(ctx context.Context, now time.Time, ahead time.Duration) ([]feed.Job, error) {
	states, err := f.Runner.States(ctx)
	if err != nil {
		return nil, err
	}
	settings, err := f.settings(ctx)
	if err != nil {
		return nil, err
	}
	on := func(d *feed.Definition) bool { return enabled(d, settings) && f.HaveKey(d) }
	jobs := feed.DueWithin(f.Catalogue().All(), on, states, now, ahead)
	for i := range jobs {
		jobs[i].Progress = f.Progress
	}
	return jobs, nil
}

// HaveKey says whether a feed has the secret it needs, if it needs one.
func (f *Feeds) HaveKey(d *feed.Definition) bool {
	if !d.NeedsKey() {
		return true
	}
	_, ok := f.Secret(d.Auth.Secret)
	return ok
}

// Next returns when a feed is due next, by what is remembered of it.
func (f *Feeds) Next(ctx context.Context, id string) (time.Time, bool) {
	v, err := f.Get(ctx, id)
	if err != nil || v.State.Next == nil {
		return time.Time{}, false
	}
	return *v.State.Next, true
}

func enabled(d *feed.Definition, settings map[string]feed.Setting) bool {
	if s, ok := settings[d.ID]; ok {
		return s.Enabled
	}
	return d.OnByDefault()
}

func (f *Feeds) settings(ctx context.Context) (map[string]feed.Setting, error) {
	if f.Store == nil {
		return nil, nil
	}
	data, _, err := blob.Read(ctx, f.Store, SettingsKey)
	if errors.Is(err, blob.ErrNotFound) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	return decodeSettings(data)
}

func decodeSettings(data []byte) (map[string]feed.Setting, error) {
	m := map[string]feed.Setting{}
	if data == nil {
		return m, nil
	}
	if err := json.Unmarshal(data, &m); err != nil {
		return nil, fmt.Errorf("%s in the data folder is damaged (%w); restore it from a backup, or delete it: then every feed is on or off as its definition says", SettingsKey, err)
	}
	return m, nil
}

// settingsMoved says whether users' choices changed since it was last asked.
func (f *Feeds) settingsMoved(ctx context.Context) bool {
	_, info, err := blob.Read(ctx, f.Store, SettingsKey)
	if err != nil && !errors.Is(err, blob.ErrNotFound) {
		return false
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	moved := f.asked && info.ETag != f.settingsTag
	f.asked, f.settingsTag = true, info.ETag
	return moved
}
