package deploy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"
)

// State is where Terraform's state of an environment lies.
func (a *Account) State(env string) Backend {
	return Backend{Bucket: "elasticintel-state-" + a.ID + "-" + a.Region, Key: env + "/terraform.tfstate", Region: a.Region}
}

// EnsureBucket makes the state bucket where it is not there, and sees to it that
// it keeps versions, encrypts and is closed to the public. It may be called any
// number of times; one that was interrupted is finished by the next.
func (a *Account) EnsureBucket(ctx context.Context, name string) (made bool, err error) {
	owner := aws.String(a.ID)
	_, err = a.s3.HeadBucket(ctx, &s3.HeadBucketInput{Bucket: &name, ExpectedBucketOwner: owner})
	if isCode(err, "NotFound", "NoSuchBucket") {
		in := &s3.CreateBucketInput{Bucket: &name}
		if a.Region != "us-east-1" { // which is what no constraint means, and cannot be said
			in.CreateBucketConfiguration = &types.CreateBucketConfiguration{LocationConstraint: types.BucketLocationConstraint(a.Region)}
		}
		_, err = a.s3.CreateBucket(ctx, in)
		made = err == nil
		if isCode(err, "BucketAlreadyOwnedByYou") {
			err = nil // another deployment was faster
		}
	}
	if err == nil {
		_, err = a.s3.PutPublicAccessBlock(ctx, &s3.PutPublicAccessBlockInput{Bucket: &name, ExpectedBucketOwner: owner, PublicAccessBlockConfiguration: &types.PublicAccessBlockConfiguration{
			BlockPublicAcls: aws.Bool(true), BlockPublicPolicy: aws.Bool(true), IgnorePublicAcls: aws.Bool(true), RestrictPublicBuckets: aws.Bool(true)}})
	}
	if err == nil {
		_, err = a.s3.PutBucketVersioning(ctx, &s3.PutBucketVersioningInput{Bucket: &name, ExpectedBucketOwner: owner,
			VersioningConfiguration: &types.VersioningConfiguration{Status: types.BucketVersioningStatusEnabled}})
	}
	if err == nil {
		_, err = a.s3.PutBucketEncryption(ctx, &s3.PutBucketEncryptionInput{Bucket: &name, ExpectedBucketOwner: owner, ServerSideEncryptionConfiguration: &types.ServerSideEncryptionConfiguration{
			Rules: []types.ServerSideEncryptionRule{{ApplyServerSideEncryptionByDefault: &types.ServerSideEncryptionByDefault{SSEAlgorithm: types.ServerSideEncryptionAes256}}}}})
	}
	return made, Explain("the state bucket "+name, err)
}

// HasState is whether an environment was ever deployed here.
func (a *Account) HasState(ctx context.Context, b Backend) (bool, error) {
	_, err := a.s3.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &b.Bucket, Key: &b.Key, ExpectedBucketOwner: &a.ID})
	if isCode(err, "NotFound", "NoSuchBucket", "NoSuchKey") {
		return false, nil
	}
	return err == nil, Explain("the state "+b.Key+" in "+b.Bucket, err)
}

// ForgetState removes every version of an environment's state and of what lies
// beside it, and the bucket itself where no other environment has anything in it.
func (a *Account) ForgetState(ctx context.Context, b Backend) (bucketToo bool, err error) {
	if err := a.Empty(ctx, b.Bucket, path.Dir(b.Key)+"/"); err != nil {
		return false, err
	}
	list, err := a.s3.ListObjectVersions(ctx, &s3.ListObjectVersionsInput{Bucket: &b.Bucket, MaxKeys: aws.Int32(1), ExpectedBucketOwner: &a.ID})
	if isCode(err, "NoSuchBucket") {
		return false, nil
	}
	if err != nil || len(list.Versions)+len(list.DeleteMarkers) > 0 {
		return false, Explain("the state bucket "+b.Bucket, err)
	}
	_, err = a.s3.DeleteBucket(ctx, &s3.DeleteBucketInput{Bucket: &b.Bucket, ExpectedBucketOwner: &a.ID})
	return err == nil, Explain("the state bucket "+b.Bucket, err)
}

// Empty removes every version of every object whose key begins with prefix. A
// bucket that is not there is empty.
func (a *Account) Empty(ctx context.Context, bucket, prefix string) error {
	pages := s3.NewListObjectVersionsPaginator(a.s3, &s3.ListObjectVersionsInput{Bucket: &bucket, Prefix: &prefix, ExpectedBucketOwner: &a.ID})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if isCode(err, "NoSuchBucket") {
			return nil
		}
		if err != nil {
			return Explain("emptying "+bucket, err)
		}
		var ids []types.ObjectIdentifier
		for _, v := range page.Versions {
			ids = append(ids, types.ObjectIdentifier{Key: v.Key, VersionId: v.VersionId})
		}
		for _, m := range page.DeleteMarkers {
			ids = append(ids, types.ObjectIdentifier{Key: m.Key, VersionId: m.VersionId})
		}
		if len(ids) == 0 {
			continue
		}
		done, err := a.s3.DeleteObjects(ctx, &s3.DeleteObjectsInput{Bucket: &bucket, ExpectedBucketOwner: &a.ID, Delete: &types.Delete{Objects: ids, Quiet: aws.Bool(true)}})
		if err == nil && len(done.Errors) > 0 {
			e := done.Errors[0]
			err = fmt.Errorf("%s: %s: %s", aws.ToString(e.Key), aws.ToString(e.Code), aws.ToString(e.Message))
		}
		if err != nil {
			return Explain("emptying "+bucket, err)
		}
	}
	return nil
}

// Upload writes an object unless it has the same bytes already.
func (a *Account) Upload(ctx context.Context, bucket, key string, data []byte) (written bool, err error) {
	old, err := a.s3.GetObject(ctx, &s3.GetObjectInput{Bucket: &bucket, Key: &key, ExpectedBucketOwner: &a.ID})
	if err == nil {
		var have bytes.Buffer
		_, err = have.ReadFrom(old.Body)
		_ = old.Body.Close()
		if err == nil && bytes.Equal(have.Bytes(), data) {
			return false, nil
		}
	} else if isCode(err, "NoSuchKey", "NotFound") {
		err = nil
	}
	if err == nil {
		_, err = a.s3.PutObject(ctx, &s3.PutObjectInput{Bucket: &bucket, Key: &key, Body: bytes.NewReader(data), ExpectedBucketOwner: &a.ID})
	}
	return err == nil, Explain("uploading "+key+" to "+bucket, err)
}

func isCode(err error, codes ...string) bool {
	var api smithy.APIError
	if !errors.As(err, &api) {
		return false
	}
	for _, c := range codes {
		if api.ErrorCode() == c {
			return true
		}
	}
	return false
}
