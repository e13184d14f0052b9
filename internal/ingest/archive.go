package ingest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/elasticintel/elasticintel/internal/blob"
)

const (
	rawPrefix  = "raw/"
	rawTime    = "2006/01/02/150405"
	rawSuffix  = ".zst"
	prunedName = "pruned.json"
)

// rawKey names the archived bytes by the hash of what was received. Where these
// were blackened, clean is the hash of what is archived, and the name holds it
// too, since no row does; else it is empty.
func rawKey(feed string, at time.Time, sha, clean string) string {
	key := rawPrefix + feed + "/" + at.UTC().Format(rawTime) + "-" + sha[:16]
	if clean != "" {
		key += "-" + clean
	}
	return key + rawSuffix
}

// rawSum is the hash that the archived bytes under key must have, sha being
// that of the row which names them.
func rawSum(key, sha string) string {
	name := strings.TrimSuffix(path.Base(key), rawSuffix)
	if parts := strings.Split(name, "-"); len(parts) == 3 {
		return parts[2]
	}
	return sha
}

// rawTimeOf is when the bytes of a raw key were received, to the second.
func rawTimeOf(feed, key string) (time.Time, bool) {
	rest, ok := strings.CutPrefix(key, rawPrefix+feed+"/")
	if !ok || len(rest) < len(rawTime) {
		return time.Time{}, false
	}
	t, err := time.Parse(rawTime, rest[:len(rawTime)])
	return t, err == nil
}

// archive stores the run's bytes before anything tries to understand them. The
// same bytes that the feed sent last are not stored twice.
func (a *attempt) archive(ctx context.Context, in *input) error {
	for _, known := range a.knownRaw(ctx) {
		if known.SHA256 == in.sha256 && a.exists(ctx, known.Raw) {
			a.run.Raw = known.Raw
			return nil
		}
	}
	key := rawKey(a.def.ID, a.run.Started, in.sha256, in.clean)
	if _, err := in.file.Seek(0, io.SeekStart); err != nil {
		return &failure{code: "disk", reason: err.Error(), err: err}
	}
	if err := putZstd(ctx, a.cfg.Store, key, in.file); err != nil {
		return storeFailure(fmt.Errorf("archive the raw bytes: %w", err))
	}
	a.run.Raw, a.archived = key, true
	return nil
}

type rawRef struct{ SHA256, Raw string }

// knownRaw lists the raw bytes that a new run is likely to repeat: those of the
// last run, of the current data, and of the run that waits for a decision.
func (a *attempt) knownRaw(ctx context.Context) []rawRef {
	refs := []rawRef{{a.st.LastRun.SHA256, a.st.LastRun.Raw}}
	if a.head != nil {
		refs = append(refs, rawRef{a.head.Run.SHA256, a.head.Run.Raw})
	}
	if id := a.st.Quarantined; id != "" && id != a.st.LastRun.ID {
		if q, ok, err := a.row(ctx, a.def.ID, id); err == nil && ok {
			refs = append(refs, rawRef{q.SHA256, q.Raw})
		}
	}
	return refs
}

func (r *Runner) exists(ctx context.Context, key string) bool {
	if key == "" {
		return false
	}
	list, err := r.cfg.Store.List(ctx, key)
	return err == nil && len(list) > 0 && list[0].Key == key
}

// putZstd compresses r into an object with a checksum inside.
func putZstd(ctx context.Context, s blob.Store, key string, r io.Reader) error {
	pr, pw := io.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		z, err := zstd.NewWriter(pw, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest))
		if err == nil {
			if _, err = io.Copy(z, r); err == nil {
				err = z.Close()
			} else {
				z.Close()
			}
		}
		pw.CloseWithError(err)
	}()
	_, err := s.Put(ctx, key, pr, blob.Cond{})
	pr.CloseWithError(errors.New("stored")) // lets the compressor go where Put read only a part
	<-done
	return err
}

