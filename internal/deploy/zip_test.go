package deploy

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
)

func TestZip(t *testing.T) {
	code := bytes.Repeat([]byte("code "), 1000)
	a, err := Zip(code)
	if err != nil {
		t.Fatal(err)
	}
	if b, _ := Zip(code); !bytes.Equal(a, b) {
		t.Error("two zips of the same code differ")
	}
	r, err := zip.NewReader(bytes.NewReader(a), int64(len(a)))
	if err != nil || len(r.File) != 1 {
		t.Fatal(r, err)
	}
	f := r.File[0]
	in, err := f.Open()
	if err != nil {
		t.Fatal(err)
	}
	got, _ := io.ReadAll(in)
	if f.Name != "bootstrap" || f.Mode().Perm() != 0o755 || f.Modified.Year() != 1980 || !bytes.Equal(got, code) {
		t.Error(f.Name, f.Mode(), f.Modified, len(got))
	}
	if err := checkZip(a); err != nil {
		t.Error(err)
	}
	if err := checkZip(a[:len(a)-5]); err == nil {
		t.Error("half a zip is taken")
	}
	var buf bytes.Buffer
	w := zip.NewWriter(&buf)
	if _, err := w.Create("bootstrap"); err != nil {
		t.Fatal(err)
	}
	_ = w.Close()
	if err := checkZip(buf.Bytes()); err == nil || !strings.Contains(err.Error(), "not executable") {
		t.Error(err)
	}
}

// tree is a small source tree whose program says what it was built for.
func tree(t *testing.T, module string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"go.mod":             module + "\n\ngo 1.24\n",
		"cmd/lambda/main.go": "package main\n\nfunc main() { println(\"hello\") }\n",
		"sub/x.txt":          "",
	} {
		if err := WriteFile(filepath.Join(dir, name), []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestPackBuilds: the same source, wherever it lies, gives the same zip.
func TestPackBuilds(t *testing.T) {
	var said []string
	c := Code{Arch: ARM64, Env: os.Environ(), Say: func(f string, _ ...any) { said = append(said, f) }}
	c.Source = filepath.Join(tree(t, modulePath), "sub")
	a, err := Pack(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	c.Source = tree(t, modulePath)
	b, err := Pack(t.Context(), c)
	if err != nil || a.SHA256 != b.SHA256 || !bytes.Equal(a.Zip, b.Zip) || len(a.SHA256) != 64 {
		t.Error(a.SHA256, b, err)
	}
	c.Arch = AMD64
	if other, err := Pack(t.Context(), c); err != nil || other.SHA256 == a.SHA256 {
		t.Error("both architectures have the same code", err)
	}
	if len(said) != 3 {
		t.Error(said)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Pack(ctx, c); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if err := os.WriteFile(filepath.Join(c.Source, "cmd/lambda/main.go"), []byte("package main\nfunc main() { nonsense }\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Pack(t.Context(), c); err == nil || !strings.Contains(err.Error(), "nonsense") {
		t.Error(err)
	}
}

func TestPackBeside(t *testing.T) {
	dir := t.TempDir()
	c := Code{Arch: ARM64, Beside: dir, Source: tree(t, "module example.org/other")}
	if _, err := Pack(t.Context(), c); !errors.Is(err, ErrNoCode) || !strings.Contains(err.Error(), "elasticintel-lambda-arm64.zip") {
		t.Error(err)
	}
	file := filepath.Join(dir, ReleaseZip(ARM64))
	z, _ := Zip([]byte("released"))
	if err := os.WriteFile(file, z[:40], 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Pack(t.Context(), c); err == nil || !strings.Contains(err.Error(), "download the release again") {
		t.Error(err)
	}
	if err := os.WriteFile(file, z, 0o600); err != nil {
		t.Fatal(err)
	}
	p, err := Pack(t.Context(), c)
	if err != nil || !bytes.Equal(p.Zip, z) || p.From != file {
		t.Error(p, err)
	}
	c.Arch = "mips"
	if _, err := Pack(t.Context(), c); err == nil {
		t.Error("any architecture is taken")
	}
}

func TestWork(t *testing.T) {
	w, err := OpenWork(t.TempDir(), "prod")
	if err != nil {
		t.Fatal(err)
	}
	first := fstest.MapFS{"main.tf": {Data: []byte("a")}, "modules/x/x.tf": {Data: []byte("b")}}
	if err := w.Write(first); err != nil {
		t.Fatal(err)
	}
	for _, keep := range []string{".terraform/modules.tf", ".terraform.lock.hcl", "tfplan"} {
		if err := WriteFile(filepath.Join(w.Terraform(), keep), []byte("k")); err != nil {
			t.Fatal(err)
		}
	}
	before, _ := os.Stat(filepath.Join(w.Terraform(), "main.tf"))
	if err := w.Write(fstest.MapFS{"main.tf": {Data: []byte("a")}}); err != nil {
		t.Fatal(err)
	}
	after, err := os.Stat(filepath.Join(w.Terraform(), "main.tf"))
	if err != nil || !after.ModTime().Equal(before.ModTime()) || !os.SameFile(before, after) {
		t.Error("an unchanged file was written again", err)
	}
	for name, want := range map[string]bool{"modules/x/x.tf": false, ".terraform/modules.tf": true, ".terraform.lock.hcl": true, "tfplan": true} {
		if _, err := os.Stat(filepath.Join(w.Terraform(), name)); (err == nil) != want {
			t.Error(name, err)
		}
	}
	if st, err := os.Stat(w.Dir); err != nil || st.Mode().Perm() != 0o700 {
		t.Error(st.Mode(), err)
	}
	for _, bad := range []string{"", "Prod", "-a", "a-", "../x", "a/b", "a--b", "seventeen-letters"} {
		if err := CheckEnv(bad); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
	if d, err := DefaultWork([]string{"HOME=/home/x"}); err != nil || d != "/home/x/.local/state/elasticintel/deploy" {
		t.Error(d, err)
	}
	if d, err := DefaultWork([]string{"HOME=/home/x", "XDG_STATE_HOME=/s"}); err != nil || d != "/s/elasticintel/deploy" {
		t.Error(d, err)
	}
	if _, err := DefaultWork(nil); err == nil {
		t.Error("no folder, no error")
	}
}
