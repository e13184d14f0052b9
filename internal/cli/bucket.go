package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/elasticintel/elasticintel/internal/aws"
	"github.com/elasticintel/elasticintel/internal/blob"
	"github.com/elasticintel/elasticintel/internal/corpus"
	"github.com/elasticintel/elasticintel/internal/local"
)

// onBucket says whether a command works where --data is a bucket. Those that read
// do, and those whose every write is a compare-and-swap of one object, which any
// number of machines may do at once. The others count on the locks of a file
// system, or on files beside the data.
func onBucket(path string) bool {
	switch strings.TrimPrefix(path, "elasticintel ") {
	case "lookup", "search", "explain", "changes", "stats", "feeds list", "feeds status", "feeds runs", "feeds report", "feeds approve", "feeds reject",
		"ingest", "keys create", "keys list", "keys revoke", "verify", "backup":
		return true
	case "feeds test", "dashboards", "version", "completion", "deploy", "destroy", "aws status", "aws logs", "aws dlq": // need no data
		return true
	}
	return false
}

// checkPlace refuses a command that cannot work where the data is.
func (p *program) checkPlace(cmd *cobra.Command) error {
	if !aws.IsURL(p.cfg.Data) || !cmd.HasParent() || cmd.HasSubCommands() || cmd.Name() == "help" || cmd.HasParent() && cmd.Parent().Name() == "completion" || onBucket(cmd.CommandPath()) {
		return nil
	}
	if _, _, err := aws.SplitURL(p.cfg.Data); err != nil {
		return configError(fmt.Errorf("--data: %w", err), "")
	}
	why := "it counts on files and locks of a folder"
	if cmd.Name() == "serve" {
		why = "one server at a time is what the lock of a folder keeps, and a bucket has none"
	}
	return usageError("Give a folder with --data. On AWS the functions pull feeds and answer; look-ups, searches, `feeds`, `ingest`, `keys`, `verify` and `backup` work on a bucket from any machine (docs/operations.md).",
		"%s does not work on the bucket %s: %s", cmd.Name(), p.cfg.Data, why)
}

// cacheShare of what is free, and of what is there already, is for copies of segments.
const cacheShare = 0.5

// cacheFolder is where copies of a bucket's objects lie.
func (p *program) cacheFolder() (string, error) {
	if p.cfg.Cache != "" {
		return p.cfg.Cache, nil
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", configError(fmt.Errorf("a bucket's segments are copied into a folder, and this user has none for such things: %w", err), "Name one with --cache (EI_CACHE).")
	}
	return filepath.Join(dir, "elasticintel"), nil
}

// openBucket opens the bucket of --data. No request is sent yet.
func (p *program) openBucket(ctx context.Context) (*aws.Cached, error) {
	if p.bucket != nil {
		return p.bucket, nil
	}
	store, err := aws.NewStore(ctx, aws.StoreOptions{URL: p.cfg.Data})
	if err != nil {
		return nil, configError(fmt.Errorf("--data: %w", err), "")
	}
	dir, err := p.cacheFolder()
	if err != nil {
		return nil, err
	}
	dir = filepath.Join(dir, "segments")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, configError(fmt.Errorf("--cache: %w", err), "")
	}
	free, err := local.FreeSpace(dir)
	if err != nil {
		return nil, fmt.Errorf("--cache %s: %w", dir, err)
	}
	p.bucket, err = aws.NewCached(store, aws.CacheOptions{Folder: dir, Max: int64(cacheShare * float64(int64(free)+aws.Copies(dir))), Now: p.now})
	return p.bucket, err
}

// openStore opens the data folder, or the bucket, as a store, readable or not as a corpus.
func (p *program) openStore(ctx context.Context) (blob.Store, error) {
	if aws.IsURL(p.cfg.Data) {
		return p.openBucket(ctx)
	}
	return openStore(p.cfg.Data)
}

// openData opens the data folder or bucket; with write it is made a store where it
// is none. local.ErrNoData where there is nothing and it may not be made.
func (p *program) openData(ctx context.Context, write bool) (*local.Folder, error) {
	switch {
	case aws.IsURL(p.cfg.Data):
	case write:
		return local.Create(ctx, p.cfg.Data, p.now)
	default:
		return local.Open(ctx, p.cfg.Data, p.now)
	}
	store, err := p.openBucket(ctx)
	if err == nil && write {
		err = corpus.Init(ctx, store)
	}
	if err != nil {
		return nil, err
	}
	return local.OpenStore(ctx, p.cfg.Data, store, p.now)
}

// tempDir is where downloads are kept while they are read.
func (p *program) tempDir(f *local.Folder) string {
	if aws.IsURL(f.Root) {
		if dir, err := p.cacheFolder(); err == nil {
			return filepath.Join(dir, "tmp")
		}
		return os.TempDir()
	}
	return filepath.Join(f.Root, ".tmp")
}

// openSecrets are those of variables, and of files beside the data in a folder.
func (p *program) openSecrets() *local.Secrets {
	if aws.IsURL(p.cfg.Data) {
		return local.NewSecrets("", p.cfg.Secrets)
	}
	return local.NewSecrets(p.cfg.Data, p.cfg.Secrets)
}

// definitionsPrefix is where a bucket has the definitions of feeds.
const definitionsPrefix = "feeds.d/"

// definitionsFolder is a folder with the feed definitions, "" for the built-in ones;
// done removes it where it was made. Where --feeds names none, a bucket's own
// definitions are what its functions go by.
func (p *program) definitionsFolder(ctx context.Context) (dir string, done func(), err error) {
	done = func() {}
	if p.cfg.Feeds != "" || !aws.IsURL(p.cfg.Data) {
		return p.cfg.Feeds, done, nil
	}
	store, err := p.openBucket(ctx)
	if err != nil {
		return "", done, err
	}
	infos, err := store.List(ctx, definitionsPrefix)
	for _, i := range infos {
		name := strings.TrimPrefix(i.Key, definitionsPrefix)
		if err != nil || !strings.HasSuffix(name, ".json") || strings.Contains(name, "/") {
			continue
		}
		if dir == "" {
			if dir, err = os.MkdirTemp("", "feeds-"); err != nil {
				break
			}
			done = func() { _ = os.RemoveAll(dir) }
		}
		data, _, readErr := blob.Read(ctx, store, i.Key)
		if errors.Is(readErr, blob.ErrNotFound) { // it was deleted meanwhile
			continue
		}
		if err = readErr; err == nil {
			err = os.WriteFile(filepath.Join(dir, name), data, 0o600)
		}
	}
	if err != nil {
		err = fmt.Errorf("feed definitions: %w", err)
	}
	return dir, done, err
}
