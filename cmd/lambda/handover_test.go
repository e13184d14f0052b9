package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/elasticintel/elasticintel/internal/auth"
	"github.com/elasticintel/elasticintel/internal/ingest"
	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/testing/awstest"
	"github.com/elasticintel/elasticintel/internal/testing/feedserver"
)

// TestCloud_HandOver: a feed of 100,000 lines that does not fit into the time of one
// event gets in by way of the topic and the queue, in processes that know nothing of
// each other. How fast this machine is decides how little time that is.
func TestCloud_HandOver(t *testing.T) {
	bin := bootstrap(t)
	c := newCloud(t, awstest.Ministack(t))
	c.env = append(c.env, "EI_SHARD_SIZE=4000")
	pub := feedserver.Start(t)
	key, _, err := auth.New(c.store, (&settings{}).now).Create(t.Context(), "test", auth.Reader)
	if err != nil {
		t.Fatal(err)
	}
	id, run := c.inParts(bin, pub, 3)
	if pub.Hits("/"+id) != 1 || run.Accepted != 100_000 || run.Open != 100_000 {
		t.Errorf("%d downloads, %+v", pub.Hits("/"+id), run)
	}
	finds(t, launch(t, bin, "api", c.env...), key, map[string]bool{id + "-0.example": true, id + "-99999.example": true, id + "-100000.example": false})
}

// inParts lets a feed in that takes at least so many parts, by finding out how little
// time an event must have for that.
func (c *cloud) inParts(bin string, pub *feedserver.Server, least int) (id string, run intel.Run) {
	c.t.Helper()
	const most = 15
	for try, time := 1, 400*time.Millisecond; try <= most; try++ {
		id = fmt.Sprintf("f%d", try)
		pub.SetString("/"+id, lines(id, 100_000))
		c.upload(id, pub.URL("/"+id), "")
		run = c.chain(bin, id, time)
		c.t.Logf("%v an event: %s %s in %d parts: %s", time, run.Status, run.Code, run.Parts, run.Reason)
		switch {
		case run.Status == intel.RunOK && run.Parts >= least:
			return id, run
		case run.Code == ingest.CodeTimeLimit: // not even a shard, or too many parts
			time = time * 5 / 4
		case run.Status != intel.RunOK:
			c.t.Fatalf("%+v", run)
		default: // too much time
			time = time * 7 / 10
		}
	}
	c.t.Fatalf("no time was short enough for %d parts, and long enough to get on", least)
	return id, run
}

func lines(id string, n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "%s-%d.example\n", id, i)
	}
	return b.String()
}

// at is time.Now where time is a name of something else.
func at() time.Time { return time.Now() }

// chain asks for a run and delivers its messages until none is left, each to a process
// of its own that has so much time. It returns the run's row.
func (c *cloud) chain(bin, id string, time time.Duration) intel.Run {
	c.t.Helper()
	job := fmt.Sprintf(`{"id":%q,"feed":%q,"due":"2026-11-01T00:00:00Z"}`, "job-"+id, id)
	if _, err := c.sns.Publish(c.t.Context(), &sns.PublishInput{TopicArn: &c.topic, Message: &job}); err != nil {
		c.t.Fatal(err)
	}
	ledger := ingest.New(ingest.Config{Store: c.store})
	var rows []intel.Run
	for part, began := 0, at(); ; part++ {
		batch := c.receive(c.jobs)
		if len(batch) == 0 {
			var err error
			if rows, err = ledger.Runs(c.t.Context(), id, 0); err != nil {
				c.t.Fatal(err)
			} else if len(rows) > 0 || at().Sub(began) > patience {
				break
			}
			part-- // a message is on its way
			continue
		}
		for len(batch) > 1 && *batch[1].Body == *batch[0].Body { // a client that was not answered published it again; others test that
			if _, err := c.sqs.DeleteMessage(c.t.Context(), &sqs.DeleteMessageInput{QueueUrl: &c.jobs, ReceiptHandle: batch[1].ReceiptHandle}); err != nil {
				c.t.Fatal(err)
			}
			batch = slices.Delete(batch, 1, 2)
		}
		if len(batch) > 1 || part > ingest.MaxParts {
			c.t.Fatalf("%d messages after part %d", len(batch), part)
		}
		body := *batch[0].Body
		event := fmt.Sprintf(`{"Records":[{"messageId":"m","eventSource":"aws:sqs","body":%q}]}`, body)
		for receive := 1; ; receive++ { // a busy machine may not even read the ledger in that time
			p := launch(c.t, bin, "ingest", c.env...)
			r := p.Invoke(event, time)
			p.kill()
			if string(r.Body) == `{"batchItemFailures":[]}` {
				break
			}
			if receive == 3 {
				c.t.Fatalf("%s: %s %s\n%s", body, r.Body, r.Error, p.out)
			}
			c.t.Logf("the message comes again: %s", p.out)
		}
		if _, err := c.sqs.DeleteMessage(c.t.Context(), &sqs.DeleteMessageInput{QueueUrl: &c.jobs, ReceiptHandle: batch[0].ReceiptHandle}); err != nil {
			c.t.Fatal(err)
		}
	}
	if len(rows) != 1 || rows[0].Job != "job-"+id {
		c.t.Fatalf("%+v", rows)
	}
	if left, err := c.store.List(c.t.Context(), "unfinished/"+id); err != nil || len(left) > 0 {
		c.t.Errorf("left: %v, %v", left, err)
	}
	return rows[0]
}
