package cli

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/elasticintel/elasticintel/internal/app"
	"github.com/elasticintel/elasticintel/internal/deploy"
	"github.com/elasticintel/elasticintel/internal/feed"
	"github.com/elasticintel/elasticintel/internal/intel"
)

// awsStatus is what `aws status` prints.
type awsStatus struct {
	Env      string             `json:"env"`
	Profile  string             `json:"profile"`
	Region   string             `json:"region"`
	API      string             `json:"api"`
	Bucket   string             `json:"bucket"`
	Feeds    map[feed.Class]int `json:"feeds"` // how many are in each state
	Listings int                `json:"listings"`
	Sick     []sickFeed         `json:"sick"`
	Jobs     depth              `json:"jobs"`
	JobsDLQ  depth              `json:"jobs_dlq"`
	EventDLQ depth              `json:"events_dlq"`
	Alarms   []deploy.Alarm     `json:"alarms"` // those that ring
	Runs     []intel.Run        `json:"runs"`   // the last ones of the feeds that ran last
	Drift    *deploy.Summary    `json:"drift,omitempty"`
}

// sickFeed is a feed that wants to be looked at.
type sickFeed struct {
	ID     string     `json:"id"`
	Status feed.Class `json:"status"`
	Reason string     `json:"reason"`
	Advice string     `json:"advice"`
}

// depth is what is in a queue.
type depth struct {
	Waiting int `json:"waiting"`
	Working int `json:"working"` // received and not yet done
}

func (d depth) String() string {
	if d.Working == 0 {
		return fmt.Sprintf("%d waiting", d.Waiting)
	}
	return fmt.Sprintf("%d waiting, %d being worked on", d.Waiting, d.Working)
}

// broken is whether something wants a person.
func (s *awsStatus) broken() bool {
	return len(s.Alarms) > 0 || s.JobsDLQ.Waiting+s.EventDLQ.Waiting > 0 || s.Drift != nil && !s.Drift.Nothing()
}

func (p *program) awsStatusCmd() *cobra.Command {
	var w where
	drift := false
	cmd := &cobra.Command{
		Use: "status", Short: "Show feeds, queues, last runs and alarms of an installation",
		Long: `Shows how the feeds are doing, what waits in the queues and among the dead letters, the last runs, and the alarms that
ring. --drift also lets Terraform compare everything with what was deployed. It changes nothing, and works on every machine with
credentials for the account. Exit code 5 where an alarm rings, dead letters wait, or something has drifted.`,
		Example: "  elasticintel aws status\n  elasticintel aws status --env prod --drift --json",
		Args:    args(0, 0, "nothing"),
		RunE:    func(cmd *cobra.Command, _ []string) error { return p.awsStatus(cmd.Context(), &w, drift) },
	}
	w.flags(cmd, true)
	cmd.Flags().BoolVar(&drift, "drift", false, "let Terraform look for what was changed by others (takes a minute)")
	cmd.Flags().SortFlags = false
	return cmd
}

func (p *program) awsStatus(ctx context.Context, w *where, drift bool) error {
	in, err := p.openInstallation(ctx, w)
	if err != nil {
		return err
	}
	s := &awsStatus{Env: w.env, Profile: in.out.Profile, Region: in.out.Region, API: in.out.APIURL, Bucket: in.out.Bucket, Sick: []sickFeed{}, Alarms: []deploy.Alarm{}, Runs: []intel.Run{}}
	if err := p.queuesAndAlarms(ctx, in, s); err != nil {
		return failedDeploy(err)
	}
	feeds, err := p.feedsOf(ctx, in)
	if err == nil {
		err = s.addFeeds(ctx, feeds)
	}
	if err == nil && drift {
		s.Drift, err = p.drift(ctx, w)
	}
	if err != nil {
		return failedDeploy(err)
	}
	if err := p.printAWSStatus(s); err != nil {
		return err
	}
	if s.broken() {
		return exit(exitPartial)
	}
	return nil
}

func (p *program) queuesAndAlarms(ctx context.Context, in *installation, s *awsStatus) error {
	for _, q := range []struct {
		url string
		to  *depth
	}{{in.out.QueueURL, &s.Jobs}, {in.out.DLQURL, &s.JobsDLQ}, {in.out.EventsDLQURL, &s.EventDLQ}} {
		var err error
		if q.to.Waiting, q.to.Working, err = in.Depth(ctx, q.url); err != nil {
			return err
		}
	}
	ringing, err := in.Ringing(ctx, in.out.AlarmNames)
	s.Alarms = append(s.Alarms, ringing...)
	return err
}

// lastRuns is how many runs a status shows.
const lastRuns = 5

