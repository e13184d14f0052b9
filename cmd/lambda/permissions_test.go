package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/elasticintel/elasticintel/internal/auth"
	"github.com/elasticintel/elasticintel/internal/awslambda"
	"github.com/elasticintel/elasticintel/internal/testing/awstest"
	"github.com/elasticintel/elasticintel/internal/testing/feedserver"
	"github.com/elasticintel/elasticintel/internal/testing/tftest"
)

// recorder stands between one function and AWS, and notes each call as the action
// and the resource that a policy would have to allow.
type recorder struct {
	*httptest.Server
	mu    sync.Mutex
	calls []tftest.Grant
	odd   []string // what it cannot name
}

func record(t *testing.T, to *awstest.Server) *recorder {
	t.Helper()
	target, err := url.Parse(to.URL)
	if err != nil {
		t.Fatal(err)
	}
	rec := &recorder{}
	proxy := httputil.NewSingleHostReverseProxy(target)
	rec.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		rec.note(r, body)
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(rec.Close)
	return rec
}

// note names a call. Names are those of the services' authorisation references.
func (rec *recorder) note(r *http.Request, body []byte) {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	say := func(action, resource string) {
		rec.calls = append(rec.calls, tftest.Grant{Action: action, Resource: resource})
	}
	service := r.Header.Get("Authorization")
	if parts := strings.Split(service, "/"); len(parts) > 3 {
		service = parts[3]
	}
	form, _ := url.ParseQuery(string(body))
	bucket, key, isObject := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	object := "arn:aws:s3:::" + bucket + "/" + key
	q := r.URL.Query()
	switch {
	case service == "sns" && strings.HasPrefix(form.Get("Action"), "Publish"):
		say("sns:Publish", form.Get("TopicArn"))
	case service == "ssm" && r.Header.Get("X-Amz-Target") == "AmazonSSM.GetParameter":
		_, name, _ := strings.Cut(string(body), `"Name":"`)
		name, _, _ = strings.Cut(name, `"`)
		say("ssm:GetParameter", "parameter"+name)
	case service == "s3" && r.Method == http.MethodGet && (!isObject || key == "") && q.Get("list-type") == "2":
		say("s3:ListBucket", "arn:aws:s3:::"+bucket)
	case service != "s3" || !isObject || key == "":
		rec.odd = append(rec.odd, fmt.Sprintf("%s %s %s %s", service, r.Method, r.URL, body))
	case r.Method == http.MethodGet || r.Method == http.MethodHead:
		say("s3:GetObject", object)
	case r.Method == http.MethodPut, r.Method == http.MethodPost && (q.Has("uploads") || q.Has("uploadId")):
		say("s3:PutObject", object)
	case r.Method == http.MethodDelete && !q.Has("uploadId"):
		say("s3:DeleteObject", object)
	default:
		rec.odd = append(rec.odd, fmt.Sprintf("%s %s %s", service, r.Method, r.URL))
	}
}

// covers says whether a permission allows a call.
func covers(g, call tftest.Grant) bool {
	resource := g.Resource
	if begin, ok := strings.CutSuffix(resource, "*"); ok {
		return g.Action == call.Action && strings.HasPrefix(call.Resource, begin)
	}
	return g.Action == call.Action && call.Resource == resource
}

// unseen are permissions that no call of a function shows, with who uses them.
var unseen = map[string]string{
	"sqs:ReceiveMessage":     "Lambda, which polls the queue by the role of ingest",
	"sqs:DeleteMessage":      "Lambda, which polls the queue by the role of ingest",
	"sqs:GetQueueAttributes": "Lambda, which polls the queue by the role of ingest",
	"sqs:SendMessage":        "Lambda, which puts events aside by the function's role",
}

// here writes the resources of a plan as those of the test are called.
func here(g tftest.Grant, topic string) tftest.Grant {
	r := g.Resource
	if rest, ok := strings.CutPrefix(r, "arn:aws:s3:::elasticintel-data-"+tftest.Account+"-"+tftest.Region); ok {
		r = "arn:aws:s3:::intel" + rest
	}
	if strings.HasSuffix(r, ":elasticintel-jobs") && strings.HasPrefix(r, "arn:aws:sns:") {
		r = topic
	}
	if _, name, ok := strings.Cut(r, ":parameter/"); ok {
		r = "parameter/" + name
	}
	return tftest.Grant{Action: g.Action, Resource: r}
}

// TestPermissions: each function makes the calls that its role allows, and its role
// allows no call that it does not make.
func TestPermissions(t *testing.T) {
	root := tftest.New(t, tftest.Identity(t))
	plan := root.Plan(t, `secrets=["b_key"]`, `environment={"EI_ALERT_WEBHOOK":"https://example.com/"}`)
	granted, err := plan.Grants()
	if err != nil {
		t.Fatal(err)
	}
	server := awstest.Ministack(t)
	c := newCloud(t, server)
	calls := work(t, c, server)
	for _, f := range awslambda.Functions() {
		rec := calls[f]
		rec.mu.Lock()
		for _, odd := range rec.odd {
			t.Errorf("%s makes a call that this test does not know: %s", f, odd)
		}
		var have []tftest.Grant
		for _, g := range granted["elasticintel-"+f] {
			have = append(have, here(g, c.topic))
		}
		if len(have) == 0 {
			t.Errorf("the plan gives %s nothing", f)
		}
		missing := map[tftest.Grant]bool{}
		for _, call := range rec.calls {
			if !slices.ContainsFunc(have, func(g tftest.Grant) bool { return covers(g, call) }) && !missing[call] {
				missing[call] = true
				t.Errorf("%s calls %s on %s, which its role does not allow", f, call.Action, call.Resource)
			}
		}
		for _, g := range have {
			if unseen[g.Action] == "" && !slices.ContainsFunc(rec.calls, func(call tftest.Grant) bool { return covers(g, call) }) {
				t.Errorf("the role of %s allows %s on %s, and it was not used", f, g.Action, g.Resource)
			}
		}
		rec.mu.Unlock()
	}
}

