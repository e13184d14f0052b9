package deploy

import (
	"context"
	"errors"
	"strings"
	"testing"
)

// TestAdvice: what AWS and Terraform say, and what a person is told.
func TestAdvice(t *testing.T) {
	for said, want := range map[string]string{
		"operation error STS: GetCallerIdentity, https response error StatusCode: 403, api error ExpiredToken: The security token included in the request is expired": "aws sso login",
		"get identity: get credentials: failed to refresh cached credentials, refresh cached SSO token failed, unable to refresh SSO token, InvalidGrantException":    "sign-in has ended",
		"Error: No valid credential sources found":                               "no credentials were found",
		"api error InvalidClientTokenId: The security token included is invalid": "does not know this access key",
		"SignatureDoesNotMatch: Signature not yet current: 2026":                 "clock",
		"AccessDenied: User: arn:aws:iam::1:user/x is not authorized to perform: iam:CreateRole on resource: arn:aws:iam::1:role/elasticintel-api because no identity-based policy allows the iam:CreateRole action": "the permission iam:CreateRole on arn:aws:iam::1:role/elasticintel-api is missing",
		"User: arn:aws:sts::1:assumed-role/x/y is not authorized to perform: lambda:CreateFunction on resource: arn:aws:lambda:us-east-1:1:function:f with an explicit deny in a service control policy":             "denied by a policy of the account or the organisation",
		"User: x is not authorized to perform: kms:TagResource":                                                                                                                         "the permission kms:TagResource is missing",
		"operation error S3: PutBucketVersioning, https response error StatusCode: 403, RequestID: x, api error AccessDenied: Access Denied":                                            "the permission for PutBucketVersioning (S3) is missing",
		"InvalidParameterValueException: Specified ReservedConcurrentExecutions for function decreases account's UnreservedConcurrentExecution below its minimum":                       "Concurrent executions",
		"LimitExceededException: Cannot exceed quota for RolesPerAccount: 1000":                                                                                                         "a quota of the account is used up",
		"OptInRequired: You are not subscribed":                                                                                                                                         "does not have this service or region",
		"Error acquiring the state lock Error message: PreconditionFailed Lock Info:\n  ID:        1b2c-3\n  Path:      b/k\n  Operation: OperationTypeApply\n  Who:       anna@desk\n": "the lock of the state (anna@desk): wait for it; where it is certain that none runs, `terraform force-unlock 1b2c-3`",
		"Error: Saved plan is stale":                                      "changed between plan and apply",
		"BucketAlreadyExists: The requested bucket name is not available": "choose another --env",
		"EntityAlreadyExists: Role with name x already exists.":           "is not this deployment's",
		"KMSAccessDeniedException: x":                                     "KMS key may not be used",
		"ThrottlingException: Rate exceeded":                              "slower",
		"Failed to query available provider packages Could not retrieve the list of available versions for provider hashicorp/aws": "EI_TF_MIRROR",
		"dial tcp: lookup sts.us-east-1.amazonaws.com: no such host":                                                               "cannot be reached",
		"something nobody has seen before": "",
	} {
		if got := Advice(said); (want == "") != (got == "") || !strings.Contains(got, want) || strings.Contains(got, "$") {
			t.Errorf("%s\n got %q\nwant %q", said, got, want)
		}
	}
}

func TestTerraformError(t *testing.T) {
	denied := Diagnostic{Summary: "creating IAM Role", Detail: "AccessDenied: x is not authorized to perform: iam:CreateRole on resource: r", Address: "aws_iam_role.a"}
	e := &TerraformError{What: "terraform apply", Found: []Diagnostic{denied, denied}, Err: errors.New("exit status 1")}
	if s := e.Error(); strings.Count(s, "the permission iam:CreateRole") != 1 || !strings.HasPrefix(s, "terraform apply: aws_iam_role.a: the permission") {
		t.Error(s)
	}
	for range 7 {
		e.Found = append(e.Found, Diagnostic{Summary: strings.Repeat("é", 2000)})
	}
	if s := e.Error(); !strings.HasSuffix(s, "and 3 more") || len(s) > 6000 || strings.ToValidUTF8(s, "") != s {
		t.Error(len(s), s[len(s)-20:])
	}
	if err := Explain("x", e); !errors.Is(err, e) || err.Error() != e.Error() {
		t.Error(err)
	}
	if err := Explain("the state bucket", errors.New("TooManyBuckets: x")); !strings.HasPrefix(err.Error(), "the state bucket: a quota") {
		t.Error(err)
	}
	if err := Explain("x", &InterruptedError{What: "terraform apply"}); !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "goes on from there") {
		t.Error(err)
	}
	if Explain("x", nil) != nil {
		t.Error("no error is one")
	}
}
