package local

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/elasticintel/elasticintel/internal/blob"
)

// lockFile is held by the one server of a data folder and names its process.
const lockFile = "serve.lock"

// BusyError says that a server already runs on a data folder.
type BusyError struct {
	Root string
	PID  int // 0 where it is not known
}

// Error implements error.
func (e *BusyError) Error() string {
	return fmt.Sprintf("data folder %s: a server runs on it already (process %d)", e.Root, e.PID)
}

// LockServe claims root for the server of this process until release is called
// or the process dies. *BusyError where another one has it.
func LockServe(root string) (release func(), err error) {
	f, err := os.OpenFile(filepath.Join(root, lockFile), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("data folder %s: %w", root, err)
	}
	for try := 0; ; try++ {
		err = blob.Lock(f, false)
		if !errors.Is(err, blob.ErrLocked) || try == 5 {
			break
		}
		time.Sleep(50 * time.Millisecond) // somebody who only looks (ServerPID) holds it for microseconds
	}
	if err != nil {
		defer f.Close()
		if errors.Is(err, blob.ErrLocked) {
			return nil, &BusyError{Root: root, PID: readPID(f.Name())}
		}
		return nil, fmt.Errorf("lock %s: %w", f.Name(), err)
	}
	err = f.Truncate(0)
	if err == nil {
		_, err = f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("lock %s: %w", f.Name(), err)
	}
	return func() { _ = f.Truncate(0); f.Close() }, nil
}

// indexFile is held by whoever brings an index of the folder's data up to date.
const indexFile = "index.lock"

// LockIndex claims the index of root's data for this process until release is
// called or the process dies. It waits for another process that has it.
func LockIndex(ctx context.Context, root string) (release func(), err error) {
	f, err := os.OpenFile(filepath.Join(root, indexFile), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("data folder %s: %w", root, err)
	}
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		err = blob.Lock(f, false)
		if !errors.Is(err, blob.ErrLocked) {
			break
		}
		select {
		case <-ctx.Done():
			f.Close()
			return nil, ctx.Err()
		case <-tick.C:
		}
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("lock %s: %w", f.Name(), err)
	}
	return func() { f.Close() }, nil
}

// ServerPID returns the process that serves root, and false where none does.
func ServerPID(root string) (pid int, running bool) {
	f, err := os.Open(filepath.Join(root, lockFile))
	if err != nil {
		return 0, false
	}
	defer f.Close()
	if !errors.Is(blob.Lock(f, false), blob.ErrLocked) {
		return 0, false
	}
	return readPID(f.Name()), true
}

func readPID(name string) int {
	b, err := os.ReadFile(name)
	if err != nil {
		return 0
	}
	pid, _ := strconv.Atoi(strings.TrimSpace(string(b)))
	return pid
}
