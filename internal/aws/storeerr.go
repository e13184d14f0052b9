package aws

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go"

	"github.com/elasticintel/elasticintel/internal/blob"
)

// ErrUnclear says that nobody can tell whether a conditional write took effect:
// its answer was lost, and the object was changed by someone else since.
var ErrUnclear = errors.New("the answer to the write was lost and the object was changed since, so whether the write took effect is not known")

// ErrChanged says that an object was replaced while it was read.
var ErrChanged = errors.New("the object was replaced while it was read")

// permissions are what each operation needs.
var permissions = map[string]string{"get": "s3:GetObject", "put": "s3:PutObject", "list": "s3:ListBucket", "delete": "s3:DeleteObject"}

// failed is an error of an operation on an object (or a prefix) in words.
func (s *Store) failed(ctx context.Context, op, key string, err error) error {
	return fmt.Errorf("%s s3://%s/%s%s: %w", op, s.bucket, s.prefix, key, s.reason(ctx, op, err))
}

func (s *Store) reason(ctx context.Context, op string, err error) error {
	if gone := ctx.Err(); gone != nil {
		return gone
	}
	status, code := answer(err)
	switch {
	case code == "NoSuchBucket":
		return fmt.Errorf("there is no bucket %s; `elasticintel deploy` makes one, or see the name in EI_DATA", s.bucket)
	case code == "NoSuchKey", op == "get" && status == http.StatusNotFound:
		return blob.ErrNotFound
	case status == http.StatusPreconditionFailed, status == http.StatusConflict && code != "OperationAborted":
		return blob.ErrConflict
	}
	return refused(err, status, code, permissions[op], fmt.Sprintf("arn:aws:s3:::%s/%s*", s.bucket, s.prefix))
}

// refused says what a person can do about an answer of Amazon's that means no.
func refused(err error, status int, code, permission, resource string) error {
	switch code {
	case "ExpiredToken", "ExpiredTokenException", "RequestExpired":
		return &CredentialsError{Hint: hintExpired, Err: err}
	case "InvalidAccessKeyId", "UnrecognizedClientException", "InvalidClientTokenId", "SignatureDoesNotMatch", "InvalidSignatureException":
		return &CredentialsError{Hint: "Amazon does not know them; see AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_PROFILE", Err: err}
	case "AccessDenied", "AccessDeniedException", "Forbidden":
		more := ""
		if permission == "s3:GetObject" {
			more = ", or s3:ListBucket, without which S3 says the same of an object that is not there"
		}
		return fmt.Errorf("these credentials may not: the policy has to allow %s on %s%s (%s)", permission, resource, more, oneLine(err))
	case "PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException":
		return fmt.Errorf("it lies in another region; set AWS_REGION to that (%s)", oneLine(err))
	case "RequestTimeTooSkewed":
		return fmt.Errorf("this machine's clock is wrong: set it (%s)", oneLine(err))
	}
	if status == 0 && code == "" && credentialsMissing(err) {
		return explain(err)
	}
	return err
}

// answer is the status and the code that S3 answered with, if it did.
func answer(err error) (status int, code string) {
	var res *awshttp.ResponseError
	if errors.As(err, &res) {
		status = res.HTTPStatusCode()
	}
	var api smithy.APIError
	if errors.As(err, &api) {
		code = api.ErrorCode()
	}
	return status, code
}
