package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	ssmtypes "github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"github.com/elasticintel/elasticintel/internal/auth"
	"github.com/elasticintel/elasticintel/internal/aws"
	"github.com/elasticintel/elasticintel/internal/blob"
	"github.com/elasticintel/elasticintel/internal/testing/awstest"
	"github.com/elasticintel/elasticintel/internal/testing/feedserver"
)

// receives is after how many a queue puts a message aside.
const receives = 2

// cloud is a bucket, a topic with a queue behind it, and a tree of parameters.
type cloud struct {
	t          *testing.T
	store      *aws.Store
	env        []string // of functions
	sns        *sns.Client
	sqs        *sqs.Client
	ssm        *ssm.Client
	topic      string
	jobs, dead string // URLs of the queue and of what it puts aside
}

func newCloud(t *testing.T, server *awstest.Server) *cloud {
	t.Helper()
	server.Setenv(t)
	cfg, err := config.LoadDefaultConfig(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	c := &cloud{t: t, sns: sns.NewFromConfig(cfg), sqs: sqs.NewFromConfig(cfg), ssm: ssm.NewFromConfig(cfg)}
	if _, err := s3.NewFromConfig(cfg).CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: sdk.String("intel")}); err != nil {
		t.Fatal(err)
	}
	if c.store, err = aws.NewStore(t.Context(), aws.StoreOptions{URL: "s3://intel"}); err != nil {
		t.Fatal(err)
	}
	topic, err := c.sns.CreateTopic(t.Context(), &sns.CreateTopicInput{Name: sdk.String("jobs")})
	if err != nil {
		t.Fatal(err)
	}
	c.topic = *topic.TopicArn
	var arn string
	c.dead, arn = c.queue("dead", nil)
	c.jobs, arn = c.queue("jobs", map[string]string{"VisibilityTimeout": "60", "RedrivePolicy": fmt.Sprintf(`{"deadLetterTargetArn":%q,"maxReceiveCount":%d}`, arn, receives)})
	if _, err := c.sns.Subscribe(t.Context(), &sns.SubscribeInput{TopicArn: &c.topic, Protocol: sdk.String("sqs"), Endpoint: &arn, Attributes: map[string]string{"RawMessageDelivery": "true"}}); err != nil {
		t.Fatal(err)
	}
	c.env = append(server.Env(), "EI_DATA=s3://intel", "EI_CACHE="+t.TempDir(), "EI_JOBS_TOPIC="+c.topic, "EI_SECRETS=ssm:/elasticintel/")
	return c
}

func (c *cloud) queue(name string, attributes map[string]string) (url, arn string) {
	c.t.Helper()
	q, err := c.sqs.CreateQueue(c.t.Context(), &sqs.CreateQueueInput{QueueName: &name, Attributes: attributes})
	if err != nil {
		c.t.Fatal(err)
	}
	a, err := c.sqs.GetQueueAttributes(c.t.Context(), &sqs.GetQueueAttributesInput{QueueUrl: q.QueueUrl, AttributeNames: []types.QueueAttributeName{types.QueueAttributeNameQueueArn}})
	if err != nil {
		c.t.Fatal(err)
	}
	return *q.QueueUrl, a.Attributes["QueueArn"]
}

// upload puts a feed definition into the bucket, as a person would.
func (c *cloud) upload(id, url, more string) {
	c.t.Helper()
	def := fmt.Sprintf(`{"feeds":[{"id":%q,"feed_name":%q,"feed_type":"txt","indicator_type":"domain","feed_url":%q,%s"field_mapping":{"source":[],"destination":[]},"allow_networks":["127.0.0.0/8"]}]}`, id, id, url, more)
	if _, err := blob.Write(c.t.Context(), c.store, "feeds.d/"+id+".json", []byte(def), blob.Cond{}); err != nil {
		c.t.Fatal(err)
	}
}

// parameter sets what Terraform makes and people fill.
func (c *cloud) parameter(name, value string) {
	c.t.Helper()
	if _, err := c.ssm.PutParameter(c.t.Context(), &ssm.PutParameterInput{Name: sdk.String("/elasticintel/" + name), Value: &value, Type: ssmtypes.ParameterTypeSecureString, Overwrite: sdk.Bool(true)}); err != nil {
		c.t.Fatal(err)
	}
}

