package aws

import (
	"errors"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials/ssocreds"
	"github.com/aws/smithy-go"
)

// CredentialsError says that there are no valid credentials, and what to do.
type CredentialsError struct {
	Hint string // what to do
	Err  error  // what the SDK says
}

// Error implements error.
func (e *CredentialsError) Error() string {
	return fmt.Sprintf("AWS credentials: %s (%s)", e.Hint, oneLine(e.Err))
}

// Unwrap returns what the SDK says.
func (e *CredentialsError) Unwrap() error { return e.Err }

const (
	hintNone    = "none found; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE to a profile (after `aws sso login` where it is one of SSO), or give the machine or container a role"
	hintSSO     = "the SSO session has ended or was never begun; run `aws sso login` for this profile"
	hintExpired = "they have expired; get new ones, and use a profile with SSO or a role, whose credentials are renewed by themselves"
	hintProfile = "the profile does not exist; see AWS_PROFILE, and `aws configure list-profiles`"
	hintOther   = "they cannot be had; `aws sts get-caller-identity` tries the same with Amazon's own tool"
)

// explain turns an error of the SDK's chain into one that says what to do.
func explain(err error) error {
	hint := hintOther
	var api smithy.APIError
	switch {
	case errors.As(err, new(*ssocreds.InvalidTokenError)), strings.Contains(err.Error(), "cached SSO token"):
		hint = hintSSO
	case errors.As(err, new(config.SharedConfigProfileNotExistError)):
		hint = hintProfile
	case errors.As(err, &api) && strings.HasPrefix(api.ErrorCode(), "ExpiredToken"):
		hint = hintExpired
	case errors.As(err, &api) && api.ErrorCode() == "UnauthorizedException":
		hint = hintSSO
	// The machine's role is the end of the chain: nothing before it had any.
	case strings.Contains(err.Error(), "EC2 IMDS"):
		hint = hintNone
	}
	return &CredentialsError{Hint: hint, Err: err}
}

// oneLine is the text of an error on one line, cut where it is long.
func oneLine(err error) string {
	s := strings.Join(strings.Fields(err.Error()), " ")
	if len(s) > 300 {
		s = strings.ToValidUTF8(s[:300], "") + "…"
	}
	return s
}

// credentialsMissing says whether a request was not even sent for want of credentials.
func credentialsMissing(err error) bool {
	said := err.Error()
	return strings.Contains(said, "get identity") || strings.Contains(said, "get credentials") || strings.Contains(said, "failed to refresh cached credentials")
}
