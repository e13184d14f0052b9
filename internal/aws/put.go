package aws

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"golang.org/x/sync/errgroup"

	"github.com/elasticintel/elasticintel/internal/blob"
)

const (
	minPart     = 5 << 20 // what S3 takes
	defaultPart = 8 << 20
	maxParts    = 10_000 // of S3: 80 GB with parts of 8 MiB
	// partsAtOnce is how many parts are on their way; each is held in memory.
	partsAtOnce = 3
	// abortWait is how long giving up may take, also after its caller has gone.
	abortWait = 30 * time.Second
	// writeID is the name of the metadata that tells one write from another.
	writeID = "ei-write"
)

// Put implements blob.Store. What fits into one part goes in one request, the
// rest in parts, which appear together when the last one is there, or never. The
// Info it returns has no time.
func (s *Store) Put(ctx context.Context, key string, r io.Reader, c blob.Cond) (blob.Info, error) {
	name, err := s.name(ctx, key)
	if err != nil {
		return blob.Info{}, err
	}
	w := &write{Store: s, key: key, name: name, cond: c, meta: map[string]string{writeID: rand.Text()}}
	first, more, err := s.readPart(ctx, r)
	switch {
	case err != nil:
		err = fmt.Errorf("put s3://%s/%s%s: %w", s.bucket, s.prefix, key, err)
	case more:
		err = w.multipart(ctx, first, r)
	default:
		err = w.single(ctx, first)
	}
	if err != nil {
		return blob.Info{}, err
	}
	return blob.Info{Key: key, Size: w.size, ETag: w.etag}, nil
}

// readPart reads up to one part; more is false where r has ended.
func (s *Store) readPart(ctx context.Context, r io.Reader) (part []byte, more bool, err error) {
	var buf bytes.Buffer
	for buf.Len() < s.part {
		if err := ctx.Err(); err != nil {
			return nil, false, err
		}
		n, err := io.CopyN(&buf, r, int64(min(s.part-buf.Len(), 256<<10)))
		if errors.Is(err, io.EOF) {
			return buf.Bytes(), false, nil
		} else if err != nil {
			return nil, false, err
		} else if n == 0 {
			return nil, false, io.ErrNoProgress
		}
	}
	return buf.Bytes(), true, nil
}

// write is one Put.
type write struct {
	*Store
	key  string
	name *string
	cond blob.Cond
	meta map[string]string // its writeID
	size int64
	etag string
}

func (w *write) ifMatch() *string {
	if w.cond.IfMatch == "" {
		return nil
	}
	return sdk.String(`"` + w.cond.IfMatch + `"`)
}

func (w *write) ifNoneMatch() *string {
	if !w.cond.IfAbsent {
		return nil
	}
	return sdk.String("*")
}

func (w *write) single(ctx context.Context, data []byte) error {
	seen := &witness{again: true}
	out, err := w.s3.PutObject(ctx, &s3.PutObjectInput{
		Bucket: &w.bucket, Key: w.name, Body: bytes.NewReader(data), Metadata: w.meta, IfMatch: w.ifMatch(), IfNoneMatch: w.ifNoneMatch(),
	}, seen.watch)
	w.size = int64(len(data))
	if err != nil {
		return w.settle(ctx, seen, err)
	}
	w.etag = tag(out.ETag)
	return nil
}

// settle finds out what became of a write that failed. Where an answer was lost,
// a later try of the SDK meets the object that the first one wrote: that is
// success, and not a conflict.
func (w *write) settle(ctx context.Context, seen *witness, err error) error {
	failed := w.putFailed(ctx, err)
	if !seen.lost || ctx.Err() != nil {
		return failed
	}
	head, headErr := w.s3.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &w.bucket, Key: w.name})
	switch {
	case headErr == nil && head.Metadata[writeID] == w.meta[writeID]:
		w.etag = tag(head.ETag)
		return nil
	case !errors.Is(failed, blob.ErrConflict):
		return failed
	case w.cond.IfMatch != "" && headErr == nil && tag(head.ETag) == w.cond.IfMatch:
		return failed // as it was: nothing was written
	}
	return w.failed(ctx, "put", w.key, fmt.Errorf("%w (%s)", ErrUnclear, oneLine(err)))
}

