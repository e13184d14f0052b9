package api

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
)

// spoolMemory is how many bytes of values wait in memory before a file takes them.
const spoolMemory = 1 << 20

// spool keeps the values of a bulk request between reading the last of them and
// answering the first. The whole body is read before the answer begins, so that
// a broken body gets a proper status, and so that a client which sends all
// before it reads anything cannot get stuck; a million values must then wait
// somewhere that is not memory.
type spool struct {
	dir  string
	mem  []byte // values, each behind its length, that are not in file
	file *os.File
	n    int // values added

	mu   sync.Mutex // next may still be called while close is
	read *bufio.Reader
}

// add takes one value.
func (s *spool) add(value []byte) error {
	s.mem = binary.AppendUvarint(s.mem, uint64(len(value)))
	s.mem = append(s.mem, value...)
	s.n++
	if len(s.mem) < spoolMemory {
		return nil
	}
	return s.spill()
}

// spill moves what is in memory into the file.
func (s *spool) spill() (err error) {
	if s.file == nil {
		if s.file, err = os.CreateTemp(s.dir, "elasticintel-bulk-*"); err != nil {
			return fmt.Errorf("%w: %w", errSpool, err)
		}
	}
	if _, err = s.file.Write(s.mem); err != nil {
		return fmt.Errorf("%w: %w", errSpool, err)
	}
	s.mem = s.mem[:0]
	return nil
}

// rewind ends adding and begins giving.
func (s *spool) rewind() error {
	if s.file == nil {
		s.read = bufio.NewReader(bytes.NewReader(s.mem))
		return nil
	}
	if err := s.spill(); err != nil {
		return err
	}
	s.mem = nil
	if _, err := s.file.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("%w: %w", errSpool, err)
	}
	s.read = bufio.NewReaderSize(s.file, 64<<10)
	return nil
}

// next gives the values in the order in which they were added.
func (s *spool) next() (string, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, err := binary.ReadUvarint(s.read)
	if errors.Is(err, io.EOF) {
		return "", false, nil
	}
	if err != nil {
		return "", false, fmt.Errorf("%w: %w", errSpool, err)
	}
	value := make([]byte, n)
	if _, err := io.ReadFull(s.read, value); err != nil {
		return "", false, fmt.Errorf("%w: %w", errSpool, err)
	}
	return string(value), true, nil
}

// close gives the file back.
func (s *spool) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.file != nil {
		name := s.file.Name()
		_ = s.file.Close()
		_ = os.Remove(name) // only the system's cleaning could do better
	}
}
