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
	"github.com/elasticintel/elasticintel/internal/feed"
	"github.com/elasticintel/elasticintel/internal/local"
)

func (p *program) backupCmd() *cobra.Command {
	var secrets bool
	cmd := &cobra.Command{
		Use: "backup FILE|-", Short: "Copy everything that is stored into one file, while it is in use",
		Long: `Writes all listings with their history, the ledger, raw downloads, settings and key hashes as a tar archive,
compressed with zstd unless FILE ends in .tar. A running server or ingest does not disturb it. The feeds' secrets are
left out unless you ask for them.`,
		Example: "  elasticintel backup ei-2026-11-24.tar.zst\n  elasticintel backup - | ssh backup-host 'cat > ei.tar.zst'",
		Args:    args(1, 1, "a file to write, or - for stdout"),
		RunE:    func(cmd *cobra.Command, a []string) error { return p.backup(cmd.Context(), a[0], secrets) },
	}
	cmd.Flags().BoolVar(&secrets, "with-secrets", false, "put the feeds' secrets into the backup too")
	return cmd
}

func (p *program) backup(ctx context.Context, name string, secrets bool) error {
	store, err := p.openStore(ctx)
	if err != nil {
		return err
	}
	if _, err := corpus.Open(ctx, store, corpus.Options{Now: p.now}); errors.Is(err, corpus.ErrNoStore) {
		return fmt.Errorf("data folder %s: %w", p.cfg.Data, local.ErrNoData)
	}
	if inside(name, p.cfg.Data) {
		return usageError("Write it elsewhere.", "backup: %s lies in the data folder itself", name)
	}
	o := local.BackupOptions{Now: p.now(), Plain: strings.HasSuffix(name, ".tar"), OnCopy: p.copied("backup")}
	if secrets && aws.IsURL(p.cfg.Data) {
		return usageError("", "backup: the secrets of a bucket are parameters of Systems Manager, which no backup holds: leave --with-secrets out")
	}
	if secrets {
		o.Secrets = local.NewSecrets(p.cfg.Data, nil)
	}
	var n local.Copied
	if name == "-" {
		if p.out.tty {
			return usageError("Send it somewhere: `elasticintel backup - > FILE`.", "backup: refusing to write an archive to a terminal")
		}
		n, err = local.Backup(ctx, store, p.out.w, o)
	} else {
		n, err = backupFile(ctx, store, name, o)
	}
	p.talk.finished("backup")
	if err != nil {
		return fmt.Errorf("backup of %s: %w", p.cfg.Data, err)
	}
	p.talk.say("Backed up %s, %s, from %s.", plural(n.Objects, "object"), bytesText(n.Bytes), p.cfg.Data)
	return nil
}

// inside says whether a file would lie in a folder.
func inside(name, dir string) bool {
	file, err := filepath.Abs(name)
	root, err2 := filepath.Abs(dir)
	if err != nil || err2 != nil || name == "-" {
		return false
	}
	rel, err := filepath.Rel(root, file)
	return err == nil && rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator))
}

// backupFile writes a backup aside and puts it in place when it is whole.
func backupFile(ctx context.Context, store blob.Store, name string, o local.BackupOptions) (n local.Copied, err error) {
	f, err := os.CreateTemp(filepath.Dir(name), ".backup-*") // mode 0600
	if err != nil {
		return n, err
	}
	defer os.Remove(f.Name())
	n, err = local.Backup(ctx, store, f, o)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return n, err
	}
	return n, os.Rename(f.Name(), name)
}

func (p *program) restoreCmd() *cobra.Command {
	return &cobra.Command{
		Use: "restore FILE|-", Short: "Unpack a backup into an empty data folder and verify it",
		Example: "  elasticintel restore ei-2026-11-24.tar.zst --data ei-restored",
		Args:    args(1, 1, "a backup to read, or - for stdin"),
		RunE:    func(cmd *cobra.Command, a []string) error { return p.restore(cmd.Context(), a[0]) },
	}
}

func (p *program) restore(ctx context.Context, name string) error {
	in := p.env.In
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return pathError("backup", err)
		}
		defer f.Close()
		in = f
	}
	n, err := local.Restore(ctx, p.cfg.Data, in, p.copied("restore"))
	p.talk.finished("restore")
	switch {
	case errors.Is(err, local.ErrNotEmpty):
		return usageError("Restore into a new folder: `elasticintel restore "+name+" --data NEW-DIR`.", "%w", err)
	case err != nil && n.Objects > 0:
		return fmt.Errorf("%w; what was unpacked of it stays in %s, which is not usable", err, p.cfg.Data)
	case err != nil:
		return err
	}
	p.talk.say("Restored %s, %s, into %s.", plural(n.Objects, "object"), bytesText(n.Bytes), p.cfg.Data)
	store, err := p.openStore(ctx)
	if err != nil {
		return err
	}
	bad, err := p.verify(ctx, store)
	if err == nil && bad > 0 {
		err = &failure{exitPartial, fmt.Errorf("the backup had %s in it", plural(bad, "problem")), ""}
	}
	if err == nil {
		p.talk.say("Verified. Serve it with `elasticintel serve --data %s`.", p.cfg.Data)
	}
	return err
}

// copied shows how far a backup or a restore has come.
func (p *program) copied(what string) func(local.Copied) {
	return func(n local.Copied) {
		p.talk.progress(feed.Progress{Feed: what, Phase: "copy", Done: n.Bytes}, p.now())
	}
}
