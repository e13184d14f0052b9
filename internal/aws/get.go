package aws

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/elasticintel/elasticintel/internal/blob"
)

// whole is the size up to which Get reads an object at once, as a folder does.
const whole = 8 << 20

func (s *Store) get(ctx context.Context, key string, name *string) (io.ReadCloser, blob.Info, error) {
	var broken error
	for range attempts {
		out, err := s.s3.GetObject(ctx, &s3.GetObjectInput{Bucket: &s.bucket, Key: name})
		if err != nil {
			return nil, blob.Info{Key: key}, s.failed(ctx, "get", key, err)
		}
		info := blob.Info{Key: key, Size: sdk.ToInt64(out.ContentLength), ETag: tag(out.ETag), Modified: sdk.ToTime(out.LastModified)}
		if info.Size > whole {
			return &stream{store: s, ctx: ctx, name: name, info: info, body: out.Body}, info, nil
		}
		data, err := readBody(out.Body, info.Size)
		if err == nil {
			return io.NopCloser(bytes.NewReader(data)), info, nil
		}
		if broken = err; ctx.Err() != nil {
			break
		}
	}
	return nil, blob.Info{Key: key}, s.failed(ctx, "get", key, broken)
}

// readBody reads a body of a known size to its end, where its checksum is compared.
func readBody(body io.ReadCloser, size int64) ([]byte, error) {
	defer body.Close()
	data := make([]byte, size)
	if _, err := io.ReadFull(body, data); err != nil {
		if errors.Is(err, io.EOF) && size > 0 {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	if n, err := io.Copy(io.Discard, io.LimitReader(body, 1)); err != nil {
		return nil, err
	} else if n > 0 {
		return nil, fmt.Errorf("more than the %d bytes it was said to have", size)
	}
	return data, nil
}

// stream reads a large object, and goes on behind what it has where a body breaks.
type stream struct {
	store  *Store
	ctx    context.Context
	name   *string
	info   blob.Info
	body   io.ReadCloser
	at     int64 // bytes read so far
	broken int   // bodies that broke since something was read
}

func (r *stream) Read(p []byte) (int, error) {
	for {
		if r.at == r.info.Size {
			return 0, io.EOF
		}
		n, err := r.body.Read(p[:min(int64(len(p)), r.info.Size-r.at)])
		if r.at += int64(n); n > 0 {
			r.broken = 0
			return n, nil
		}
		if err == nil {
			return 0, nil
		}
		if r.broken++; r.broken == attempts || r.ctx.Err() != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return 0, r.store.failed(r.ctx, "get", r.info.Key, fmt.Errorf("after %d of %d bytes: %w", r.at, r.info.Size, err))
		}
		if err := r.resume(); err != nil {
			return 0, err
		}
	}
}

func (r *stream) resume() error {
	_ = r.body.Close()
	out, err := r.store.ranged(r.ctx, r.info.Key, r.name, r.at, r.info.Size, r.info.ETag)
	if err != nil {
		r.body = io.NopCloser(bytes.NewReader(nil))
		return err
	}
	r.body = out.Body
	return nil
}

// Close ends the reading.
func (r *stream) Close() error { return r.body.Close() }

// ranged asks for the bytes from at on, up to to, of the object that has an ETag
// ("" = whichever is there). ErrChanged where another is in its place.
func (s *Store) ranged(ctx context.Context, key string, name *string, at, to int64, etag string) (*s3.GetObjectOutput, error) {
	in := &s3.GetObjectInput{Bucket: &s.bucket, Key: name, Range: sdk.String(fmt.Sprintf("bytes=%d-%d", at, to-1))}
	if etag != "" {
		in.IfMatch = sdk.String(`"` + etag + `"`)
	}
	out, err := s.s3.GetObject(ctx, in)
	if err != nil {
		if failed := s.failed(ctx, "get", key, err); !errors.Is(failed, blob.ErrConflict) {
			return nil, failed
		}
		return nil, s.failed(ctx, "get", key, ErrChanged)
	}
	return out, nil
}
