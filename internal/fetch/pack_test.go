package fetch

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"errors"
	"io"
	"testing"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"
)

const list = "192.0.2.1\n198.51.100.7\n"

// What no Go library writes, made with bzip2 1.0.8, xz 5.4 and zip 3.0.
const (
	bzip2List  = "QlpoOTFBWSZTWVvoj/MAAAdYAAAQAAFy4CAAIaeoGggyYjbxGM0qWNdMFrxdyRThQkFvoj/M"
	bzip2Bomb  = "QlpoOTFBWSZTWQ4J4t8BX45AAMAAAAggADCATUZCoCWpCoCXMUFZJlNZDgni3wFfjkAAwAAACCAAMIBNRkKgJakKgJcxQVkmU1nEYApVAD7RQALAAABAAAggADDMCapppUiDaipEHi7kinChIcCoiS4=" // 100 MB of zeros
	bzip2Empty = "QlpoORdyRThQkAAAAAA="
	xzBCJ      = "/Td6WFoAAATm1rRGAgEEACEBFgANhjUfAQAWMTkyLjAuMi4xCjE5OC41MS4xMDAuNwoAAKQlP4LnjZZoAAEvF4EISbEftvN9AQAAAAAEWVo="
	xz9        = "/Td6WFoAAATm1rRGAgAhARwAAAAQz1jMAQAWMTkyLjAuMi4xCjE5OC41MS4xMDAuNwoAAKQlP4LnjZZoAAEvF4EISbEftvN9AQAAAAAEWVo="
	zstd22     = "KLUv/QSIuQAAMTkyLjAuMi4xCjE5OC41MS4xMDAuNwod9c/W"
	zipLocked  = "UEsDBAoACQAAAOEVeV2cwrGKFgAAAAoAAAAIABwAbGlzdC50eHRVVAkAAyZMBmsmTAZrdXgLAAEEAAAAAAQAAAAAnTdRVg1iwX5LlSHHceZN7KnWgD8I6VBLBwicwrGKFgAAAAoAAABQSwECHgMKAAkAAADhFXldnMKxihYAAAAKAAAACAAYAAAAAAABAAAApIEAAAAAbGlzdC50eHRVVAUAAyZMBmt1eAsAAQQAAAAABAAAAABQSwUGAAAAAAEAAQBOAAAAaAAAAAAA"
)

func unbase64(t testing.TB, s string) string {
	t.Helper()
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// pack packs data; bzip2 only knows list.
func pack(t testing.TB, format, data string) string {
	t.Helper()
	var b bytes.Buffer
	var w io.WriteCloser
	var err error
	switch format {
	case formatGzip:
		w = gzip.NewWriter(&b)
	case formatZstd:
		w, err = zstd.NewWriter(&b, zstd.WithEncoderConcurrency(1))
	case formatBrotli:
		w = brotli.NewWriter(&b)
	case formatXz:
		w, err = xz.NewWriter(&b)
	case formatZip:
		return zipOf(t, "list.txt", data)
	case formatBzip2:
		if data != list {
			t.Fatal("bzip2 cannot be written")
		}
		return unbase64(t, bzip2List)
	}
	if err == nil {
		_, err = io.WriteString(w, data)
	}
	if err = errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// zipOf makes an archive of names and contents; a name ending in / is a folder.
func zipOf(t testing.TB, pairs ...string) string {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for i := 0; i < len(pairs); i += 2 {
		w, err := z.Create(pairs[i])
		if err == nil {
			_, err = io.WriteString(w, pairs[i+1])
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}
