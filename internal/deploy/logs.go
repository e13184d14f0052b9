package deploy

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// LogLine is a line of a log group.
type LogLine struct {
	Time   time.Time `json:"time"`
	Stream string    `json:"stream"`
	Text   string    `json:"text"`

	id string
}

// LogQuery says which lines of a log group are wanted.
type LogQuery struct {
	Group  string
	Since  time.Time
	Errors bool // only what Failed picks
}

// Logs passes on the lines of a log group in the order of their times, as far as
// they are there now.
func (a *Account) Logs(ctx context.Context, q LogQuery, emit func(LogLine) error) error {
	in := map[string]any{"logGroupName": q.Group, "startTime": q.Since.UnixMilli()}
	for {
		var page struct {
			Events []struct {
				EventID       string `json:"eventId"`
				LogStreamName string `json:"logStreamName"`
				Message       string `json:"message"`
				Timestamp     int64  `json:"timestamp"`
			} `json:"events"`
			NextToken string `json:"nextToken"`
		}
		err := a.call(ctx, request{service: "logs", name: "FilterLogEvents", target: "Logs_20140328", version: "1.1", in: in}, &page)
		if err != nil {
			return Explain("log group "+q.Group, err)
		}
		for _, e := range page.Events {
			l := LogLine{Time: time.UnixMilli(e.Timestamp).UTC(), Stream: e.LogStreamName, Text: e.Message, id: e.EventID}
			if l.id == "" {
				l.id = fmt.Sprint(e.Timestamp, e.LogStreamName, e.Message)
			}
			if q.Errors && !Failed(l.Text) {
				continue
			}
			if err := emit(l); err != nil {
				return err
			}
		}
		if page.NextToken == "" {
			return nil
		}
		in["nextToken"] = page.NextToken
	}
}

// late is how much later than a line of another stream one may come into a log group.
const late = 20 * time.Second

// Follow passes on the lines of a log group until ctx ends or pause says so, each once.
func (a *Account) Follow(ctx context.Context, q LogQuery, pause func(context.Context) error, emit func(LogLine) error) error {
	seen := map[string]time.Time{}
	newest := q.Since
	for {
		err := a.Logs(ctx, q, func(l LogLine) error {
			if _, ok := seen[l.id]; ok {
				return nil
			}
			seen[l.id] = l.Time
			if l.Time.After(newest) {
				newest = l.Time
			}
			return emit(l)
		})
		if err == nil {
			err = pause(ctx)
		}
		if err != nil {
			return err
		}
		if from := newest.Add(-late); from.After(q.Since) {
			q.Since = from
		}
		for id, at := range seen {
			if at.Before(q.Since) {
				delete(seen, id)
			}
		}
	}
}

// Failed is whether a line of a function's log says that something went wrong: one
// of ours of level ERROR, or one of Lambda's about a function that ended.
func Failed(text string) bool {
	var line struct {
		Level string `json:"level"`
		Type  string `json:"type"`
		Of    struct {
			Status string `json:"status"`
		} `json:"record"`
	}
	if json.Unmarshal([]byte(text), &line) == nil {
		return line.Level == "ERROR" || strings.HasPrefix(line.Type, "platform.") && (line.Of.Status == "error" || line.Of.Status == "timeout" || line.Of.Status == "failure")
	}
	for _, s := range []string{"Task timed out", "Runtime exited", "Runtime.ExitError", "Error Type:", "panic:", "fatal error:"} {
		if strings.Contains(text, s) {
			return true
		}
	}
	return false
}
