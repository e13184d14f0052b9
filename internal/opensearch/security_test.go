package opensearch_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"math/big"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/elasticintel/elasticintel/internal/corpus"
	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/opensearch"
	"github.com/elasticintel/elasticintel/internal/testing/crashtest"
	"github.com/elasticintel/elasticintel/internal/testing/opensearchtest"
)

const aPassword = "correct-horse-battery-9"

// secured is a cluster with TLS, and users who have the roles of deploy/opensearch.
type secured struct {
	*opensearchtest.Cluster
	http *http.Client
}

// newSecured starts one. An index "other" is there, with a document. The user of the
// moment is admin, until apply is called.
func newSecured(t *testing.T) *secured {
	t.Helper()
	c := opensearchtest.Start(t, opensearchtest.Options{Security: true})
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(c.CA)
	s := &secured{c, &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}}}
	t.Cleanup(s.http.CloseIdleConnections)
	for _, user := range []string{"elasticintel-writer", "elasticintel-reader", "nobody"} {
		s.must(t, "PUT", "/_plugins/_security/api/internalusers/"+user, `{"password":"`+aPassword+`"}`)
	}
	s.must(t, "PUT", "/other-1", `{"settings":{"number_of_replicas":0},"aliases":{"other":{}}}`)
	s.must(t, "PUT", "/other-1/_doc/1?refresh=true", `{"secret":"x"}`)
	return s
}

// apply loads the files as they are; nobody is admin afterwards.
func (s *secured) apply(t *testing.T) {
	t.Helper()
	dir, err := filepath.Abs("../../deploy/opensearch")
	if err != nil {
		t.Fatal(err)
	}
	s.Apply(t, filepath.Join(dir, "roles.yml"), "roles")
	s.Apply(t, filepath.Join(dir, "roles_mapping.yml"), "rolesmapping")
}

