package deploy

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

// Account is an AWS account in one region, as whoever the credentials are of.
type Account struct {
	ID, ARN, Region string

	cfg    aws.Config
	client *awshttp.BuildableClient
	signer *v4.Signer
	s3     *s3.Client
	now    func() time.Time
}

// OpenAccount finds credentials and region where every tool of AWS does and asks
// who they are. A region given goes before the one found.
func OpenAccount(ctx context.Context, region string, now func() time.Time) (*Account, error) {
	cfg, err := config.LoadDefaultConfig(ctx, func(o *config.LoadOptions) error {
		o.Region = region
		return nil
	})
	if err != nil {
		return nil, Explain("AWS", err)
	}
	if cfg.Region == "" {
		return nil, errors.New("no AWS region: give --region (us-east-1, eu-central-1 …) or set AWS_REGION")
	}
	who, err := sts.NewFromConfig(cfg).GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil {
		return nil, Explain("AWS credentials", err)
	}
	a := &Account{ID: aws.ToString(who.Account), ARN: aws.ToString(who.Arn), Region: cfg.Region, cfg: cfg, now: now}
	a.ready()
	return a, nil
}

// ready makes the clients.
func (a *Account) ready() {
	a.client, a.signer = awshttp.NewBuildableClient(), v4.NewSigner()
	a.s3 = s3.NewFromConfig(a.cfg, func(o *s3.Options) { o.DisableLogOutputChecksumValidationSkipped = true })
}

// Environ are the variables with which other programs use the same region.
func (a *Account) Environ() []string {
	return []string{"AWS_REGION=" + a.Region, "AWS_DEFAULT_REGION=" + a.Region}
}

// Concurrency is how many Lambda functions may run in the account at a time.
func (a *Account) Concurrency(ctx context.Context) (int, error) {
	var said struct {
		AccountLimit struct{ ConcurrentExecutions int }
	}
	err := a.call(ctx, request{service: "lambda", name: "GetAccountSettings", method: http.MethodGet, path: "/2016-08-19/account-settings/"}, &said)
	return said.AccountLimit.ConcurrentExecutions, err
}

// Depth is what waits in a queue: messages to be had, and those being worked on.
func (a *Account) Depth(ctx context.Context, queueURL string) (waiting, working int, err error) {
	in := map[string]any{"QueueUrl": queueURL, "AttributeNames": []string{"ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"}}
	var said struct{ Attributes map[string]string }
	if err := a.call(ctx, request{service: "sqs", name: "GetQueueAttributes", target: "AmazonSQS", version: "1.0", in: in}, &said); err != nil {
		return 0, 0, err
	}
	_, err = fmt.Sscan(said.Attributes["ApproximateNumberOfMessages"]+" "+said.Attributes["ApproximateNumberOfMessagesNotVisible"], &waiting, &working)
	if err != nil {
		return 0, 0, fmt.Errorf("queue %s: AWS answers %q", queueURL, said.Attributes)
	}
	return waiting, working, nil
}

// Publish sends a message to a topic.
func (a *Account) Publish(ctx context.Context, topic, message string) error {
	form := "Action=Publish&Version=2010-03-31&TopicArn=" + queryEscape(topic) + "&Message=" + queryEscape(message)
	return a.call(ctx, request{service: "sns", name: "Publish", form: form}, nil)
}

// request is a call of an API that is small enough to need no module of the SDK:
// JSON with a target (awsJson), a form (awsQuery) or plain REST.
type request struct {
	service, name   string
	method, path    string // POST and / where empty
	target, version string // awsJson: prefix of the target, version
	in              any
	form            string
}

// APIError is an answer of AWS's that says no.
type APIError struct {
	Service, Operation, Code, Message string
	Status                            int
}

func (e *APIError) Error() string {
	return fmt.Sprintf("operation error %s: %s, StatusCode: %d, api error %s: %s", e.Service, e.Operation, e.Status, e.Code, e.Message)
}

