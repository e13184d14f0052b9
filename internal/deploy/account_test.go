package deploy

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/elasticintel/elasticintel/internal/testing/awstest"
)

func open(t *testing.T, region string) *Account {
	t.Helper()
	a, err := OpenAccount(t.Context(), region, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// TestAccount asks an emulator what deploy and status ask AWS.
func TestAccount(t *testing.T) {
	server := awstest.Ministack(t)
	server.Setenv(t)
	a := open(t, "")
	if a.ID != awstest.Account || a.Region != awstest.Region || !strings.HasPrefix(a.ARN, "arn:aws:") {
		t.Errorf("%+v", a)
	}
	if n, err := a.Concurrency(t.Context()); err != nil || n < 1 {
		t.Error(n, err)
	}
	var q struct{ QueueUrl string }
	if err := a.call(t.Context(), request{service: "sqs", name: "CreateQueue", target: "AmazonSQS", version: "1.0", in: map[string]any{"QueueName": "q"}}, &q); err != nil {
		t.Fatal(err)
	}
	send := request{service: "sqs", name: "SendMessage", target: "AmazonSQS", version: "1.0", in: map[string]any{"QueueUrl": q.QueueUrl, "MessageBody": "x"}}
	if err := a.call(t.Context(), send, nil); err != nil {
		t.Fatal(err)
	}
	if waiting, working, err := a.Depth(t.Context(), q.QueueUrl); err != nil || waiting != 1 || working != 0 {
		t.Error(waiting, working, err)
	}
	_, _, err := a.Depth(t.Context(), q.QueueUrl+"-none")
	if said := new(APIError); !errors.As(err, &said) || !strings.Contains(said.Code, "NonExistentQueue") && !strings.Contains(said.Code, "QueueDoesNotExist") {
		t.Error(err)
	}
	if err := a.Publish(t.Context(), "arn:aws:sns:us-east-1:111122223333:none", "a=b&c"); err == nil || !strings.Contains(err.Error(), "NotFound") {
		t.Error(err)
	}
}

// TestStateBucket: made once, mended where it is open, gone with the last state.
// moto is the second opinion.
func TestStateBucket(t *testing.T) {
	for name, start := range map[string]func(testing.TB) *awstest.Server{
		"ministack": func(t testing.TB) *awstest.Server { return awstest.Ministack(t) },
		"moto":      awstest.Moto,
	} {
		t.Run(name, func(t *testing.T) {
			start(t).Setenv(t)
			for _, region := range []string{"us-east-1", "eu-central-1"} {
				stateBucket(t, open(t, region))
			}
		})
	}
}

func stateBucket(t *testing.T, a *Account) {
	ctx := t.Context()
	one, two := a.State("one"), a.State("two")
	if one.Bucket != two.Bucket || one.Key == two.Key || !strings.HasSuffix(one.Bucket, a.ID+"-"+a.Region) {
		t.Error(one, two)
	}
	if has, err := a.HasState(ctx, one); has || err != nil {
		t.Error(has, err)
	}
	if made, err := a.EnsureBucket(ctx, one.Bucket); !made || err != nil {
		t.Fatal(made, err)
	}
	if _, err := a.s3.DeletePublicAccessBlock(ctx, &s3.DeletePublicAccessBlockInput{Bucket: &one.Bucket}); err != nil {
		t.Fatal(err)
	}
	if made, err := a.EnsureBucket(ctx, one.Bucket); made || err != nil {
		t.Fatal(made, err)
	}
	v, err := a.s3.GetBucketVersioning(ctx, &s3.GetBucketVersioningInput{Bucket: &one.Bucket})
	if err != nil || v.Status != "Enabled" {
		t.Error(v, err)
	}
	p, err := a.s3.GetPublicAccessBlock(ctx, &s3.GetPublicAccessBlockInput{Bucket: &one.Bucket})
	if err != nil || !aws.ToBool(p.PublicAccessBlockConfiguration.RestrictPublicBuckets) || !aws.ToBool(p.PublicAccessBlockConfiguration.BlockPublicAcls) {
		t.Error(p, err)
	}
	e, err := a.s3.GetBucketEncryption(ctx, &s3.GetBucketEncryptionInput{Bucket: &one.Bucket})
	if err != nil || e.ServerSideEncryptionConfiguration.Rules[0].ApplyServerSideEncryptionByDefault.SSEAlgorithm != "AES256" {
		t.Error(e, err)
	}
	for _, c := range []struct {
		key, text string
		written   bool
	}{{one.Key, "a", true}, {one.Key, "a", false}, {one.Key, "b", true}, {two.Key, "c", true}} {
		if written, err := a.Upload(ctx, one.Bucket, c.key, []byte(c.text)); written != c.written || err != nil {
			t.Error(c, written, err)
		}
	}
	if has, err := a.HasState(ctx, one); !has || err != nil {
		t.Error(has, err)
	}
	if gone, err := a.ForgetState(ctx, one); gone || err != nil {
		t.Error("the bucket went with another environment's state", gone, err)
	}
	if has, _ := a.HasState(ctx, two); !has {
		t.Error("another environment's state is gone")
	}
	if gone, err := a.ForgetState(ctx, two); !gone || err != nil {
		t.Error(gone, err)
	}
	if gone, err := a.ForgetState(ctx, two); gone || err != nil {
		t.Error("nothing there", gone, err)
	}
}

// TestAsksAgain: an answer that says to come later is followed.
func TestAsksAgain(t *testing.T) {
	var asked atomic.Int64
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch asked.Add(1) {
		case 1:
			w.WriteHeader(http.StatusServiceUnavailable)
		case 2:
			w.WriteHeader(http.StatusBadRequest)
			_, _ = w.Write([]byte(`{"__type":"com.amazonaws.sqs#ThrottlingException","message":"Rate exceeded"}`))
		case 3:
			if !strings.HasPrefix(r.Header.Get("Authorization"), "AWS4-HMAC-SHA256 Credential=k/") || r.Header.Get("X-Amz-Target") != "AmazonSQS.GetQueueAttributes" {
				t.Error(r.Header)
			}
			_, _ = w.Write([]byte(`{"Attributes":{"ApproximateNumberOfMessages":"3","ApproximateNumberOfMessagesNotVisible":"2"}}`))
		default:
			w.WriteHeader(http.StatusForbidden)
			_, _ = w.Write([]byte(`{"__type":"AccessDenied","message":"User: u is not authorized to perform: sqs:GetQueueAttributes on resource: q because"}`))
		}
	}))
	defer s.Close()
	a := &Account{Region: "us-east-1", now: time.Now}
	a.cfg.BaseEndpoint = &s.URL
	a.cfg.Credentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{AccessKeyID: "k", SecretAccessKey: "s"}, nil
	})
	a.ready()
	if waiting, working, err := a.Depth(t.Context(), "q"); err != nil || waiting != 3 || working != 2 {
		t.Error(waiting, working, err)
	}
	_, _, err := a.Depth(t.Context(), "q")
	if err = Explain("the queue", err); err == nil || !strings.Contains(err.Error(), "the permission sqs:GetQueueAttributes on q is missing") || asked.Load() != 4 {
		t.Error(err, asked.Load())
	}
}

// TestOpenAccountSays: what is missing is said with what to do.
func TestOpenAccountSays(t *testing.T) {
	awstest.Clean(t)
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	t.Setenv("HOME", t.TempDir())
	if _, err := OpenAccount(t.Context(), "", time.Now); err == nil || !strings.Contains(err.Error(), "give --region") {
		t.Error(err)
	}
	if _, err := OpenAccount(t.Context(), "us-east-1", time.Now); err == nil || !strings.Contains(err.Error(), "no credentials were found") {
		t.Error(err)
	}
}
