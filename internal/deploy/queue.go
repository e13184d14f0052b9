package deploy

import (
	"context"
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
