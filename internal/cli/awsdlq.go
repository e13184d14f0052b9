package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/elasticintel/elasticintel/internal/deploy"
)

// deadLetter is a message that was put aside.
type deadLetter struct {
	Queue string `json:"queue"` // jobs or events
	deploy.Message
}

// maxLetters is how many messages of a queue are shown.
const maxLetters = 50

func (p *program) awsDLQCmd() *cobra.Command {
	var w where
	redrive, clear := false, false
	cmd := &cobra.Command{
		Use: "dlq", Short: "Show dead letters, have jobs done again, or throw them away",
		Long: `Shows what waits among the dead letters: jobs (runs of feeds that failed three times in a way that has no row in the
ledger) and events (ticks of schedules that no function took). --redrive puts the jobs back into their queue, once what was wrong is
mended; a job that was done meanwhile is not done again. Ticks come again by themselves: --clear throws away what is in both.`,
		Example: "  elasticintel aws dlq\n  elasticintel aws dlq --redrive\n  elasticintel aws dlq --clear",
		Args:    args(0, 0, "nothing"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if redrive && clear {
				return usageError("", "dlq: give --redrive or --clear, not both")
			}
			in, err := p.openInstallation(cmd.Context(), &w)
			if err != nil {
				return err
			}
			return failedDeploy(p.deadLetters(cmd.Context(), in, redrive, clear))
		},
	}
	w.flags(cmd, false)
	cmd.Flags().BoolVar(&redrive, "redrive", false, "put the jobs back into their queue")
	cmd.Flags().BoolVar(&clear, "clear", false, "throw away all dead letters")
	cmd.Flags().SortFlags = false
	return cmd
}

func (p *program) deadLetters(ctx context.Context, in *installation, redrive, clear bool) error {
	switch {
	case redrive:
		n, err := in.Redrive(ctx, in.out.DLQURL, in.out.QueueURL)
		p.talk.say("%s put back.", plural(n, "job"))
		return err
	case clear:
		for _, q := range []string{in.out.DLQURL, in.out.EventsDLQURL} {
			if err := in.Purge(ctx, q); err != nil {
				return err
			}
		}
		p.talk.say("Thrown away: it takes SQS up to a minute.")
		return nil
	}
	var list []deadLetter
	for _, q := range []struct{ name, url string }{{"jobs", in.out.DLQURL}, {"events", in.out.EventsDLQURL}} {
		letters, err := in.Peek(ctx, q.url, maxLetters)
		if err != nil {
			return err
		}
		for _, m := range letters {
			list = append(list, deadLetter{q.name, m})
		}
	}
	if len(list) == 0 {
		p.talk.say("No dead letters.")
	}
	return printList(p.out, list, []column[deadLetter]{
		{name: "queue", text: func(l *deadLetter) string { return l.Queue }},
		{name: "sent", text: func(l *deadLetter) string { return l.Sent.Format(time.RFC3339) }, cell: func(l *deadLetter) string { return ago(&l.Sent, p.now()) }},
		{name: "tries", right: true, text: func(l *deadLetter) string { return fmt.Sprint(l.Tries) }},
		{name: "id", in: csvOnly, text: func(l *deadLetter) string { return l.ID }},
		{name: "body", text: func(l *deadLetter) string { return l.Body }},
	})
}