func (s *awsStatus) addFeeds(ctx context.Context, feeds *app.Feeds) error {
	views, err := feeds.List(ctx)
	if err != nil {
		return err
	}
	s.Feeds = map[feed.Class]int{}
	for i := range views {
		v := &views[i].State
		s.Feeds[v.Status]++
		s.Listings += v.Listings
		if v.Status.Sick() {
			s.Sick = append(s.Sick, sickFeed{views[i].ID, v.Status, v.Reason, v.Advice})
		}
	}
	views = slices.DeleteFunc(views, func(v feed.View) bool { return v.State.LastRun == nil })
	slices.SortFunc(views, func(a, b feed.View) int {
		return cmp.Or(b.State.LastRun.Compare(*a.State.LastRun), cmp.Compare(a.ID, b.ID))
	})
	for _, v := range views[:min(len(views), lastRuns)] {
		runs, err := feeds.Runs(ctx, v.ID, 1)
		if err != nil {
			return err
		}
		s.Runs = append(s.Runs, runs...)
	}
	return nil
}

func (p *program) drift(ctx context.Context, w *where) (*deploy.Summary, error) {
	s, err := p.openSession(ctx, w, func(*deploy.Options) {})
	if err != nil {
		return nil, err
	}
	if err := s.Attach(ctx); err != nil {
		return nil, err
	}
	p.talk.say("Comparing everything with what was deployed …")
	d, err := s.Runner.Drift(ctx)
	return &d, err
}

func (p *program) printAWSStatus(s *awsStatus) error {
	err := printOne(p.out, s, awsStatusColumns())
	if p.out.format != "table" || err != nil {
		return err
	}
	for _, a := range s.Alarms {
		fmt.Fprintf(p.out.w, "\nALARM %s, %s: %s\n  %s\n", printable(a.Name, false), ago(&a.Since, p.now()), printable(a.Says, false), printable(a.Why, false))
	}
	if len(s.Sick) > 0 {
		p.out.w.WriteString("\n")
		err = printList(p.out, s.Sick, []column[sickFeed]{
			{name: "feed", text: func(f *sickFeed) string { return f.ID }},
			{name: "status", text: func(f *sickFeed) string { return string(f.Status) }},
			{name: "why", text: func(f *sickFeed) string { return f.Reason + " → " + f.Advice }},
		})
	}
	if len(s.Runs) > 0 && err == nil {
		p.out.w.WriteString("\n")
		err = printList(p.out, s.Runs, runColumns(p.now))
	}
	if s.JobsDLQ.Waiting+s.EventDLQ.Waiting > 0 {
		p.talk.say("Dead letters wait: `elasticintel aws dlq%s` shows them.", envFlag(s.Env))
	}
	return err
}

func awsStatusColumns() []column[awsStatus] {
	return []column[awsStatus]{
		{name: "env", text: func(s *awsStatus) string { return s.Env }},
		{name: "profile", text: func(s *awsStatus) string { return s.Profile }},
		{name: "region", text: func(s *awsStatus) string { return s.Region }},
		{name: "api", text: func(s *awsStatus) string { return s.API }},
		{name: "bucket", text: func(s *awsStatus) string { return s.Bucket }},
		{name: "feeds", text: func(s *awsStatus) string { return classesText(s.Feeds) }},
		{name: "listings", text: func(s *awsStatus) string { return fmt.Sprint(s.Listings) }, cell: func(s *awsStatus) string { return thousands(s.Listings) }},
		{name: "jobs", text: func(s *awsStatus) string { return s.Jobs.String() }},
		{name: "jobs_dlq", text: func(s *awsStatus) string { return s.JobsDLQ.String() }},
		{name: "events_dlq", text: func(s *awsStatus) string { return s.EventDLQ.String() }},
		{name: "alarms", text: func(s *awsStatus) string { return alarmsText(s.Alarms) }},
		{name: "drift", text: func(s *awsStatus) string { return driftText(s.Drift) }},
	}
}

func classesText(n map[feed.Class]int) string {
	var parts []string
	for _, c := range feed.Classes() {
		if n[c] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n[c], c))
		}
	}
	return strings.Join(parts, ", ")
}

func alarmsText(list []deploy.Alarm) string {
	if len(list) == 0 {
		return "none rings"
	}
	var names []string
	for _, a := range list {
		names = append(names, a.Name)
	}
	return strings.Join(names, ", ")
}

func driftText(d *deploy.Summary) string {
	switch {
	case d == nil:
		return ""
	case d.Nothing():
		return "none"
	}
	var parts []string
	for _, l := range []struct {
		what string
		of   []string
	}{{"missing", d.Add}, {"changed", d.Change}, {"to be replaced", d.Replace}, {"not wanted", d.Destroy}} {
		if len(l.of) > 0 {
			parts = append(parts, l.what+": "+strings.Join(l.of, " "))
		}
	}
	return strings.Join(parts, "; ")
}