// work lets every function do all that it can do, each by a recorder of its own.
func work(t *testing.T, c *cloud, server *awstest.Server) map[string]*recorder {
	t.Helper()
	bin, pub := bootstrap(t), publisher(t)
	hook := feedserver.Start(t)
	hook.SetString("/hook", "ok")
	calls := map[string]*recorder{}
	processes, envs := map[string]*process{}, map[string][]string{}
	for _, f := range awslambda.Functions() {
		calls[f] = record(t, server)
		env := slices.DeleteFunc(slices.Clone(c.env), func(v string) bool {
			return strings.HasPrefix(v, "AWS_ENDPOINT_URL=") || strings.HasPrefix(v, "EI_CACHE=")
		})
		envs[f] = append(env, "AWS_ENDPOINT_URL="+calls[f].URL, "EI_CACHE="+t.TempDir(), "EI_GRACE=0s", "EI_KEEP_RAW=0",
			"EI_ALERT_WEBHOOK="+hook.URL("/hook"), "EI_ALERT_ALLOW_NETWORK=127.0.0.0/8", "EI_ALERT_AFTER=0s")
		if f != awslambda.FunctionAPI { // it looks for what is new every few seconds only
			processes[f] = launch(t, bin, f, envs[f]...)
		}
	}
	c.parameter("b_key", "s3cret")
	c.upload("a", pub.URL("/a"), "")
	c.upload("b", pub.URL("/b"), `"auth":{"secret":"b_key","in":"bearer"},`)
	c.upload("offline", pub.URL("/offline"), `"role":"enrichment",`) // its run keeps a table
	pub.SetString("/offline", "one.offline.example\n")
	key, _, err := auth.New(c.store, time.Now).Create(t.Context(), "test", auth.Editor)
	if err != nil {
		t.Fatal(err)
	}
	tick := `{"at":"<aws.scheduler.scheduled-time>"}`
	c.tick(processes[awslambda.FunctionScheduler], 3)
	c.deliverAll(processes[awslambda.FunctionIngest], 3)
	processes[awslambda.FunctionAPI] = launch(t, bin, awslambda.FunctionAPI, envs[awslambda.FunctionAPI]...)
	finds(t, processes[awslambda.FunctionAPI], key, map[string]bool{"one.a.example": true, "one.b.example": true, "other.example": false})
	if r := processes[awslambda.FunctionHealth].Invoke(tick, limit); r.Error != "" {
		t.Error(r.Error)
	}
	// the lists change until segments were replaced and are swept, and one feed fails
	pub.Fail("/b", feedserver.Forbidden, 0)
	for i := range 6 {
		pub.SetString("/a", fmt.Sprintf("one.a.example\nn%d.a.example\n", i))
		pub.SetString("/offline", fmt.Sprintf("n%d.offline.example\n", i)) // another table takes the place of the one before
		run := fmt.Sprintf(`{"version":"2.0","rawPath":"/api/v1/feeds/%s/run","headers":{"host":"x","authorization":"Bearer %s","content-type":"application/json"},"requestContext":{"stage":"$default","http":{"method":"POST","sourceIp":"198.51.100.7"}}}`, []string{"a", "b", "offline"}[i%3], key)
		asked := processes[awslambda.FunctionAPI].Send(run, limit)
		for c.deliver(processes[awslambda.FunctionIngest]) == 0 {
			select {
			case r := <-asked:
				t.Fatalf("no job for what was asked for: %s %s", r.Body, r.Error)
			default:
			}
		}
		if r := <-asked; !strings.Contains(string(r.Body), `"statusCode":200`) {
			t.Errorf("a run that was asked for: %s %s", r.Body, r.Error)
		}
	}
	// a list that does not fit into the time of an event
	all := c.env
	c.env = append(slices.Clone(envs[awslambda.FunctionIngest]), "EI_SHARD_SIZE=4000")
	c.inParts(bin, pub, 2)
	c.env = all
	// others begin with what there is now: the one that runs feeds sweeps
	processes[awslambda.FunctionIngest].kill()
	pub.SetString("/c", "one.c.example\n")
	c.upload("c", pub.URL("/c"), "")
	c.tick(processes[awslambda.FunctionScheduler], 1)
	c.deliverAll(launch(t, bin, awslambda.FunctionIngest, envs[awslambda.FunctionIngest]...), 1)
	for _, path := range []string{"/api/v1/feeds", "/api/v1/feeds/a/runs", "/api/v1/stats"} {
		if r := processes[awslambda.FunctionAPI].Invoke(get(path, key), limit); !strings.Contains(string(r.Body), `"statusCode":200`) {
			t.Errorf("%s: %s %s", path, r.Body, r.Error)
		}
	}
	if r := processes[awslambda.FunctionHealth].Invoke(tick, limit); r.Error != "" {
		t.Error(r.Error)
	}
	return calls
}
