package feedserver

import (
	"bytes"
	"compress/gzip"
	"io"
	"io/fs"
	"net/http"
	"strings"
	"time"
)

// mount is a folder that is served.
type mount struct {
	prefix string
	fsys   fs.FS
	gunzip bool
}

// serve answers r if the folder has such a file.
func (m mount) serve(w http.ResponseWriter, r *http.Request) bool {
	name, ok := strings.CutPrefix(r.URL.Path, m.prefix)
	if !ok || !fs.ValidPath(name) {
		return false
	}
	body, modified, err := m.read(name)
	if err != nil {
		return false
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("ETag", etagOf(body))
	http.ServeContent(w, r, "", modified, bytes.NewReader(body))
	return true
}

func (m mount) read(name string) ([]byte, time.Time, error) {
	body, modified, err := readFile(m.fsys, name)
	if err == nil || !m.gunzip {
		return body, modified, err
	}
	packed, modified, err := readFile(m.fsys, name+".gz")
	if err != nil {
		return nil, modified, err
	}
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, modified, err
	}
	body, err = io.ReadAll(z)
	return body, modified, err
}

func readFile(fsys fs.FS, name string) ([]byte, time.Time, error) {
	st, err := fs.Stat(fsys, name)
	if err != nil {
		return nil, time.Time{}, err
	}
	body, err := fs.ReadFile(fsys, name) // fails for folders
	return body, st.ModTime(), err
}
