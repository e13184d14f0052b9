package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

// doc is the OpenAPI document, and its schemas as they are needed.
type doc struct {
	root map[string]any
	comp *jsonschema.Compiler
	mu   sync.Mutex
	seen map[string]*jsonschema.Schema
}

// openDoc reads the document once for all tests.
var openDoc = sync.OnceValue(func() *doc {
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(document))
	if err != nil {
		panic(err)
	}
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	c.AssertFormat()
	if err := c.AddResource("openapi.json", v); err != nil {
		panic(err)
	}
	return &doc{root: v.(map[string]any), comp: c, seen: map[string]*jsonschema.Schema{}}
})

// at walks down the document and follows references. It returns the pointer to
// what it found.
func (d *doc) at(path ...string) (v any, pointer string, ok bool) {
	v = d.root
	for _, p := range path {
		m, isMap := v.(map[string]any)
		if !isMap {
			return nil, "", false
		}
		if v, ok = m[p]; !ok {
			return nil, "", false
		}
		pointer += "/" + strings.NewReplacer("~", "~0", "/", "~1", "{", "%7B", "}", "%7D").Replace(p)
		if m, isMap := v.(map[string]any); isMap {
			if ref, isRef := m["$ref"].(string); isRef {
				if v, pointer, ok = d.at(strings.Split(strings.TrimPrefix(ref, "#/"), "/")...); !ok {
					return nil, "", false
				}
			}
		}
	}
	return v, pointer, true
}

func (d *doc) schema(pointer string) (*jsonschema.Schema, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if s := d.seen[pointer]; s != nil {
		return s, nil
	}
	s, err := d.comp.Compile("openapi.json#" + pointer)
	d.seen[pointer] = s
	return s, err
}

// validate holds a JSON text against the schema at a pointer.
func (d *doc) validate(pointer string, text []byte) error {
	s, err := d.schema(pointer)
	if err != nil {
		return err
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return fmt.Errorf("not JSON: %w", err)
	}
	return s.Validate(v)
}

// routeOf finds the route that a request goes to, "" where none takes it.
func routeOf(a *api, r *http.Request) (method, path string) {
	if rt, _, _, ok := a.values.find(r.URL); ok {
		if r.Method != "GET" && r.Method != "HEAD" {
			return "", ""
		}
		return rt.method, rt.path
	}
	if !clean(r) {
		return "", ""
	}
	_, pattern := a.mux.Handler(r)
	method, path, _ = strings.Cut(pattern, " ")
	return method, path
}

// checkAnswer holds an answer against the document: status, headers, media type, body.
func checkAnswer(a *api, r *http.Request, got answer) error {
	for _, h := range a.fixed {
		if got.header.Get(h.name) != h.value[0] {
			return fmt.Errorf("header %s: got %q, want %q", h.name, got.header.Get(h.name), h.value[0])
		}
	}
	if got.header.Get("X-Request-Id") == "" {
		return fmt.Errorf("no X-Request-Id")
	}
	if got.header.Get("Location") != "" {
		return fmt.Errorf("a redirect to %s", got.header.Get("Location"))
	}
	d := openDoc()
	method, path := routeOf(a, r)
	if path == "" { // what no route took
		switch got.status {
		case 404, 405, 403, 421:
			return checkProblem(d, got, r.Method)
		}
		return fmt.Errorf("status %d of a path that is not in the document", got.status)
	}
	_, pointer, ok := d.at("paths", path, strings.ToLower(method), "responses", strconv.Itoa(got.status))
	if !ok {
		return fmt.Errorf("status %d is not in the document for %s %s", got.status, method, path)
	}
	if got.status >= 400 {
		return checkProblem(d, got, r.Method)
	}
	if r.Method == http.MethodHead || got.status == http.StatusNotModified {
		if got.body != "" {
			return fmt.Errorf("status %d to %s has a body", got.status, r.Method)
		}
		return nil
	}
	media, _, err := mime.ParseMediaType(got.header.Get("Content-Type"))
	if err != nil {
		return fmt.Errorf("Content-Type %q: %w", got.header.Get("Content-Type"), err)
	}
	if _, _, ok := d.at("paths", path, strings.ToLower(method), "responses", strconv.Itoa(got.status), "content", media); !ok {
		return fmt.Errorf("media type %s is not in the document", media)
	}
	return checkBody(d, pointer+"/content/"+strings.ReplaceAll(media, "/", "~1")+"/schema", media, got.body)
}

func checkBody(d *doc, pointer, media, body string) error {
	switch media {
	case typeJSON:
		return d.validate(pointer, []byte(body))
	case typeNDJSON:
		for line := range strings.Lines(body) {
			if err := d.validate(pointer, []byte(line)); err != nil {
				return fmt.Errorf("line %.200s: %w", line, err)
			}
		}
	}
	return nil
}

func checkProblem(d *doc, got answer, method string) error {
	if ct := got.header.Get("Content-Type"); ct != typeProblem {
		return fmt.Errorf("an error of type %q", ct)
	}
	if got.status == 405 && got.header.Get("Allow") == "" {
		return fmt.Errorf("405 without Allow")
	}
	if got.status == 401 && !strings.HasPrefix(got.header.Get("WWW-Authenticate"), "Bearer") {
		return fmt.Errorf("401 without WWW-Authenticate")
	}
	if method == http.MethodHead {
		return nil
	}
	if err := d.validate("/components/schemas/Problem", []byte(got.body)); err != nil {
		return err
	}
	var p Problem
	if err := json.Unmarshal([]byte(got.body), &p); err != nil {
		return err
	}
	if p.Status != got.status || p.Instance != "urn:elasticintel:request:"+got.header.Get("X-Request-Id") || p.Type != "urn:elasticintel:problem:"+p.Code || p.Title != http.StatusText(p.Status) || p.Detail == "" {
		return fmt.Errorf("the problem does not fit its answer (status %d, request %s)", got.status, got.header.Get("X-Request-Id"))
	}
	return nil
}