// getZstd unpacks the object into w and returns the SHA-256 of what it held.
func getZstd(ctx context.Context, s blob.Store, key string, w io.Writer) (n int64, sum string, err error) {
	rc, _, err := s.Get(ctx, key)
	if err != nil {
		return 0, "", err
	}
	defer rc.Close()
	z, err := zstd.NewReader(rc, zstd.WithDecoderConcurrency(1))
	if err != nil {
		return 0, "", fmt.Errorf("%s: %w", key, err)
	}
	defer z.Close()
	h := sha256.New()
	if n, err = io.Copy(io.MultiWriter(w, h), &ctxReader{ctx, z}); err != nil {
		return n, "", fmt.Errorf("%s: %w", key, err)
	}
	return n, hex.EncodeToString(h.Sum(nil)), nil
}

// unarchive brings the raw bytes of a row back into a file of ours. Bytes other
// than those that were archived are refused.
func (a *attempt) unarchive(ctx context.Context, key, sha string) (*input, error) {
	f, err := a.temp()
	if err != nil {
		return nil, err
	}
	in := &input{file: f}
	var sum string
	if in.bytes, sum, err = getZstd(ctx, a.cfg.Store, key, f); err == nil {
		if want := rawSum(key, sha); sum != want {
			err = fmt.Errorf("%s holds other bytes than were archived: SHA-256 %s, want %s", key, sum, want)
		}
	}
	if err != nil {
		in.Close()
		return nil, err
	}
	return in, nil
}

// pruned is raw/FEED/pruned.json.
type pruned struct {
	Before time.Time `json:"before"` // raw bytes received before may be gone
}

// prune deletes raw bytes that are older than the retention, except those that
// the current data was made of and those that wait for a decision. What cannot
// be deleted now is tried again after the next run.
func (a *attempt) prune(ctx context.Context) {
	if a.cfg.KeepRaw <= 0 {
		return
	}
	if err := a.pruneRaw(ctx, a.run.Started.Add(-a.cfg.KeepRaw)); err != nil {
		a.cfg.Log.WarnContext(ctx, "old raw bytes could not be deleted", "feed", a.def.ID, "error", err)
	}
}

func (a *attempt) pruneRaw(ctx context.Context, before time.Time) error {
	list, err := a.cfg.Store.List(ctx, rawPrefix+a.def.ID+"/")
	if err != nil {
		return err
	}
	var old []string
	for _, o := range list {
		if at, ok := rawTimeOf(a.def.ID, o.Key); ok && at.Before(before) {
			old = append(old, o.Key)
		}
	}
	if len(old) == 0 {
		return nil
	}
	keep := map[string]bool{}
	for _, ref := range a.knownRaw(ctx) {
		keep[ref.Raw] = true
	}
	marked := false
	for _, key := range old {
		if keep[key] {
			continue
		}
		if !marked { // first say that they may be gone, so that VerifyLedger does not miss them
			if err := a.markPruned(ctx, before); err != nil {
				return err
			}
			marked = true
		}
		if err := a.cfg.Store.Delete(ctx, key); err != nil {
			return err
		}
	}
	return nil
}

func (a *attempt) markPruned(ctx context.Context, before time.Time) error {
	return blob.Update(ctx, a.cfg.Store, path.Join(rawPrefix, a.def.ID, prunedName), func(old []byte) ([]byte, error) {
		var p pruned
		if json.Unmarshal(old, &p) == nil && !p.Before.Before(before) {
			return nil, nil
		}
		return json.Marshal(pruned{Before: before})
	})
}

// cleanTemp removes what killed processes left in the temporary folder, if we
// have one of our own.
func (r *Runner) cleanTemp() {
	if r.cfg.TempDir == "" {
		return
	}
	entries, err := os.ReadDir(r.cfg.TempDir)
	if err != nil {
		return
	}
	for _, e := range entries {
		ours := strings.HasPrefix(e.Name(), "ingest-") || strings.HasPrefix(e.Name(), "fetch-")
		if st, err := e.Info(); ours && err == nil && r.cfg.Now().Sub(st.ModTime()) > leftoverAge {
			os.Remove(filepath.Join(r.cfg.TempDir, e.Name()))
		}
	}
}

// leftoverAge is longer than any run takes.
const leftoverAge = 24 * time.Hour