// tick lets the scheduler publish what is due.
func (c *cloud) tick(p *process, want int) {
	c.t.Helper()
	r := p.Invoke(`{"at":"<aws.scheduler.scheduled-time>"}`, limit)
	var said struct{ Due, Published int }
	if err := json.Unmarshal(r.Body, &said); err != nil || said.Due != want || said.Published != want {
		c.t.Fatalf("%d jobs wanted: %s %s\n%s", want, r.Body, r.Error, p.out)
	}
}

// receive takes what a queue has, up to ten messages.
func (c *cloud) receive(url string) []types.Message {
	c.t.Helper()
	out, err := c.sqs.ReceiveMessage(c.t.Context(), &sqs.ReceiveMessageInput{QueueUrl: &url, MaxNumberOfMessages: 10, WaitTimeSeconds: 1, VisibilityTimeout: 60,
		MessageSystemAttributeNames: []types.MessageSystemAttributeName{types.MessageSystemAttributeNameApproximateReceiveCount}})
	if err != nil {
		c.t.Fatal(err)
	}
	return out.Messages
}

// deliver does what Lambda does with a queue, until nothing is left in it: a batch to
// the function, and out of the queue with what it does not want again. It returns how
// many messages it took out.
func (c *cloud) deliver(p *process) (done int) {
	c.t.Helper()
	for range 20 {
		batch := c.receive(c.jobs)
		if len(batch) == 0 {
			return done
		}
		again := c.handOver(p, batch)
		for _, m := range batch {
			var err error
			if slices.Contains(again, *m.MessageId) {
				_, err = c.sqs.ChangeMessageVisibility(c.t.Context(), &sqs.ChangeMessageVisibilityInput{QueueUrl: &c.jobs, ReceiptHandle: m.ReceiptHandle, VisibilityTimeout: 0})
			} else {
				_, err = c.sqs.DeleteMessage(c.t.Context(), &sqs.DeleteMessageInput{QueueUrl: &c.jobs, ReceiptHandle: m.ReceiptHandle})
				done++
			}
			if err != nil {
				c.t.Fatal(err)
			}
		}
	}
	c.t.Fatal("the queue does not empty")
	return done
}

// patience is how long messages may take that are there for certain: as long as one
// stays out of sight of which the answer got lost on a busy machine, and some more.
const patience = 75 * time.Second

// deliverAll is deliver that goes on until so many messages were taken out.
func (c *cloud) deliverAll(p *process, want int) (done int) {
	c.t.Helper()
	for began := time.Now(); done < want; {
		if done += c.deliver(p); time.Since(began) > patience {
			break
		}
	}
	return done
}

// handOver invokes the function with a batch and returns the ids of what failed.
func (c *cloud) handOver(p *process, batch []types.Message) (again []string) {
	c.t.Helper()
	var records []any
	for _, m := range batch {
		records = append(records, map[string]any{"messageId": m.MessageId, "receiptHandle": m.ReceiptHandle, "body": m.Body, "attributes": m.Attributes, "eventSource": "aws:sqs"})
	}
	event, err := json.Marshal(map[string]any{"Records": records})
	if err != nil {
		c.t.Fatal(err)
	}
	r := p.Invoke(string(event), limit)
	var said struct {
		BatchItemFailures []struct{ ItemIdentifier string }
	}
	if err := json.Unmarshal(r.Body, &said); err != nil || r.Error != "" || said.BatchItemFailures == nil {
		c.t.Fatalf("ingest: %s %s\n%s", r.Body, r.Error, p.out)
	}
	for _, f := range said.BatchItemFailures {
		again = append(again, f.ItemIdentifier)
	}
	return again
}

// finds wants a function of the API to find names, and not to find others.
func finds(t *testing.T, p *process, key string, names map[string]bool) {
	t.Helper()
	for name, found := range names {
		if r := p.Invoke(get("/api/v1/indicators/"+name, key), limit); !strings.Contains(string(r.Body), `\"found\":`+strconv.FormatBool(found)) {
			t.Errorf("%s: %s %s\n%s", name, r.Body, r.Error, p.out)
		}
	}
}

