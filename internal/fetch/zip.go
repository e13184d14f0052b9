package fetch

import (
	"archive/zip"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/klauspost/compress/flate"
)

// directoryShare is what reading an archive's directory may cost in bytes per
// entry allowed. It bounds the memory before the number of entries is known.
const directoryShare = 512

// countReaderAt counts into c and ends at a budget, if there is one.
type countReaderAt struct {
	at   io.ReaderAt
	c    *countReader
	left int64 // negative: no budget
}

func (r *countReaderAt) ReadAt(p []byte, off int64) (int, error) {
	if r.left == 0 {
		return 0, errDirectory
	}
	n, err := r.at.ReadAt(p, off)
	r.c.n += int64(n)
	if r.left > 0 {
		r.left = max(r.left-int64(n), 0)
	}
	if err != nil && err != io.EOF {
		r.c.err = sourceError(err)
	}
	return n, err
}

var errDirectory = errors.New("directory too large")

// openZip opens one entry of an archive, see [Decode] for which.
func openZip(at io.ReaderAt, size int64, in *countReader, entry string, lim Limits) (io.ReadCloser, error) {
	src := &countReaderAt{at: at, c: in, left: int64(lim.MaxEntries)*directoryShare + 128<<10}
	z, err := zip.NewReader(src, size)
	switch {
	case errors.Is(err, errDirectory), err == nil && len(z.File) > lim.MaxEntries:
		return nil, fail(CodeTooLarge, "the zip archive has more than %d entries", lim.MaxEntries)
	case in.err != nil:
		return nil, in.err
	case err != nil && !errors.Is(err, zip.ErrInsecurePath): // names are never used as paths
		return nil, fail(CodeCorrupt, "the zip archive is damaged or cut short: %s", clean(err.Error()))
	}
	src.left, in.n = -1, 0 // the ratio is to the entry
	z.RegisterDecompressor(zip.Deflate, flate.NewReader)
	f, e := pickEntry(z.File, entry)
	if e != nil {
		return nil, e
	}
	return openEntry(f)
}

func openEntry(f *zip.File) (io.ReadCloser, error) {
	name := clean(f.Name)
	const encrypted = 1 << 0 // APPNOTE.TXT 4.4.4
	if f.Flags&encrypted != 0 {
		return nil, fail(CodeEncrypted, "the entry %q of the zip archive is encrypted; this program has no password for it", name)
	}
	r, err := f.Open()
	switch {
	case errors.Is(err, zip.ErrAlgorithm):
		return nil, fail(CodeUnsupported, "the entry %q of the zip archive is packed with method %d, which is not read; store (0) and deflate (8) are", name, f.Method)
	case err != nil:
		return nil, fail(CodeCorrupt, "the entry %q of the zip archive is damaged: %s", name, clean(err.Error()))
	}
	return r, nil
}

// pickEntry finds the file that is meant. Among several the largest wins, among
// equals the first by name.
func pickEntry(files []*zip.File, entry string) (*zip.File, *Error) {
	var found []*zip.File
	for _, f := range files {
		if isFile(f) && (entry == "" || matches(entry, f.Name)) {
			found = append(found, f)
		}
	}
	if len(found) == 0 {
		return nil, noEntry(files, entry)
	}
	if data := slices.DeleteFunc(slices.Clone(found), func(f *zip.File) bool { return isExtra(f.Name) }); entry == "" && len(data) > 0 {
		found = data
	}
	return slices.MaxFunc(found, func(a, b *zip.File) int {
		return cmp.Or(cmp.Compare(a.UncompressedSize64, b.UncompressedSize64), strings.Compare(b.Name, a.Name))
	}), nil
}

func noEntry(files []*zip.File, entry string) *Error {
	if entry == "" {
		return fail(CodeNoEntry, "the zip archive holds no file")
	}
	var names []string
	for _, f := range files {
		if isFile(f) && len(names) < 5 {
			names = append(names, fmt.Sprintf("%q", clean(f.Name)))
		}
	}
	return fail(CodeNoEntry, "no file in the zip archive is named like %q; it holds %s", entry, cmp.Or(strings.Join(names, ", "), "none"))
}

// matches says whether an entry's name fits what is asked for.
func matches(want, name string) bool {
	name = strings.ReplaceAll(name, `\`, "/")
	if name == want {
		return true
	}
	whole, _ := path.Match(want, name)
	last, _ := path.Match(want, path.Base(name))
	return whole || last
}

// isFile leaves out folders, links, devices and what systems add on their own.
func isFile(f *zip.File) bool {
	if f.Mode()&fs.ModeType != 0 || strings.HasSuffix(f.Name, `\`) {
		return false
	}
	for part := range strings.FieldsFuncSeq(f.Name, func(r rune) bool { return r == '/' || r == '\\' }) {
		if part == "__MACOSX" || strings.HasPrefix(part, ".") && part != "." && part != ".." {
			return false
		}
	}
	return true
}

// isExtra finds what lies beside the data in an archive.
func isExtra(name string) bool {
	base := strings.ToLower(path.Base(strings.ReplaceAll(name, `\`, "/")))
	switch path.Ext(base) {
	case ".pdf", ".doc", ".docx", ".html", ".htm", ".md", ".png", ".jpg", ".jpeg", ".gif", ".svg", ".ico",
		".asc", ".sig", ".md5", ".sha1", ".sha256", ".exe", ".dll":
		return true
	}
	for _, word := range []string{"readme", "license", "licence", "changelog", "copying", "disclaimer"} {
		if strings.HasPrefix(base, word) {
			return true
		}
	}
	return false
}
