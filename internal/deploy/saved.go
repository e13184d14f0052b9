package deploy

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"path"
	"path/filepath"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// What lies beside an environment's state, so that every machine can go on where
// another one was: the values of the variables, and the functions' zip.
const (
	variablesName = "variables.json"
	zipName       = "bootstrap.zip"
)

// beside is the key of something that lies where the state does.
func (b Backend) beside(name string) string { return path.Join(path.Dir(b.Key), name) }

// own are the variables that Bind sets, whatever was saved or asked for.
func (s *Session) own() map[string]any {
	// The path of the zip comes into the state. It is relative, so that it is the same on every machine.
	return map[string]any{"prefix": Prefix(s.o.Env), "zip": zipName, "architecture": awsArch(s.o.Code.Arch)}
}

// variables are those of the last deployment with those asked for now.
func (s *Session) variables(ctx context.Context) (map[string]any, error) {
	vars, err := s.saved(ctx)
	if err != nil {
		return nil, err
	}
	if vars == nil {
		vars = map[string]any{}
	}
	for name, v := range s.o.Vars {
		if vars[name] = v; v == nil {
			delete(vars, name)
		}
	}
	for name, v := range s.own() {
		vars[name] = v
	}
	return vars, nil
}

// saved are the variables of the last deployment, nil where there was none.
func (s *Session) saved(ctx context.Context) (map[string]any, error) {
	data, err := s.Account.Object(ctx, s.State.Bucket, s.State.beside(variablesName))
	if err != nil || data == nil {
		return nil, err
	}
	vars := map[string]any{}
	if err := json.Unmarshal(data, &vars); err != nil {
		return nil, fmt.Errorf("s3://%s/%s: %w; remove it and give all variables again", s.State.Bucket, s.State.beside(variablesName), err)
	}
	return vars, nil
}

// write puts configuration, variables and zip into the work folder and remembers them for save.
func (s *Session) write(vars map[string]any, zip []byte) error {
	text, err := json.MarshalIndent(vars, "", "  ")
	if err != nil {
		return fmt.Errorf("the variables: %w", err)
	}
	if err := s.Runner.Work.Write(s.o.Files); err != nil {
		return err
	}
	if err := WriteFile(filepath.Join(s.Runner.Work.Terraform(), zipName), zip); err != nil {
		return fmt.Errorf("the functions' zip: %w", err)
	}
	s.keep = map[string][]byte{variablesName: text, zipName: zip}
	return s.Runner.Variables(vars)
}

// save puts what was written beside the state. It is called when a plan was
// agreed to: what is beside the state is what was applied last, or is being applied.
func (s *Session) save(ctx context.Context) error {
	for name, data := range s.keep {
		if _, err := s.Account.Upload(ctx, s.State.Bucket, s.State.beside(name), data); err != nil {
			return err
		}
	}
	return nil
}

// maxObject is more than anything has that is read whole here: 50 MB is what
// Lambda takes of a zip.
const maxObject = 256 << 20

// Object reads an object whole, nil where it is not there.
func (a *Account) Object(ctx context.Context, bucket, key string) ([]byte, error) {
	got, err := a.s3.GetObject(ctx, &s3.GetObjectInput{Bucket: &bucket, Key: &key, ExpectedBucketOwner: &a.ID})
	if isCode(err, "NoSuchKey", "NoSuchBucket", "NotFound") {
		return nil, nil
	}
	if err != nil {
		return nil, Explain("s3://"+bucket+"/"+key, err)
	}
	defer func() { _ = got.Body.Close() }()
	var buf bytes.Buffer
	if _, err := io.Copy(&buf, io.LimitReader(got.Body, maxObject)); err != nil {
		return nil, Explain("s3://"+bucket+"/"+key, err)
	}
	return buf.Bytes(), nil
}

// NotDeployedError is that an environment is not there. It is an fs.ErrNotExist.
type NotDeployedError struct{ Env, Account, Region string }

func (e *NotDeployedError) Error() string {
	return fmt.Sprintf("environment %q is not deployed in account %s, region %s", e.Env, e.Account, e.Region)
}

// Unwrap makes it an fs.ErrNotExist.
func (e *NotDeployedError) Unwrap() error { return fs.ErrNotExist }

func (a *Account) notDeployed(env string) error { return &NotDeployedError{env, a.ID, a.Region} }

// Keys lists the keys of a bucket's objects that begin with prefix.
func (a *Account) Keys(ctx context.Context, bucket, prefix string) (keys []string, err error) {
	pages := s3.NewListObjectsV2Paginator(a.s3, &s3.ListObjectsV2Input{Bucket: &bucket, Prefix: &prefix, ExpectedBucketOwner: &a.ID})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, Explain("listing s3://"+bucket+"/"+prefix, err)
		}
		for _, o := range page.Contents {
			keys = append(keys, aws.ToString(o.Key))
		}
	}
	return keys, nil
}
