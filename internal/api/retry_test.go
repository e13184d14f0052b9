package api

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/elasticintel/elasticintel/internal/intel"
)

// comeBack is an engine's error that knows when a retry may help.
type comeBack time.Duration

func (e comeBack) Error() string          { return "no shard of secret-index" }
func (e comeBack) RetryIn() time.Duration { return time.Duration(e) }

// TestEngineAway: while the engine cannot answer, no route says anything of what
// is listed, and each says when to come back, as the engine knows it.
func TestEngineAway(t *testing.T) {
	for err, want := range map[error]string{
		comeBack(300 * time.Millisecond):                    "1",
		comeBack(time.Second):                               "1",
		fmt.Errorf("wrapped: %w", comeBack(4100*1_000_000)): "5",
		comeBack(30 * time.Second):                          "30",
		comeBack(48 * time.Hour):                            "3600",
		comeBack(0):                                         "5",
		errors.New("who knows"):                             "5",
	} {
		f := newFixture(t)
		f.engine.Fail = func(intel.Question) error { return err }
		for _, path := range []string{
			"/api/v1/indicators/192.0.2.7", "/api/v1/indicators/203.0.113.9?fields=summary", "/api/v1/indicators/192.0.2.0/24", "/iocs/search/ipaddress/192.0.2.7",
			"/iocs/search/ipaddress/192.0.2.7/summary", "/iocs/search/string/x", "/iocs/search/string/x/summary", "/api/v1/search?q=*", "/api/v1/search?q=*&limit=0",
			"/api/v1/search?q=*&facets=kind&limit=1", "/api/v1/facets?q=*&by=kind", "/api/v1/changes", "/api/v1/stats",
		} {
			away(t, f, path, f.get(path), want)
		}
		for _, media := range []string{typeJSON, typeNDJSON} {
			away(t, f, media, f.post("/api/v1/lookup", typeText, "203.0.113.1\n192.0.2.7\n", "Accept", media), want)
		}
	}
}

// away checks that an answer is 503 with when to come back, and nothing else.
func away(t *testing.T, f *fixture, what string, a answer, seconds string) {
	t.Helper()
	f.want(a, http.StatusServiceUnavailable, "engine")
	if got := a.header.Get("Retry-After"); got != seconds {
		t.Errorf("%s: Retry-After %q, want %q", what, got, seconds)
	}
	if strings.Contains(a.body, "found") || strings.Contains(a.body, "secret-index") || !strings.Contains(a.body, "in "+seconds+" s") || !strings.HasPrefix(a.header.Get("Content-Type"), typeProblem) {
		t.Errorf("%s: %s", what, a.body)
	}
}
