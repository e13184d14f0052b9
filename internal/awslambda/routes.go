package awslambda

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Functions that there are, as EI_FUNCTION names them.
const (
	FunctionScheduler = "scheduler"
	FunctionIngest    = "ingest"
	FunctionAPI       = "api"
	FunctionHealth    = "health"
)

// Route is one line of the table: a function, the sort of event that it takes, how
// that is known, and who answers it.
type Route struct {
	Function string
	Event    string // for people
	is       func(shape) bool
	Handle   Handler
}

// Handlers are the parts that Table routes to. Only that of the function that
// runs must be set.
type Handlers struct {
	Scheduler, Ingest, API, Health Handler
}

// Table says which function takes which events. Each event goes to the first line
// that fits.
func Table(h Handlers) []Route {
	return []Route{
		{FunctionScheduler, "tick of a schedule", shape.isTick, h.Scheduler},
		{FunctionIngest, "messages of a queue", shape.isQueue, h.Ingest},
		{FunctionAPI, "HTTP request", shape.isHTTP, h.API},
		{FunctionHealth, "tick of a schedule", shape.isTick, h.Health},
	}
}

// Functions are the names of all functions, in order.
func Functions() []string {
	var names []string
	for _, r := range Table(Handlers{}) {
		if !slices.Contains(names, r.Function) {
			names = append(names, r.Function)
		}
	}
	slices.Sort(names)
	return names
}

// For returns the handler of one function: its lines of the table. An event that
// fits none is an error that says what it looks like and what the function takes.
func For(function string, table []Route) (Handler, error) {
	var mine []Route
	var takes []string
	for _, r := range table {
		if r.Function == function {
			mine, takes = append(mine, r), append(takes, r.Event)
		}
	}
	if len(mine) == 0 {
		return nil, fmt.Errorf("EI_FUNCTION=%q: want one of %s", function, strings.Join(Functions(), ", "))
	}
	return func(ctx context.Context, e Event) (Reply, error) {
		s, err := shapeOf(e.Body)
		if err != nil {
			return Reply{}, fmt.Errorf("function %s: the event cannot be read: %w", function, err)
		}
		for _, r := range mine {
			if r.is(s) {
				return r.Handle(ctx, e)
			}
		}
		return Reply{}, fmt.Errorf("function %s takes events of the sort %q, and this one is none: it has %s", function, strings.Join(takes, ", "), s.describe())
	}, nil
}

// shape is the outermost level of an event.
type shape map[string]json.RawMessage

func shapeOf(event []byte) (shape, error) {
	var s shape
	if err := json.Unmarshal(event, &s); err != nil {
		return nil, fmt.Errorf("it is no JSON object: %w", err)
	}
	return s, nil
}

// text is a member that is a string, "" where there is none.
func (s shape) text(name string) (t string) {
	_ = json.Unmarshal(s[name], &t)
	return t
}

// isTick: our own input of EventBridge Scheduler ({"at": …}), or an event of a rule.
func (s shape) isTick() bool {
	_, at := s["at"]
	return at && len(s) == 1 || s.text("detail-type") == "Scheduled Event"
}

// isQueue: SQS, whose records all come from one queue.
func (s shape) isQueue() bool {
	var records []struct {
		Source string `json:"eventSource"`
	}
	return json.Unmarshal(s["Records"], &records) == nil && len(records) > 0 && records[0].Source == "aws:sqs"
}

// isHTTP: payload version 2.0, of an HTTP API or of a function's URL.
func (s shape) isHTTP() bool {
	var c struct {
		HTTP *struct{} `json:"http"`
	}
	return s.text("version") == "2.0" && json.Unmarshal(s["requestContext"], &c) == nil && c.HTTP != nil
}

// describe names what an event has, without what may be secret in it.
func (s shape) describe() string {
	if len(s) == 0 {
		return "no members"
	}
	names := slices.Sorted(maps.Keys(s))
	if len(names) > 12 {
		names = append(names[:12], "…")
	}
	text := "the members " + strings.Join(names, ", ")
	for _, n := range []string{"source", "detail-type", "version"} {
		if v := s.text(n); v != "" {
			text += fmt.Sprintf("; %s %.60q", n, v)
		}
	}
	return text
}
