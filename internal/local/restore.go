package local

import (
	"archive/tar"
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/klauspost/compress/zstd"

	"github.com/elasticintel/elasticintel/internal/blob"
)

// ErrNotEmpty says that a folder to restore into holds something already.
var ErrNotEmpty = errors.New("is not empty")

// Restore unpacks a backup into root, which must be missing or empty, so that
// nothing can be mixed or lost. It trusts no member's name.
func Restore(ctx context.Context, root string, r io.Reader, onCopy func(Copied)) (Copied, error) {
	if err := checkEmpty(root); err != nil {
		return Copied{}, err
	}
	tr, done, err := openBackup(r)
	if err != nil {
		return Copied{}, err
	}
	defer done()
	store, err := blob.NewDir(root)
	if err != nil {
		return Copied{}, err
	}
	var n Copied
	last := ""
	for {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return n, fmt.Errorf("backup is damaged after %d objects: %w", n.Objects, err)
		}
		if err := restoreMember(ctx, store, root, h, tr); err != nil {
			return n, fmt.Errorf("backup member %q: %w", h.Name, err)
		}
		last = h.Name
		n.Objects, n.Bytes = n.Objects+1, n.Bytes+h.Size
		if onCopy != nil {
			onCopy(n)
		}
	}
	if last != storeKey {
		return n, fmt.Errorf("backup is cut off: it ends after %d objects without its last one, %s", n.Objects, storeKey)
	}
	return n, nil
}

func restoreMember(ctx context.Context, store *blob.Dir, root string, h *tar.Header, r io.Reader) error {
	if h.Typeflag != tar.TypeReg {
		return errors.New("is no ordinary file")
	}
	if name, ok := strings.CutPrefix(h.Name, secretsDir+"/"); ok {
		data, err := io.ReadAll(io.LimitReader(r, 1<<16))
		if err != nil {
			return err
		}
		return NewSecrets(root, nil).Set(name, secret(data))
	}
	if strings.HasPrefix(h.Name, ".") || strings.Contains(h.Name, "/.") || h.Name == lockFile || h.Name == indexFile {
		return errors.New("is no object's key")
	}
	_, err := store.Put(ctx, h.Name, r, blob.Cond{}) // checks the key
	return err
}

// openBackup finds out whether r is compressed and reads the first member.
func openBackup(r io.Reader) (*tar.Reader, func(), error) {
	br := bufio.NewReaderSize(r, 1<<16)
	in, done := io.Reader(br), func() {}
	if magic, err := br.Peek(4); err == nil && bytes.Equal(magic, []byte{0x28, 0xb5, 0x2f, 0xfd}) {
		zr, err := zstd.NewReader(br)
		if err != nil {
			return nil, nil, err
		}
		in, done = zr, zr.Close
	}
	tr := tar.NewReader(in)
	var info backupInfo
	h, err := tr.Next()
	if err == nil && h.Name == backupHeader {
		err = json.NewDecoder(io.LimitReader(tr, 1<<16)).Decode(&info)
	}
	switch {
	case err != nil || h.Name != backupHeader:
		err = errors.New("not a backup made by `elasticintel backup`")
	case info.Format > BackupFormat:
		err = fmt.Errorf("the backup has format %d and this program reads up to %d: use a newer elasticintel", info.Format, BackupFormat)
	default:
		return tr, done, nil
	}
	done()
	return nil, nil, err
}

func checkEmpty(root string) error {
	es, err := os.ReadDir(root)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil && len(es) > 0 {
		err = fmt.Errorf("data folder %s %w", root, ErrNotEmpty)
	}
	return err
}
