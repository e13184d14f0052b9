package cli

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/elasticintel/elasticintel/internal/lookup"
)

type comeBack time.Duration

func (e comeBack) Error() string          { return "no node answers" }
func (e comeBack) RetryIn() time.Duration { return time.Duration(e) }

// TestEngineAway: an index that cannot answer is exit code 4, with when to try again.
func TestEngineAway(t *testing.T) {
	for err, want := range map[error]string{comeBack(300 * time.Millisecond): "in 1 s", comeBack(11500 * time.Millisecond): "in 12 s", comeBack(0): "", errors.New("x"): ""} {
		code, hint := verdictOf(fmt.Errorf("%w: look up: %w", lookup.ErrEngine, err))
		if code != exitUnreachable || !strings.Contains(hint, want) || (want == "") != (hint == "") {
			t.Errorf("%v: exit %d, %q", err, code, hint)
		}
	}
}
