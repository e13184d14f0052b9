package ingest

import (
	"bytes"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/elasticintel/elasticintel/internal/fetch"
)

// Wherever a secret stands in the content, and however the reads fall, it is
// replaced and nothing else is.
func TestBlackener(t *testing.T) {
	const secret = "s3cr3t-value"
	rng := rand.New(rand.NewPCG(1, 2))
	for round := range 300 {
		var plain bytes.Buffer
		for plain.Len() < rng.IntN(3*blackenChunk)+1 {
			switch rng.IntN(4) {
			case 0:
				plain.WriteString(secret)
			case 1:
				plain.WriteString(secret[:rng.IntN(len(secret))]) // what may be the start of one
			default:
				plain.WriteString(strings.Repeat("filler ", rng.IntN(2000)))
			}
		}
		var r io.Reader = bytes.NewReader(plain.Bytes())
		if round%3 == 1 {
			r = iotest.HalfReader(r)
		}
		if round%50 == 2 {
			r = iotest.OneByteReader(io.LimitReader(r, 5000))
			plain.Truncate(min(plain.Len(), 5000))
		}
		b := &blackener{r: r, forms: [][]byte{[]byte(secret)}}
		got, err := io.ReadAll(b)
		want := strings.ReplaceAll(plain.String(), secret, fetch.Redacted)
		if err != nil || string(got) != want {
			t.Fatalf("round %d: %d bytes of %d, %v", round, len(got), len(want), err)
		}
		if b.found != strings.Contains(plain.String(), secret) {
			t.Fatalf("round %d: found %v", round, b.found)
		}
	}
}

func TestBlackenerPassesErrorsOn(t *testing.T) {
	b := &blackener{r: iotest.ErrReader(io.ErrUnexpectedEOF), forms: [][]byte{[]byte("secret")}}
	if _, err := io.ReadAll(b); err != io.ErrUnexpectedEOF {
		t.Errorf("%v", err)
	}
}
