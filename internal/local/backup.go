package local

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/elasticintel/elasticintel/internal/blob"
	"github.com/elasticintel/elasticintel/internal/config"
	"github.com/elasticintel/elasticintel/internal/corpus"
	"github.com/elasticintel/elasticintel/internal/enrich/facts"
)

// BackupFormat is the version of the layout that Backup writes: a tar archive
// (zstd-compressed or not) whose first member is backup.json and whose other
// members are objects by key, with store.json last, so that a copy which was
// cut off does not look like a store.
const BackupFormat = 1

const (
	backupHeader = "backup.json"
	storeKey     = "store.json"
)

type backupInfo struct {
	Format  int       `json:"format"`
	Created time.Time `json:"created"`
	Secrets bool      `json:"secrets"`
}

// Copied counts what a backup or a restore went through.
type Copied struct {
	Objects int   `json:"objects"`
	Bytes   int64 `json:"bytes"`
}

// BackupOptions say how to copy a store.
type BackupOptions struct {
	Now     time.Time
	Plain   bool             // do not compress
	Secrets *Secrets         // nil = leave secrets out
	OnCopy  func(now Copied) // may be nil
}

// Backup copies a store while servers and ingests work on it. What belongs to
// one feed (head, segments, ledger, state) is of one instant: it is read again
// when the feed's head moves meanwhile.
func Backup(ctx context.Context, store blob.Store, w io.Writer, o BackupOptions) (Copied, error) {
	out := io.WriteCloser(nopCloser{w})
	if !o.Plain {
		zw, err := zstd.NewWriter(w)
		if err != nil {
			return Copied{}, err
		}
		out = zw
	}
	b := &backup{store: store, tar: tar.NewWriter(out), o: o, done: map[string]bool{}}
	err := b.run(ctx)
	if err == nil {
		err = b.tar.Close()
	}
	return b.n, errors.Join(err, out.Close())
}

type backup struct {
	store blob.Store
	tar   *tar.Writer
	o     BackupOptions
	done  map[string]bool
	n     Copied
}

func (b *backup) run(ctx context.Context) error {
	head, err := json.Marshal(backupInfo{Format: BackupFormat, Created: b.o.Now.UTC(), Secrets: b.o.Secrets != nil})
	if err != nil {
		return err
	}
	if err := b.add(backupHeader, head); err != nil {
		return err
	}
	all, err := b.store.List(ctx, "")
	if err != nil {
		return err
	}
	for _, id := range feedsOf(all) {
		if err := b.feed(ctx, id); err != nil {
			return fmt.Errorf("feed %s: %w", id, err)
		}
	}
	if err := b.known(ctx); err != nil {
		return fmt.Errorf("enrichment: %w", err)
	}
	for _, o := range all {
		if err := b.rest(ctx, o.Key); err != nil {
			return err
		}
	}
	if err := b.secrets(); err != nil {
		return err
	}
	return b.object(ctx, storeKey)
}

// rest copies what belongs to no head: raw downloads, settings, key hashes. A run
// that is not done yet is left out, as its segments are; it is done anew.
func (b *backup) rest(ctx context.Context, key string) error {
	switch top, _, _ := strings.Cut(key, "/"); top {
	case "heads", "segments", "runs", "state", "unfinished", "enrichment", "tables", secretsDir, storeKey, lockFile, indexFile:
		return nil
	}
	err := b.object(ctx, key)
	if errors.Is(err, blob.ErrNotFound) {
		return nil // deleted since it was listed, as old raw downloads are
	}
	return err
}

// known copies what registries said: what the head names, which stays for a while after
// another took its place, and then the head.
func (b *backup) known(ctx context.Context) error {
	head, keys, err := facts.Current(ctx, b.store)
	if err != nil || head == nil {
		return err
	}
	for _, k := range keys {
		if err := b.object(ctx, k); err != nil {
			return err
		}
	}
	return b.add(facts.HeadKey, head)
}

// feed copies all of one feed. Nothing binds feeds to each other.
func (b *backup) feed(ctx context.Context, id string) error {
	key := "heads/" + id + ".json"
	for range 50 {
		head, before, err := b.head(ctx, key)
		if err != nil {
			return err
		}
		small, err := b.readFeed(ctx, id)
		if err == nil && head != nil {
			err = b.segments(ctx, head)
		}
		if err != nil && !errors.Is(err, blob.ErrNotFound) {
			return err
		}
		_, after, herr := b.head(ctx, key)
		if herr != nil {
			return herr
		}
		if err != nil || before != after {
			continue // the head moved: what was read may be of two instants
		}
		if head != nil {
			small[key] = head
		}
		return b.addAll(small)
	}
	return errors.New("its head moves faster than it can be copied; try again when it is not being ingested")
}

