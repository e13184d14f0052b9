package blob_test

import (
	"os"
	"testing"

	"github.com/elasticintel/elasticintel/internal/blob"
	"github.com/elasticintel/elasticintel/internal/testing/blobtest"
)

func TestMain(m *testing.M) {
	os.Exit(blobtest.Main(m, func(root string) (blob.Store, error) { return blob.OpenDir(root) }))
}

func newDir(t *testing.T) *blob.Dir {
	t.Helper()
	d, err := blob.NewDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestDirConforms(t *testing.T) {
	blobtest.Run(t, func(t *testing.T) blob.Store { return newDir(t) })
}

func TestDirProcesses(t *testing.T) {
	d := newDir(t)
	blobtest.Processes(t, d, d.Root())
}
