package deploy

import (
	"context"
	"fmt"
	"strconv"
	"time"
)

// Message is one that waits in a queue.
type Message struct {
	ID    string    `json:"id"`
	Body  string    `json:"body"`
	Sent  time.Time `json:"sent"`
	Tries int       `json:"tries"` // how often it was received from this queue

	receipt string
}

// batch is the most messages that SQS gives at a time, and hidden for how many
// seconds nobody else gets those that are being looked at.
const (
	batch  = 10
	hidden = 60
)

func (a *Account) sqs(ctx context.Context, name string, in map[string]any, out any) error {
	return Explain("SQS", a.call(ctx, request{service: "sqs", name: name, target: "AmazonSQS", version: "1.0", in: in}, out))
}

func (a *Account) receive(ctx context.Context, queue string) ([]Message, error) {
	var said struct {
		Messages []struct {
			MessageID     string `json:"MessageId"`
			ReceiptHandle string
			Body          string
			Attributes    map[string]string
		}
	}
	in := map[string]any{"QueueUrl": queue, "MaxNumberOfMessages": batch, "VisibilityTimeout": hidden, "WaitTimeSeconds": 1, "AttributeNames": []string{"All"}}
	if err := a.sqs(ctx, "ReceiveMessage", in, &said); err != nil {
		return nil, err
	}
	var list []Message
	for _, m := range said.Messages {
		sent, _ := strconv.ParseInt(m.Attributes["SentTimestamp"], 10, 64)
		tries, _ := strconv.Atoi(m.Attributes["ApproximateReceiveCount"])
		list = append(list, Message{ID: m.MessageID, Body: m.Body, Sent: time.UnixMilli(sent).UTC(), Tries: tries, receipt: m.ReceiptHandle})
	}
	return list, nil
}

// Peek returns up to limit messages of a queue and leaves all of them there.
func (a *Account) Peek(ctx context.Context, queue string, limit int) (list []Message, err error) {
	for len(list) < limit && err == nil {
		var more []Message
		if more, err = a.receive(ctx, queue); len(more) == 0 {
			break
		}
		list = append(list, more...)
	}
	for _, m := range list { // at once to be had again
		in := map[string]any{"QueueUrl": queue, "ReceiptHandle": m.receipt, "VisibilityTimeout": 0}
		if e := a.sqs(context.WithoutCancel(ctx), "ChangeMessageVisibility", in, nil); err == nil {
			err = e
		}
	}
	return list, err
}

// Redrive moves every message of one queue into another. One that was sent and
// could not be deleted is there twice, which jobs bear: their ids decide.
func (a *Account) Redrive(ctx context.Context, from, to string) (moved int, err error) {
	for {
		list, err := a.receive(ctx, from)
		if err != nil || len(list) == 0 {
			return moved, err
		}
		for _, m := range list {
			if err := a.sqs(ctx, "SendMessage", map[string]any{"QueueUrl": to, "MessageBody": m.Body}, nil); err != nil {
				return moved, err
			}
			if err := a.sqs(ctx, "DeleteMessage", map[string]any{"QueueUrl": from, "ReceiptHandle": m.receipt}, nil); err != nil {
				return moved, err
			}
			moved++
		}
	}
}

// Purge throws away every message of a queue. SQS allows it once a minute.
func (a *Account) Purge(ctx context.Context, queue string) error {
	return a.sqs(ctx, "PurgeQueue", map[string]any{"QueueUrl": queue}, nil)
}

// Alarm is one that rings.
type Alarm struct {
	Name  string    `json:"name"`
	Since time.Time `json:"since"`
	Says  string    `json:"says"` // what it means and what to do
	Why   string    `json:"why"`  // figures
}

// maxAlarms is how many names CloudWatch takes at a time; an installation has 13.
const maxAlarms = 100

// Ringing returns those of the alarms that ring.
func (a *Account) Ringing(ctx context.Context, names []string) (list []Alarm, err error) {
	if len(names) == 0 || len(names) > maxAlarms {
		return nil, nil
	}
	var said struct {
		MetricAlarms []struct {
			AlarmName, AlarmDescription, StateReason, StateValue string
			StateUpdatedTimestamp                                float64 // seconds
		}
	}
	in := map[string]any{"AlarmNames": names, "StateValue": "ALARM", "MaxRecords": maxAlarms}
	// "monitoring" is what CloudWatch is called in addresses and signatures.
	if err := a.call(ctx, request{service: "monitoring", name: "DescribeAlarms", target: "GraniteServiceVersion20100801", version: "1.0", in: in}, &said); err != nil {
		return nil, Explain("the alarms", err)
	}
	for _, m := range said.MetricAlarms {
		if m.StateValue == "ALARM" {
			list = append(list, Alarm{Name: m.AlarmName, Says: m.AlarmDescription, Why: m.StateReason, Since: time.UnixMilli(int64(m.StateUpdatedTimestamp * 1000)).UTC()})
		}
	}
	return list, nil
}

// LogLine is a line of a log group.
type LogLine struct {
	Time   time.Time `json:"time"`
	Stream string    `json:"stream"`
	Text   string    `json:"text"`

	id string
}

// LogQuery says which lines of a log group are wanted.
type LogQuery struct {
	Group   string
	Since   time.Time
	Pattern string // of CloudWatch Logs, "" for every line
}

// Logs passes on the lines of a log group in the order of their times, as far as
// they are there now.
func (a *Account) Logs(ctx context.Context, q LogQuery, emit func(LogLine) error) error {
	in := map[string]any{"logGroupName": q.Group, "startTime": q.Since.UnixMilli()}
	if q.Pattern != "" {
		in["filterPattern"] = q.Pattern
	}
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