// TestCloud: the built functions on a real bucket, topic, queue and parameters, on
// two emulators: what is scheduled is run and answered from, a feed is added by
// uploading a file, another waits for its secret, and a message that nobody can
// read is put aside alone.
func TestCloud(t *testing.T) {
	bin := bootstrap(t)
	for name, start := range map[string]func(testing.TB) *awstest.Server{
		"ministack": func(t testing.TB) *awstest.Server { return awstest.Ministack(t) },
		"moto":      awstest.Moto,
	} {
		t.Run(name, func(t *testing.T) {
			c := newCloud(t, start(t))
			pub := publisher(t)
			c.upload("a", pub.URL("/a"), "")
			scheduler, in := launch(t, bin, "scheduler", c.env...), launch(t, bin, "ingest", c.env...)
			c.tick(scheduler, 1)
			if n := c.deliverAll(in, 1); n < 1 || pub.Hits("/a") != 1 { // topics and clients may repeat a message; a job is one run all the same
				t.Fatalf("%d messages, %d pulls\n%s", n, pub.Hits("/a"), in.out)
			}
			key, _, err := auth.New(c.store, (&settings{}).now).Create(t.Context(), "test", auth.Reader)
			if err != nil {
				t.Fatal(err)
			}
			finds(t, launch(t, bin, "api", c.env...), key, map[string]bool{"one.a.example": true, "one.b.example": false})

			c.parameter("b_key", aws.Unset) // as Terraform leaves it
			c.upload("b", pub.URL("/b"), `"auth":{"secret":"b_key","in":"bearer"},`)
			c.upload("c", pub.URL("/c"), "")
			c.tick(scheduler, 1) // c; a is not due and b has no key
			if n := c.deliverAll(in, 1); n < 1 || pub.Hits("/c") != 1 || pub.Hits("/b") != 0 {
				t.Fatalf("%d messages; %d pulls of c, %d of b\n%s", n, pub.Hits("/c"), pub.Hits("/b"), in.out)
			}
			c.parameter("b_key", "s3cret")
			c.tick(launch(t, bin, "scheduler", c.env...), 1)
			c.deliverAll(in, 1)
			finds(t, launch(t, bin, "api", c.env...), key, map[string]bool{"one.a.example": true, "one.b.example": true, "one.c.example": true})
			c.poison(in)
			health := launch(t, bin, "health", c.env...)
			if r := health.Invoke(`{"at":"<aws.scheduler.scheduled-time>"}`, limit); !strings.Contains(string(r.Body), `"healthy":3`) {
				t.Errorf("health: %s %s", r.Body, r.Error)
			}
			for _, p := range []*process{scheduler, in, health} {
				p.kill()
				if strings.Contains(p.out.String(), "s3cret") {
					t.Errorf("a secret in the log: %s", p.out)
				}
			}
			if n := strings.Count(in.out.String(), "the message is no job"); n < receives {
				t.Errorf("the message that is no job came %d times\n%s", n, in.out)
			}
		})
	}
}

// publisher is one of three feeds, the second of which wants a key.
func publisher(t *testing.T) *feedserver.Server {
	pub := feedserver.Start(t)
	pub.SetString("/a", "one.a.example\n")
	pub.SetString("/c", "one.c.example\n")
	pub.Handle("/b", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer s3cret" {
			http.Error(w, "no", http.StatusUnauthorized)
			return
		}
		fmt.Fprintln(w, "one.b.example")
	})
	return pub
}

// poison publishes a message that is no job between two that were done before; it
// alone ends where the queue puts things aside.
func (c *cloud) poison(in *process) {
	c.t.Helper()
	done := `{"id":"a@2026-11-01T00:00:00Z","feed":"a","due":"2026-11-01T00:00:00Z"}` // overtaken
	for _, m := range []string{done, `{"feed":`, done} {
		if _, err := c.sns.Publish(c.t.Context(), &sns.PublishInput{TopicArn: &c.topic, Message: &m}); err != nil {
			c.t.Fatal(err)
		}
	}
	if n := c.deliverAll(in, 2); n < 2 {
		c.t.Errorf("%d good messages, want 2", n)
	}
	aside := c.receive(c.dead)
	for began := time.Now(); len(aside) == 0 && time.Since(began) < patience; {
		c.deliver(in) // it was not received often enough yet
		aside = c.receive(c.dead)
	}
	if len(aside) == 0 || slices.ContainsFunc(aside, func(m types.Message) bool { return *m.Body != `{"feed":` }) {
		c.t.Errorf("put aside: %v", aside)
	}
}
