package aws

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path"
	"slices"
	"strings"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/elasticintel/elasticintel/internal/blob"
)

const (
	// attempts is how often a request is sent before its error is returned.
	attempts = 6
	// headerWait is how long the head of an answer may take.
	headerWait = 30 * time.Second
	// maxPrefix leaves room for a key in the 1024 bytes that S3 takes.
	maxPrefix = 100
)

// StoreOptions say where objects lie.
type StoreOptions struct {
	URL        string        // s3://BUCKET or s3://BUCKET/PREFIX
	Region     string        // of the bucket; "" for what every tool of AWS finds
	MaxBackoff time.Duration // most between two tries of a request; 5 s where 0
	Part       int           // bytes of a part of a larger object, at least 5 MiB; 8 MiB where 0
}

// Store is a blob.Store in a bucket of S3. Conditions are S3's own, so that any
// number of writers may share it. Requests that fail for reasons which pass are
// sent again by the SDK. It is safe for concurrent use.
type Store struct {
	s3             *s3.Client
	bucket, prefix string // prefix ends with a slash, or is empty
	part           int
}

var _ blob.Store = (*Store)(nil)

// NewStore opens a bucket with the credentials, the region and, where
// AWS_ENDPOINT_URL is set, the address that every tool of AWS finds. It sends no
// request. Errors: *CredentialsError, what is wrong with the URL, no region.
func NewStore(ctx context.Context, o StoreOptions) (*Store, error) {
	bucket, prefix, err := SplitURL(o.URL)
	if err != nil {
		return nil, err
	}
	cfg, err := load(ctx, o.Region, o.MaxBackoff)
	if err != nil {
		return nil, err
	}
	s := &Store{bucket: bucket, prefix: prefix, part: max(o.Part, minPart)}
	if o.Part == 0 {
		s.part = defaultPart
	}
	s.s3 = s3.NewFromConfig(cfg, func(o *s3.Options) { o.DisableLogOutputChecksumValidationSkipped = true })
	return s, nil
}

// load finds the configuration of this process.
func load(ctx context.Context, region string, maxBackoff time.Duration) (sdk.Config, error) {
	if maxBackoff == 0 {
		maxBackoff = 5 * time.Second
	}
	client := awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) {
		t.ResponseHeaderTimeout = headerWait
		t.MaxIdleConnsPerHost = 32
	})
	cfg, err := config.LoadDefaultConfig(ctx, config.WithHTTPClient(client), config.WithRegion(region),
		config.WithCredentialsCacheOptions(func(c *sdk.CredentialsCacheOptions) { c.ExpiryWindow = early }),
		config.WithRetryer(func() sdk.Retryer {
			return retry.NewStandard(func(r *retry.StandardOptions) {
				r.MaxAttempts, r.MaxBackoff = attempts, maxBackoff
			})
		}))
	if err != nil {
		return cfg, explain(err)
	}
	if cfg.Region == "" {
		return cfg, errors.New("aws: no region: set AWS_REGION, or region in the profile")
	}
	return cfg, nil
}

// SplitURL reads s3://BUCKET[/PREFIX]; the prefix it returns ends with a slash, or is empty.
func SplitURL(url string) (bucket, prefix string, err error) {
	rest, ok := strings.CutPrefix(url, "s3://")
	bucket, prefix, _ = strings.Cut(rest, "/")
	if !ok || len(bucket) < 3 || len(bucket) > 63 || strings.Trim(bucket, "abcdefghijklmnopqrstuvwxyz0123456789.-") != "" {
		return "", "", fmt.Errorf("bucket %q: want s3://BUCKET or s3://BUCKET/PREFIX", url)
	}
	if prefix = strings.TrimSuffix(prefix, "/"); prefix == "" {
		return bucket, "", nil
	}
	if err := blob.CheckKey(prefix); err != nil || len(prefix) > maxPrefix {
		return "", "", fmt.Errorf("bucket %q: the prefix has to be a path of letters, digits and ._-=, at most %d characters", url, maxPrefix)
	}
	return bucket, prefix + "/", nil
}

// IsURL says whether a place for data is a bucket.
func IsURL(place string) bool { return strings.HasPrefix(place, "s3://") }

// URL is the store's address, s3://BUCKET[/PREFIX].
func (s *Store) URL() string { return strings.TrimSuffix("s3://"+path.Join(s.bucket, s.prefix), "/") }

// name is an object's key in the bucket.
func (s *Store) name(ctx context.Context, key string) (*string, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := blob.CheckKey(key); err != nil {
		return nil, err
	}
	return sdk.String(s.prefix + key), nil
}

// tag is an ETag without its quotes.
func tag(s *string) string { return strings.Trim(sdk.ToString(s), `"`) }

// Get implements blob.Store. Objects up to 8 MiB are read at once; a larger one
// is read as the reader is, goes on where a connection broke, and fails where the
// object was replaced since.
func (s *Store) Get(ctx context.Context, key string) (io.ReadCloser, blob.Info, error) {
	name, err := s.name(ctx, key)
	if err != nil {
		return nil, blob.Info{Key: key}, err
	}
	return s.get(ctx, key, name)
}

// List implements blob.Store. ETags are those that Get gives. What is no key of
// a store, as the folders that Amazon's console makes, is left out.
func (s *Store) List(ctx context.Context, prefix string) ([]blob.Info, error) {
	if err := blob.CheckPrefix(prefix); err != nil {
		return nil, err
	}
	out := []blob.Info{}
	pages := s3.NewListObjectsV2Paginator(s.s3, &s3.ListObjectsV2Input{Bucket: &s.bucket, Prefix: sdk.String(s.prefix + prefix)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, s.failed(ctx, "list", prefix, err)
		}
		for _, o := range page.Contents {
			key := strings.TrimPrefix(sdk.ToString(o.Key), s.prefix)
			if blob.CheckKey(key) == nil {
				out = append(out, blob.Info{Key: key, Size: sdk.ToInt64(o.Size), ETag: tag(o.ETag), Modified: sdk.ToTime(o.LastModified)})
			}
		}
	}
	slices.SortFunc(out, func(a, b blob.Info) int { return strings.Compare(a.Key, b.Key) })
	return out, nil
}

// Delete implements blob.Store.
func (s *Store) Delete(ctx context.Context, key string) error {
	name, err := s.name(ctx, key)
	if err != nil {
		return err
	}
	if _, err := s.s3.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &s.bucket, Key: name}); err != nil {
		return s.failed(ctx, "delete", key, err)
	}
	return nil
}