func TestDocument_equalsTheRoutes(t *testing.T) {
	d := openDoc()
	inDoc := map[string]bool{}
	for path, v := range d.root["paths"].(map[string]any) {
		for method := range v.(map[string]any) {
			inDoc[strings.ToUpper(method)+" "+path] = true
		}
	}
	ids := map[string]bool{}
	for _, rt := range routes() {
		name := rt.method + " " + rt.path
		if !inDoc[name] {
			t.Errorf("%s is not in the document", name)
			continue
		}
		delete(inDoc, name)
		v, _, _ := d.at("paths", rt.path, strings.ToLower(rt.method))
		op := v.(map[string]any)
		if id, _ := op["operationId"].(string); id == "" || ids[id] {
			t.Errorf("%s: operationId %q is empty or not unique", name, id)
		} else {
			ids[id] = true
		}
		role := string(rt.role)
		if role == "" {
			role = "none"
		}
		if op["x-role"] != role {
			t.Errorf("%s: x-role %v, want %s", name, op["x-role"], role)
		}
		statuses, media := documented(d, op, rt)
		if diff := cmp.Diff(rt.statuses(), statuses); diff != "" {
			t.Errorf("%s: statuses (-table +document)\n%s", name, diff)
		}
		if diff := cmp.Diff(slices.Sorted(slices.Values(rt.types)), media); diff != "" {
			t.Errorf("%s: media types (-table +document)\n%s", name, diff)
		}
		if diff := cmp.Diff(parametersOf(rt), parametersIn(d, op)); diff != "" {
			t.Errorf("%s: parameters (-table +document)\n%s", name, diff)
		}
	}
	for name := range inDoc {
		t.Errorf("%s is in the document and not in the table", name)
	}
}

// documented returns an operation's statuses and the media types of its 200.
func documented(d *doc, op map[string]any, rt *route) (statuses []int, media []string) {
	for s := range op["responses"].(map[string]any) {
		n, _ := strconv.Atoi(s)
		statuses = append(statuses, n)
	}
	slices.Sort(statuses)
	v, _, _ := d.at("paths", rt.path, strings.ToLower(rt.method), "responses", "200", "content")
	content, _ := v.(map[string]any)
	return statuses, slices.Sorted(maps.Keys(content))
}

func parametersOf(rt *route) []string {
	out := []string{}
	for part := range strings.SplitSeq(rt.path, "/") {
		if strings.HasPrefix(part, "{") {
			out = append(out, "path "+strings.Trim(part, "{}"))
		}
	}
	for _, q := range rt.query {
		out = append(out, "query "+q)
	}
	slices.Sort(out)
	return out
}

func parametersIn(d *doc, op map[string]any) []string {
	out := []string{}
	ps, _ := op["parameters"].([]any)
	for _, p := range ps {
		ref, _ := p.(map[string]any)["$ref"].(string)
		v, _, _ := d.at(strings.Split(strings.TrimPrefix(ref, "#/"), "/")...)
		m, _ := v.(map[string]any)
		out = append(out, fmt.Sprintf("%s %s", m["in"], m["name"]))
	}
	slices.Sort(out)
	return out
}

func TestDocument_referencesResolveAndAreUsed(t *testing.T) {
	d := openDoc()
	used := map[string]bool{}
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			if ref, ok := v["$ref"].(string); ok {
				used[ref] = true
				if _, _, ok := d.at(strings.Split(strings.TrimPrefix(ref, "#/"), "/")...); !ok {
					t.Errorf("%s does not resolve", ref)
				}
			}
			for _, e := range v {
				walk(e)
			}
		case []any:
			for _, e := range v {
				walk(e)
			}
		}
	}
	walk(d.root)
	for kind, v := range d.root["components"].(map[string]any) {
		if kind == "securitySchemes" {
			continue
		}
		for name := range v.(map[string]any) {
			if ref := "#/components/" + kind + "/" + name; !used[ref] {
				t.Errorf("%s is never used", ref)
			}
		}
	}
	if d.root["openapi"] != "3.1.0" {
		t.Errorf("openapi %v", d.root["openapi"])
	}
}

// The checks above must be able to fail.
func TestDocument_checkRefuses(t *testing.T) {
	f := newFixture(t)
	req, _ := http.NewRequest("GET", f.url+"/api/v1/stats", nil)
	good := f.get("/api/v1/stats")
	bad := good
	bad.body = `{"listings":"many"}`
	teapot := good
	teapot.status = 418
	text := good
	text.header = good.header.Clone()
	text.header.Set("Content-Type", "text/html")
	bare := good
	bare.header = good.header.Clone()
	bare.header.Del("Content-Security-Policy")
	for name, a := range map[string]answer{"body": bad, "status": teapot, "media type": text, "header": bare} {
		if checkAnswer(f.api, req, a) == nil {
			t.Errorf("an answer with a wrong %s passes", name)
		}
	}
	if err := checkAnswer(f.api, req, good); err != nil {
		t.Error(err)
	}
}