// putFailed is failed, for a write: an object that is not there fails IfMatch.
func (w *write) putFailed(ctx context.Context, err error) error {
	status, code := answer(err)
	if status == http.StatusNotFound && code != "NoSuchBucket" && code != "NoSuchUpload" && w.cond.IfMatch != "" && ctx.Err() == nil {
		return fmt.Errorf("put s3://%s/%s%s: %w", w.bucket, w.prefix, w.key, blob.ErrConflict)
	}
	return w.failed(ctx, "put", w.key, err)
}

// multipart writes first and what follows in r, and leaves nothing where it fails.
func (w *write) multipart(ctx context.Context, first []byte, r io.Reader) error {
	up, err := w.s3.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{
		Bucket: &w.bucket, Key: w.name, Metadata: w.meta, ChecksumAlgorithm: types.ChecksumAlgorithmCrc32,
	})
	if err != nil {
		return w.failed(ctx, "put", w.key, err)
	}
	parts, err := w.parts(ctx, up.UploadId, first, r)
	if err == nil {
		err = w.complete(ctx, up.UploadId, parts)
	}
	if err != nil {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), abortWait)
		defer cancel()
		// The lifecycle rule of the bucket gets what cannot be aborted.
		_, _ = w.s3.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{Bucket: &w.bucket, Key: w.name, UploadId: up.UploadId})
	}
	return err
}

// parts sends the parts, some at once.
func (w *write) parts(ctx context.Context, id *string, part []byte, r io.Reader) ([]types.CompletedPart, error) {
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(partsAtOnce)
	var mu sync.Mutex
	var done []types.CompletedPart
	more, number, err := true, int32(0), error(nil)
	for len(part) > 0 && gctx.Err() == nil {
		if number++; number > maxParts {
			err = fmt.Errorf("larger than %d parts of %d bytes", maxParts, w.part)
			break
		}
		data, n := part, number
		w.size += int64(len(data))
		g.Go(func() error {
			out, err := w.s3.UploadPart(gctx, &s3.UploadPartInput{Bucket: &w.bucket, Key: w.name, UploadId: id, PartNumber: &n, Body: bytes.NewReader(data)})
			if err != nil {
				return w.failed(gctx, "put", w.key, err)
			}
			mu.Lock()
			defer mu.Unlock()
			done = append(done, types.CompletedPart{PartNumber: &n, ETag: out.ETag, ChecksumCRC32: out.ChecksumCRC32})
			return nil
		})
		if part = nil; more {
			if part, more, err = w.readPart(gctx, r); err != nil {
				break
			}
		}
	}
	if sent := g.Wait(); sent != nil {
		return nil, sent // it also cancels the reading
	}
	if err != nil {
		return nil, fmt.Errorf("put s3://%s/%s%s: %w", w.bucket, w.prefix, w.key, err)
	}
	slices.SortFunc(done, func(a, b types.CompletedPart) int { return int(*a.PartNumber - *b.PartNumber) })
	return done, ctx.Err()
}

func (w *write) complete(ctx context.Context, id *string, parts []types.CompletedPart) error {
	seen := &witness{}
	out, err := w.s3.CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{
		Bucket: &w.bucket, Key: w.name, UploadId: id, MultipartUpload: &types.CompletedMultipartUpload{Parts: parts},
		IfMatch: w.ifMatch(), IfNoneMatch: w.ifNoneMatch(),
	}, seen.watch)
	if err != nil {
		return w.settle(ctx, seen, err)
	}
	w.etag = tag(out.ETag)
	return nil
}

// witness sees whether the answer to one of a request's tries was lost, so that
// the try may have taken effect.
type witness struct {
	sdk.RetryerV2
	lost  bool
	again bool // try again what met another request for the object; a completed upload would have to begin anew
}

// codeRace is S3's answer to a conditional write beside another request for the same
// object. It does not say that the condition failed: "the upload should be retried"
// (docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html).
const codeRace = "ConditionalRequestConflict"

func (w *witness) watch(o *s3.Options) {
	w.RetryerV2, _ = o.Retryer.(sdk.RetryerV2)
	if w.RetryerV2 == nil {
		w.RetryerV2 = sdk.NopRetryer{}
	}
	o.Retryer = w
}

// IsErrorRetryable implements the SDK's Retryer; it is asked after every try.
func (w *witness) IsErrorRetryable(err error) bool {
	status, code := answer(err)
	switch status {
	case 0, http.StatusInternalServerError, http.StatusBadGateway, http.StatusGatewayTimeout:
		w.lost = true
	}
	if w.again && code == codeRace {
		return true
	}
	return w.RetryerV2.IsErrorRetryable(err)
}