// ask makes a request as the user of the moment and returns its status and body.
func (s *secured) ask(t *testing.T, method, path, body string) (int, string) {
	t.Helper()
	req, err := http.NewRequest(method, s.URLs[0]+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.SetBasicAuth(s.User, s.Password)
	r, err := s.http.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return r.StatusCode, string(b)
}

func (s *secured) must(t *testing.T, method, path, body string) {
	t.Helper()
	if code, said := s.ask(t, method, path, body); code > 299 {
		t.Fatalf("%s %s: %d %s", method, path, code, said)
	}
}

// as makes somebody else ask.
func (s *secured) as(user string) { s.User, s.Password = user, aPassword }

func (s *secured) options() opensearch.Options {
	return opensearch.Options{URLs: s.URLs, CA: s.CA, User: s.User, Password: s.Password, Now: time.Now}
}

// engine returns the engine as the user of the moment, over a corpus.
func (s *secured) engine(t *testing.T, c *corpus.Corpus) *engine {
	t.Helper()
	cl, err := opensearch.New(s.options())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	now := func() time.Time { return began.Add(48 * time.Hour) }
	return &engine{Engine: opensearch.NewEngine(cl, opensearch.EngineOptions{Now: now}), corpus: c, now: now, alias: opensearch.Alias}
}

// TestLeastPrivilege: with the roles that we give people the writer does all of its
// work and the reader answers all questions, and neither does anything else. Each
// permission is needed, and `migrate` says which of them lacks before it fills.
func TestLeastPrivilege(t *testing.T) {
	if testing.Short() {
		t.Skip("it starts a node of its own")
	}
	s := newSecured(t)
	store := crashtest.NewMem()
	if err := corpus.Init(t.Context(), store); err != nil {
		t.Fatal(err)
	}
	c, err := corpus.Open(t.Context(), store, corpus.Options{Workers: 1, Now: func() time.Time { return began.Add(48 * time.Hour) }})
	if err != nil {
		t.Fatal(err)
	}
	admin := s.by(t, c)
	if err := admin.run(t.Context(), snapshotA(), began.Add(-time.Hour), numbered(600, "first")); err != nil {
		t.Fatal(err)
	}
	s.trimmed(t, admin)
	s.apply(t)
	s.as("elasticintel-writer")
	w := s.by(t, c)
	s.writes(t, w)
	same(t, "the writer", w.engine)

	s.as("elasticintel-reader")
	if err := s.reads(t, w); err != nil {
		t.Errorf("the reader: %v", err)
	}
	s.refuses(t, c)
	s.as("elasticintel-writer")
	janitor(t, s, w.engine)
	same(t, "after the reader", w.engine)
	if code, said := s.ask(t, "GET", "/elasticintel-listings-v1-000002/_search", ""); code != http.StatusOK { // the names below are right
		t.Errorf("%d %s", code, said)
	}
	forbidden(t, s)
	forbiddenItems(t, s)
	wrongUsers(t, s)
}

// writes has the writer do what `migrate`, `serve` and `doctor` do.
func (s *secured) writes(t *testing.T, w *privileged) {
	t.Helper()
	works := func(what string, err error) {
		t.Helper()
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	cl, err := opensearch.New(s.options())
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	works("what migrate tries", tryCluster(t.Context(), cl, w.Engine))
	works("a first sync", w.sync(t.Context()))
	for i := range 3 { // changes, and listings that are forgotten
		works("load", w.Load(t.Context(), snapshotA(), began.Add(time.Duration(i)*time.Hour), numbered(700-100*i, fmt.Sprint("note", i))))
	}
	works("purge", w.Purge(t.Context(), "a", began.Add(47*time.Hour)))
	src := view{w.corpus.View(), w.corpus}
	_, err = w.Reindex(t.Context(), src, opensearch.ReindexOptions{})
	works("reindex", err)
	_, err = w.Verify(t.Context(), src, opensearch.VerifyOptions{})
	works("verify", err)
	works("what doctor tries", w.TryWrite(t.Context()))
	if code, said := s.ask(t, "GET", "/_cat/indices/elasticintel-listings-v1-000001", ""); code == http.StatusOK {
		t.Errorf("the old index is still there: %s", said)
	}
}

// refuses: the reader writes nothing and makes no index.
func (s *secured) refuses(t *testing.T, c *corpus.Corpus) {
	t.Helper()
	r := s.engine(t, c)
	for what, err := range map[string]error{
		"loads":          r.Load(t.Context(), snapshotA(), began.Add(9*time.Hour), numbered(10, "y")),
		"tries to write": r.TryWrite(t.Context()),
		"tries to fill":  r.TryFill(t.Context()),
		"makes an index": second(r.Reindex(t.Context(), view{c.View(), c}, opensearch.ReindexOptions{TakeOver: true})),
		"tidies":         second(r.Tidy(t.Context())),
	} {
		var status *opensearch.StatusError
		var refused *opensearch.Rejected
		if !(errors.As(err, &status) && status.Status == 403 || errors.As(err, &refused) && refused.Status == 403) || !strings.Contains(err.Error(), "permission") {
			t.Errorf("the reader %s: %v", what, err)
		}
	}
}

func second[T any](_ T, err error) error { return err }

// janitor has the writer look after its indices, with cause to drop deleted documents
// and with other replicas wanted.
func janitor(t *testing.T, s *secured, w *engine) {
	t.Helper()
	for i, note := range []string{"x", "y"} {
		if err := w.Load(t.Context(), intel.FeedInfo{ID: "big", Presence: intel.Snapshot}, began.Add(time.Duration(10+i)*time.Hour), numbered(11_000, note)); err != nil {
			t.Fatalf("the writer goes on: %v", err)
		}
	}
	if st, err := w.Tidy(t.Context()); err != nil || !st.Merging {
		t.Errorf("tidy: %+v, %v", st, err)
	}
	cl, err := opensearch.New(s.options())
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	other := opensearch.NewEngine(cl, opensearch.EngineOptions{Shape: opensearch.Shape{AutoReplicas: true}, Now: w.now})
	if st, err := other.Tidy(t.Context()); err != nil || !st.Replicas {
		t.Errorf("tidy, with other replicas: %+v, %v", st, err)
	}
}

// forbidden holds against the real plug-in what each role must not do.
func forbidden(t *testing.T, s *secured) {
	for _, user := range []string{"elasticintel-writer", "elasticintel-reader", "nobody"} {
		s.as(user)
		for _, r := range [][3]string{
			{"GET", "/other/_search", ""}, {"GET", "/other-1/_doc/1", ""}, {"PUT", "/other-1/_doc/2", `{}`}, {"POST", "/other/_doc", `{}`}, {"DELETE", "/other-1", ""},
			{"POST", "/other/_search/point_in_time?keep_alive=1m", ""}, {"POST", "/other/_refresh", ""}, {"GET", "/other-1", ""}, {"PUT", "/other-1/_settings", `{"index.number_of_replicas":1}`}, {"GET", "/other-1/_stats", ""},
			{"POST", "/other-1/_flush", ""}, {"POST", "/other-1/_forcemerge", ""}, {"GET", "/other-1/_alias", ""}, {"GET", "/elasticintel-other", ""}, {"PUT", "/elasticintel-listings-b-v1-000001", ""},
			{"PUT", "/third", ""}, {"GET", "/_cluster/state", ""},
			{"PUT", "/_cluster/settings", `{"transient":{"cluster.max_shards_per_node":1}}`}, {"GET", "/_plugins/_security/api/internalusers", ""}, {"POST", "/_aliases", `{"actions":[{"add":{"index":"other-1","alias":"elasticintel-listings"}}]}`},
			{"POST", "/_aliases", `{"actions":[{"remove_index":{"index":"other-1"}}]}`},
		} {
			if code, said := s.ask(t, r[0], r[1], r[2]); code != http.StatusForbidden {
				t.Errorf("%s: %s %s: %d %.300s", user, r[0], r[1], code, said)
			}
		}
		if code, said := s.ask(t, "GET", "/_search", ""); strings.Contains(said, "secret") {
			t.Errorf("%s: a search of everything finds the secret of others: %d %.300s", user, code, said)
		}
	}
	s.as("elasticintel-reader")
	for _, r := range [][3]string{
		{"PUT", "/elasticintel-listings-v1-000002/_doc/x", `{}`}, {"DELETE", "/elasticintel-listings-v1-000002", ""}, {"POST", "/elasticintel-listings/_delete_by_query", `{"query":{"match_all":{}}}`},
		{"POST", "/elasticintel-listings/_refresh", ""}, {"PUT", "/elasticintel-listings-v1-000099", ""}, {"PUT", "/_index_template/x", `{"index_patterns":["x"]}`},
		{"PUT", "/elasticintel-listings/_settings", `{"index.blocks.write":true}`},
	} {
		if code, said := s.ask(t, r[0], r[1], r[2]); code < 400 {
			t.Errorf("the reader: %s %s: %d %.300s", r[0], r[1], code, said)
		}
	}
}

// forbiddenItems: documents of an index that is not the writer's are refused one by
// one, named, and not sent again; no password is in what is said.
func forbiddenItems(t *testing.T, s *secured) {
	s.as("elasticintel-writer")
	cl, err := opensearch.New(s.options())
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	b := cl.NewBulk(t.Context(), opensearch.BulkOptions{Alias: "other", Lanes: 1})
	for i := range 3 {
		_ = b.Add(opensearch.Op{ID: fmt.Sprint(i), Source: []byte(`{"v":1}`), Name: fmt.Sprint("value", i)})
	}
	st, err := b.Close()
	var bulk *opensearch.BulkError
	if !errors.As(err, &bulk) || st.Written != 0 || st.Rejected != 3 || st.Requests != 1 || st.Retried != 0 || len(bulk.Rejected) != 3 ||
		bulk.Rejected[0].Status != 403 || !strings.Contains(err.Error(), "value0") || strings.Contains(err.Error(), aPassword) {
		t.Errorf("%+v, %v", st, err)
	}
}

// wrongUsers: who is not let in is told why, at once.
func wrongUsers(t *testing.T, s *secured) {
	var status *opensearch.StatusError
	for user, password := range map[string]string{"elasticintel-reader": "hunter2", "who": aPassword} {
		s.User, s.Password = user, password
		cl, err := opensearch.New(s.options())
		if err != nil {
			t.Fatal(err)
		}
		if _, err = cl.Check(t.Context()); !errors.As(err, &status) || status.Status != 401 || !strings.Contains(err.Error(), "refused") || strings.Contains(err.Error(), password) {
			t.Errorf("%s: %v", user, err)
		}
		cl.Close()
	}
	s.as("elasticintel-reader")
	o := s.options()
	o.CA = nil
	cl, err := opensearch.New(o)
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	if _, err := cl.Check(t.Context()); !errors.As(err, new(x509.UnknownAuthorityError)) || !strings.Contains(err.Error(), "--opensearch-ca") {
		t.Errorf("without the authority: %v", err)
	}
}

// TestCertificates: whom the client does not trust is not asked, and why is said with
// what to do. There is no way to leave the check out.
func TestCertificates(t *testing.T) {
	day := 24 * time.Hour
	for name, c := range map[string]struct {
		host       string
		from, to   time.Duration
		otherCA    bool
		expiredCA  bool
		wants      []string
		authorized bool
	}{
		"right":           {host: "127.0.0.1", from: -day, to: day, authorized: true},
		"another name":    {host: "192.0.2.7", from: -day, to: day, wants: []string{"127.0.0.1", "name"}},
		"expired":         {host: "127.0.0.1", from: -2 * day, to: -day, wants: []string{"expired", "a new certificate"}},
		"not yet":         {host: "127.0.0.1", from: day, to: 2 * day, wants: []string{"not yet valid", "clock"}},
		"of another CA":   {host: "127.0.0.1", from: -day, to: day, otherCA: true, wants: []string{"unknown authority", "--opensearch-ca"}},
		"CA that expired": {host: "127.0.0.1", from: -day, to: day, expiredCA: true, wants: []string{"expired"}},
	} {
		t.Run(name, func(t *testing.T) {
			end := day
			if c.expiredCA {
				end = -day / 2
			}
			ca, caKey := certificate(t, nil, nil, "", -2*day, end)
			leaf, key := certificate(t, ca, caKey, c.host, c.from, c.to)
			asked := 0
			s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				asked++
				fmt.Fprint(w, `{"cluster_name":"c","version":{"number":"2.19.1","distribution":"opensearch"}}`)
			}))
			s.Config.ErrorLog = log.New(io.Discard, "", 0)
			s.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{leaf.Raw}, PrivateKey: key}}}
			s.StartTLS()
			defer s.Close()
			if c.otherCA {
				ca, _ = certificate(t, nil, nil, "", -2*day, day)
			}
			cl, err := opensearch.New(opensearch.Options{URLs: []string{s.URL}, CA: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.Raw}), User: "u", Password: "hunter2", Now: time.Now})
			if err != nil {
				t.Fatal(err)
			}
			defer cl.Close()
			_, err = cl.Check(t.Context())
			if (err == nil) != c.authorized || (asked > 0) != c.authorized {
				t.Fatalf("%v, asked %d times", err, asked)
			}
			for _, want := range c.wants {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%v; want %q", err, want)
				}
			}
		})
	}
}

// certificate makes one, signed by the parent; an authority where that is nil.
func certificate(t *testing.T, parent *x509.Certificate, parentKey *ecdsa.PrivateKey, host string, from, to time.Duration) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	c := &x509.Certificate{SerialNumber: big.NewInt(now.UnixNano()), Subject: pkix.Name{CommonName: "test"}, NotBefore: now.Add(from), NotAfter: now.Add(to),
		KeyUsage: x509.KeyUsageDigitalSignature, BasicConstraintsValid: true}
	if parent == nil {
		parent, parentKey, c.IsCA, c.KeyUsage = c, key, true, x509.KeyUsageCertSign
	} else {
		c.IPAddresses = append(c.IPAddresses, []byte{0, 0, 0, 0})
		if _, err := fmt.Sscanf(host, "%d.%d.%d.%d", &c.IPAddresses[0][0], &c.IPAddresses[0][1], &c.IPAddresses[0][2], &c.IPAddresses[0][3]); err != nil {
			t.Fatal(err)
		}
	}
	raw, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, parentKey)
	if err != nil {
		t.Fatal(err)
	}
	out, err := x509.ParseCertificate(raw)
	if err != nil {
		t.Fatal(err)
	}
	return out, key
}