// tries and pauses: an answer that asks to come again is taken at its word.
const tries = 4

func (a *Account) call(ctx context.Context, r request, out any) error {
	pause := 200 * time.Millisecond
	for try := 1; ; try++ {
		err := a.once(ctx, r, out)
		var said *APIError
		if err == nil || !errors.As(err, &said) || said.Status != 429 && said.Status < 500 && !strings.Contains(said.Code, "Throttl") || try == tries {
			return err
		}
		t := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			t.Stop()
			return context.Cause(ctx)
		case <-t.C:
		}
		pause *= 2
	}
}

func (a *Account) once(ctx context.Context, r request, out any) error {
	req, body, err := a.build(ctx, r)
	if err == nil {
		var cred aws.Credentials
		if cred, err = a.cfg.Credentials.Retrieve(ctx); err == nil {
			sum := sha256.Sum256(body)
			err = a.signer.SignHTTP(ctx, cred, req, hex.EncodeToString(sum[:]), r.service, a.Region, a.now())
		}
	}
	if err != nil {
		return fmt.Errorf("%s: %s: %w", r.service, r.name, err)
	}
	resp, err := a.client.Do(req)
	if err != nil {
		return fmt.Errorf("%s: %s: %w", r.service, r.name, err)
	}
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(io.LimitReader(resp.Body, 16<<20))
	switch {
	case err != nil:
		return fmt.Errorf("%s: %s: %w", r.service, r.name, err)
	case resp.StatusCode/100 != 2:
		return refusal(r, resp, data)
	case out == nil:
		return nil
	}
	if err := json.Unmarshal(data, out); err != nil {
		return fmt.Errorf("%s: %s: the answer cannot be read: %w", r.service, r.name, err)
	}
	return nil
}

func (a *Account) build(ctx context.Context, r request) (*http.Request, []byte, error) {
	method, path := r.method, r.path
	if method == "" {
		method, path = http.MethodPost, "/"
	}
	var body []byte
	var err error
	if r.in != nil {
		body, err = json.Marshal(r.in)
	} else {
		body = []byte(r.form)
	}
	if err != nil {
		return nil, nil, err
	}
	req, err := http.NewRequestWithContext(ctx, method, a.endpoint(r.service)+path, bytes.NewReader(body))
	if err != nil {
		return nil, nil, err
	}
	switch {
	case r.target != "":
		req.Header.Set("X-Amz-Target", r.target+"."+r.name)
		req.Header.Set("Content-Type", "application/x-amz-json-"+r.version)
	case r.form != "":
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	}
	return req, body, nil
}

func (a *Account) endpoint(service string) string {
	if a.cfg.BaseEndpoint != nil { // AWS_ENDPOINT_URL
		return strings.TrimSuffix(*a.cfg.BaseEndpoint, "/")
	}
	host := "https://" + service + "." + a.Region + ".amazonaws.com"
	if strings.HasPrefix(a.Region, "cn-") {
		host += ".cn"
	}
	return host
}

// refusal reads an error in JSON or XML.
func refusal(r request, resp *http.Response, data []byte) error {
	e := &APIError{Service: r.service, Operation: r.name, Status: resp.StatusCode, Code: resp.Header.Get("X-Amzn-Errortype")}
	var said struct {
		Type    string `json:"__type"`
		Message string `json:"message"`
	}
	if json.Unmarshal(data, &said) == nil {
		e.Message = said.Message
		if said.Type != "" {
			e.Code = said.Type[strings.LastIndex(said.Type, "#")+1:]
		}
	} else {
		e.Message = short(strings.Join(strings.Fields(string(data)), " "), 300)
	}
	e.Code, _, _ = strings.Cut(e.Code, ":")
	return e
}

// queryEscape escapes all but letters, digits and -_.~, as awsQuery wants it.
func queryEscape(s string) string {
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("-_.~", c) >= 0 {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}
