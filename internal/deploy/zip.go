package deploy

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// Architectures of functions, in Go's words. AWS says x86_64 for the second.
const (
	ARM64 = "arm64"
	AMD64 = "amd64"
)

// modulePath is the first line of the go.mod of a source tree that is ours.
const modulePath = "module github.com/elasticintel/elasticintel"

// ErrNoCode is that there is neither a packed function beside the binary nor a
// source tree to build one from.
var ErrNoCode = errors.New("the functions' code is not here")

// Code says where the functions' code may come from.
type Code struct {
	Arch   string // ARM64 or AMD64
	Source string // folder inside a source tree, "" for none
	Beside string // folder of the program's binary, "" for none
	Env    []string
	Say    func(format string, a ...any) // progress
}

// Packed is a function's zip.
type Packed struct {
	Zip    []byte
	SHA256 string // hex, of Zip
	From   string // in words
}

// Pack returns the zip of the functions. A zip beside the binary (a release has
// elasticintel-lambda-ARCH.zip there) is taken first, else the program is built
// from source. The same code gives the same bytes.
func Pack(ctx context.Context, c Code) (*Packed, error) {
	if c.Arch != ARM64 && c.Arch != AMD64 {
		return nil, fmt.Errorf("architecture %q: give %s or %s", c.Arch, ARM64, AMD64)
	}
	if c.Beside != "" {
		file := filepath.Join(c.Beside, ReleaseZip(c.Arch))
		switch data, err := os.ReadFile(file); {
		case err == nil:
			if err := checkZip(data); err != nil {
				return nil, fmt.Errorf("%s: %w; download the release again", file, err)
			}
			return packed(data, file), nil
		case !errors.Is(err, fs.ErrNotExist):
			return nil, fmt.Errorf("the functions' code: %w", err)
		}
	}
	root, ok := sourceRoot(c.Source)
	if !ok {
		return nil, fmt.Errorf("%w: there is no %s in %s and %s is not in a source tree; use a release, or run this inside the source with --source DIR",
			ErrNoCode, ReleaseZip(c.Arch), c.Beside, orDot(c.Source))
	}
	return build(ctx, c, root)
}

// ReleaseZip is the name of the zip that lies beside the binary of a release.
func ReleaseZip(arch string) string { return "elasticintel-lambda-" + arch + ".zip" }

func packed(data []byte, from string) *Packed {
	sum := sha256.Sum256(data)
	return &Packed{Zip: data, SHA256: hex.EncodeToString(sum[:]), From: from}
}

// sourceRoot looks for the source tree at dir and above it.
func sourceRoot(dir string) (string, bool) {
	if dir == "" {
		return "", false
	}
	dir, err := filepath.Abs(dir)
	for err == nil {
		if mod, err := os.ReadFile(filepath.Join(dir, "go.mod")); err == nil {
			line, _, _ := strings.Cut(string(mod), "\n")
			return dir, strings.TrimSpace(line) == modulePath
		}
		up := filepath.Dir(dir)
		if up == dir {
			break
		}
		dir = up
	}
	return "", false
}

// build compiles cmd/lambda and packs it. Nothing of the machine gets into the
// binary: no paths, no times, no version control, no identity of the build.
func build(ctx context.Context, c Code, root string) (*Packed, error) {
	tmp, err := os.MkdirTemp("", "elasticintel-build-")
	if err != nil {
		return nil, fmt.Errorf("building the functions: %w", err)
	}
	defer func() { _ = os.RemoveAll(tmp) }()
	if c.Say != nil {
		c.Say("Building the functions for linux/%s from %s …", c.Arch, root)
	}
	out := filepath.Join(tmp, "bootstrap")
	cmd := exec.CommandContext(ctx, "go", "build", "-tags", "lambda.norpc", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w -buildid=", "-o", out, "./cmd/lambda")
	cmd.Dir = root
	cmd.Env = append(append([]string{}, c.Env...), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+c.Arch, "GOFLAGS=-mod=readonly", "GOWORK=off")
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	switch err := cmd.Run(); {
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case errors.Is(err, exec.ErrNotFound):
		return nil, fmt.Errorf("building the functions: Go is not installed (https://go.dev/dl), or not in PATH; a release needs none")
	case err != nil:
		return nil, fmt.Errorf("building the functions: %w: %s", err, lastLines(said.String(), 5))
	}
	bin, err := os.ReadFile(out)
	if err != nil {
		return nil, fmt.Errorf("building the functions: %w", err)
	}
	data, err := Zip(bin)
	if err != nil {
		return nil, err
	}
	return packed(data, "built from "+root), nil
}

// Zip packs a bootstrap as Lambda wants it: one file named bootstrap that may be
// run, with a fixed time, so that the same bytes give the same zip.
func Zip(bootstrap []byte) ([]byte, error) {
	var buf bytes.Buffer
	w := zip.NewWriter(&buf)
	w.RegisterCompressor(zip.Deflate, func(out io.Writer) (io.WriteCloser, error) {
		return flate.NewWriter(out, flate.BestCompression)
	})
	h := &zip.FileHeader{Name: "bootstrap", Method: zip.Deflate, Modified: time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)}
	h.SetMode(0o755)
	f, err := w.CreateHeader(h)
	if err == nil {
		_, err = f.Write(bootstrap)
	}
	if err = errors.Join(err, w.Close()); err != nil {
		return nil, fmt.Errorf("packing the functions: %w", err)
	}
	return buf.Bytes(), nil
}

// checkZip says whether data is a zip whose bootstrap can be read and run.
func checkZip(data []byte) error {
	r, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return fmt.Errorf("not a zip: %w", err)
	}
	for _, f := range r.File {
		if f.Name != "bootstrap" {
			continue
		}
		if f.Mode()&0o111 == 0 {
			return errors.New("its bootstrap is not executable")
		}
		in, err := f.Open()
		if err != nil {
			return err
		}
		_, err = io.Copy(io.Discard, in)
		return errors.Join(err, in.Close())
	}
	return errors.New("it has no bootstrap")
}

func orDot(dir string) string {
	if dir == "" {
		return "the current folder"
	}
	return dir
}

// lastLines is the end of what a program said, in one line.
func lastLines(s string, n int) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "; ")
}