// head reads a head and its ETag; nil and "" where the feed has none.
func (b *backup) head(ctx context.Context, key string) ([]byte, string, error) {
	if err := ctx.Err(); err != nil {
		return nil, "", err
	}
	data, info, err := blob.Read(ctx, b.store, key)
	if errors.Is(err, blob.ErrNotFound) {
		return nil, "", nil
	}
	return data, info.ETag, err
}

// readFeed reads the feed's state and ledger. The state comes first: a run writes
// it after its row, so that the rows read later have every run it names.
func (b *backup) readFeed(ctx context.Context, id string) (map[string][]byte, error) {
	small := map[string][]byte{}
	if err := b.readInto(ctx, small, "state/"+id+".json"); err != nil {
		return nil, err
	}
	rows, err := b.store.List(ctx, "runs/"+id+"/")
	if err != nil {
		return nil, err
	}
	for _, o := range rows {
		if err := b.readInto(ctx, small, o.Key); err != nil {
			return nil, err
		}
	}
	return small, nil
}

// readInto reads one object if it is there.
func (b *backup) readInto(ctx context.Context, small map[string][]byte, key string) error {
	data, _, err := blob.Read(ctx, b.store, key)
	if errors.Is(err, blob.ErrNotFound) {
		return nil
	}
	if err == nil {
		small[key] = data
	}
	return err
}

// segments copies the objects that a head names. They never change; one that is
// gone was replaced, and so was the head.
func (b *backup) segments(ctx context.Context, head []byte) error {
	keys, err := segmentKeys(head)
	if err != nil {
		return err
	}
	for _, k := range keys {
		if err := b.object(ctx, k); err != nil {
			return err
		}
	}
	return nil
}

func (b *backup) secrets() error {
	if b.o.Secrets == nil {
		return nil
	}
	names, err := b.o.Secrets.Names()
	if err != nil {
		return err
	}
	files := NewSecrets("", nil)
	files.dir = b.o.Secrets.dir // what is kept, not what a variable says today
	for _, n := range names {
		if v, ok := files.Get(n); ok {
			if err := b.add(secretsDir+"/"+n, []byte(v)); err != nil {
				return err
			}
		}
	}
	return nil
}

func (b *backup) addAll(objects map[string][]byte) error {
	keys := make([]string, 0, len(objects))
	for k := range objects {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	for _, k := range keys {
		if err := b.add(k, objects[k]); err != nil {
			return err
		}
	}
	return nil
}

func (b *backup) add(key string, data []byte) error {
	return b.member(key, int64(len(data)), bytes.NewReader(data))
}

// object copies one object from the store, once.
func (b *backup) object(ctx context.Context, key string) error {
	if err := ctx.Err(); err != nil || b.done[key] {
		return err
	}
	rc, info, err := b.store.Get(ctx, key)
	if err != nil {
		return err
	}
	defer rc.Close()
	return b.member(key, info.Size, rc)
}

func (b *backup) member(key string, size int64, r io.Reader) error {
	h := &tar.Header{Name: key, Mode: 0o600, Size: size, ModTime: b.o.Now, Typeflag: tar.TypeReg}
	if err := b.tar.WriteHeader(h); err != nil {
		return fmt.Errorf("write %s: %w", key, err)
	}
	if _, err := io.Copy(b.tar, r); err != nil {
		return fmt.Errorf("copy %s: %w", key, err)
	}
	b.done[key] = true
	if key != backupHeader {
		b.n.Objects++
		b.n.Bytes += size
	}
	if b.o.OnCopy != nil {
		b.o.OnCopy(b.n)
	}
	return nil
}

// feedsOf returns the feeds that objects are of, in order: those with a head,
// and those that were only ever tried.
func feedsOf(objects []blob.Info) []string {
	var ids []string
	for _, o := range objects {
		top, rest, _ := strings.Cut(o.Key, "/")
		switch id, _, deeper := strings.Cut(rest, "/"); {
		case (top == "heads" || top == "state") && !deeper:
			ids = append(ids, strings.TrimSuffix(id, ".json"))
		case top == "runs" && deeper:
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

type nopCloser struct{ io.Writer }

func (nopCloser) Close() error { return nil }

// secret wraps what a backup held, so that it does not print on its way.
func secret(data []byte) config.Secret { return config.Secret(data) }

// segmentKeys returns the objects that a head names.
func segmentKeys(head []byte) ([]string, error) {
	var h corpus.Head
	if err := json.Unmarshal(head, &h); err != nil {
		return nil, fmt.Errorf("head: %w", err)
	}
	keys := make([]string, len(h.Segments))
	for i, s := range h.Segments {
		keys[i] = s.Key
	}
	if h.Table != nil {
		keys = append(keys, h.Table.Key)
	}
	return keys, nil
}
