package soak

import (
	"bufio"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// figures are what is measured after an hour. -1 is what this system does not tell.
type figures struct {
	took             time.Duration
	heap             int // bytes that are in use after collecting
	rss, anon        int // bytes
	files, groups    int
	bytes            int64
	descriptors      int
	mapped           int // files of the store that are mapped, deleted ones too
	gone             int // of these, deleted ones
	goroutines       int
	listings         int
	lookups, queries int64 // per second
	slowest          time.Duration
}

const header = "hour    took  heap MB   RSS MB  anon MB  files  groups  store MB  fds  mapped  deleted  goroutines  listings  look-ups/s  searches/s  slowest"

func (f *figures) row(hour int) string {
	mb := func(n int) float64 { return float64(n) / 1e6 }
	return fmt.Sprintf("%4d %7s %8.1f %8.1f %8.1f %6d %7d %9.1f %4d %7d %8d %11d %9d %11d %11d %8s", hour, f.took.Round(10*time.Millisecond), mb(f.heap), mb(f.rss), mb(f.anon),
		f.files, f.groups, float64(f.bytes)/1e6, f.descriptors, f.mapped, f.gone, f.goroutines, f.listings, f.lookups, f.queries, f.slowest.Round(10*time.Microsecond))
}

// measure collects garbage and looks at the process and at the store's folder.
func measure(dir string) (f figures) {
	var m runtime.MemStats
	for range 3 { // what is freed by the first frees more
		runtime.GC()
	}
	runtime.ReadMemStats(&m)
	f.heap, f.goroutines = int(m.HeapAlloc), runtime.NumGoroutine()
	_ = filepath.WalkDir(dir, func(p string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return nil // swept meanwhile
		}
		f.files++
		if filepath.Ext(p) == ".grp" {
			f.groups++
		}
		if info, err := e.Info(); err == nil {
			f.bytes += info.Size()
		}
		return nil
	})
	f.rss, f.anon, f.descriptors, f.mapped = -1, -1, -1, -1
	if fds, err := os.ReadDir("/proc/self/fd"); err == nil {
		f.descriptors = len(fds)
	}
	lines("/proc/self/status", func(line string) {
		var kb int
		if _, err := fmt.Sscanf(line, "VmRSS: %d", &kb); err == nil {
			f.rss = kb << 10
		}
		if _, err := fmt.Sscanf(line, "RssAnon: %d", &kb); err == nil {
			f.anon = kb << 10
		}
	})
	paths := map[string]bool{}
	lines("/proc/self/maps", func(line string) {
		if at := strings.Index(line, dir); at >= 0 {
			paths[line[at:]] = true
		}
	})
	f.mapped = len(paths)
	for p := range paths {
		if strings.HasSuffix(p, "(deleted)") {
			f.gone++
		}
	}
	return f
}

func lines(path string, f func(string)) {
	file, err := os.Open(path)
	if err != nil {
		return
	}
	defer file.Close()
	for s := bufio.NewScanner(file); s.Scan(); {
		f(s.Text())
	}
}
