package deploy

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// Diagnostic is an error as Terraform reports it.
type Diagnostic struct {
	Severity string `json:"severity"`
	Summary  string `json:"summary"`
	Detail   string `json:"detail"`
	Address  string `json:"address"` // of the resource, where there is one
}

// TerraformError is a run of Terraform that failed, with what it found.
type TerraformError struct {
	What  string // terraform apply
	Found []Diagnostic
	Err   error
}

// maxFound is how many problems are told of one run.
const maxFound = 5

// Error names each problem once, with what to do where that is known.
func (e *TerraformError) Error() string {
	var parts []string
	said := map[string]bool{}
	for _, d := range e.Found {
		text := strings.Join(strings.Fields(d.Summary+" "+d.Detail), " ")
		if advice := Advice(text); advice != "" {
			if said[advice] {
				continue
			}
			said[advice] = true
			text = advice + " (" + short(text, 300) + ")"
		}
		if d.Address != "" {
			text = d.Address + ": " + text
		}
		parts = append(parts, short(text, 900))
	}
	if n := len(parts) - maxFound; n > 0 {
		parts = append(parts[:maxFound], fmt.Sprintf("and %d more", n))
	}
	return e.What + ": " + strings.Join(parts, "; ")
}

// Unwrap returns how the process ended.
func (e *TerraformError) Unwrap() error { return e.Err }

// Explain puts what to do before an error of AWS's, where that is known.
func Explain(what string, err error) error {
	if err == nil {
		return nil
	}
	if errors.As(err, new(*TerraformError)) || errors.As(err, new(*InterruptedError)) {
		return err
	}
	if advice := Advice(err.Error()); advice != "" {
		return fmt.Errorf("%s: %s: %w", what, advice, err)
	}
	return fmt.Errorf("%s: %w", what, err)
}

// advices is the table from what AWS and Terraform say to what a person can do;
// the first that matches is taken. $1 and so on are the parts in brackets.
var advices = []struct {
	say    *regexp.Regexp
	advice string
}{
	{regexp.MustCompile(`(?i)ExpiredToken|RequestExpired|security token included in the request is expired`),
		"the credentials have expired: get new ones (`aws sso login`, or new keys) and run the same command again"},
	{regexp.MustCompile(`(?i)sso.{0,40}(session|token).{0,60}(expired|invalid|refresh|not found)|refresh cached SSO token failed|InvalidGrantException`),
		"the sign-in has ended: run `aws sso login`, then the same command again"},
	{regexp.MustCompile(`(?i)No valid credential sources|NoCredentialProviders|no EC2 IMDS role found|failed to retrieve credentials`),
		"no credentials were found: set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or run `aws sso login`"},
	{regexp.MustCompile(`InvalidClientTokenId|UnrecognizedClientException|InvalidAccessKeyId|AuthFailure`),
		"AWS does not know this access key: look at AWS_PROFILE and AWS_ACCESS_KEY_ID, and at whether the key was deleted"},
	{regexp.MustCompile(`SignatureDoesNotMatch|RequestTimeTooSkewed|Signature (expired|not yet current)`),
		"the signature was refused: look at AWS_SECRET_ACCESS_KEY, and at the clock of this machine"},
	{regexp.MustCompile(`is not authorized to perform: ([a-z0-9-]+:[A-Za-z]+) on resource: (\S+) (?:because|with) an explicit deny`),
		"$1 on $2 is denied by a policy of the account or the organisation: ask its administrator"},
	{regexp.MustCompile(`is not authorized to perform: ([a-z0-9-]+:[A-Za-z]+) on resource: ([^\s,]+)`),
		"the permission $1 on $2 is missing: have it granted to who runs this, then run the same command again"},
	{regexp.MustCompile(`is not authorized to perform: ([a-z0-9-]+:[A-Za-z]+)`),
		"the permission $1 is missing: have it granted to who runs this, then run the same command again"},
	{regexp.MustCompile(`(?:operation error|calling the) (?:([A-Za-z0-9 ]+): )?([A-Z][A-Za-z]+)\b.*?(?:AccessDenied|Access ?Denied|StatusCode: 403|Forbidden)`),
		"the permission for $2 ($1) is missing: have it granted to who runs this, then run the same command again"},
	{regexp.MustCompile(`UnreservedConcurrentExecution`),
		"the account's quota of concurrent Lambda executions is too small: raise \"Concurrent executions\" (Service Quotas, AWS Lambda; new accounts begin with 10), or set fewer reserved ones"},
	{regexp.MustCompile(`ServiceQuotaExceeded|LimitExceeded|TooManyBuckets|QuotaExceeded|InstanceLimitExceeded`),
		"a quota of the account is used up: raise it in the console under Service Quotas, or remove what is not used, then run the same command again"},
	{regexp.MustCompile(`OptInRequired|SubscriptionRequired|InvalidRegion|is not enabled for|region is disabled`),
		"the account does not have this service or region: enable it in the console, or take another region with --region"},
	{regexp.MustCompile(`Error acquiring the state lock(?:.*?ID:\s+(\S+))?(?:.*?Who:\s+(\S+))?`),
		"another deployment holds the lock of the state ($2): wait for it; where it is certain that none runs, `terraform force-unlock $1` in the work folder's terraform frees it"},
	{regexp.MustCompile(`Saved plan is stale`),
		"something was changed between plan and apply: run the same command again"},
	{regexp.MustCompile(`BucketAlreadyExists`),
		"the name of a bucket is taken by somebody else: choose another --env"},
	{regexp.MustCompile(`EntityAlreadyExists|ResourceAlreadyExists|ResourceConflictException|ResourceInUse|BucketAlreadyOwnedByYou|QueueAlreadyExists|AlreadyExistsException`),
		"something of this name is there already and is not this deployment's: remove it, or choose another --env"},
	{regexp.MustCompile(`(?i)KMS.{0,20}(AccessDenied|Disabled|InvalidState)|key.{0,40}is pending deletion`),
		"the KMS key may not be used: look at whether it is enabled, and at its policy"},
	{regexp.MustCompile(`Throttl|Rate exceeded|TooManyRequests|SlowDown|RequestLimitExceeded`),
		"AWS asks to go slower: wait a minute and run the same command again; it goes on from where it was"},
	{regexp.MustCompile(`Failed to query available provider packages|could not connect to registry|Could not retrieve the list of available versions|Failed to install provider`),
		"the AWS provider cannot be fetched: allow registry.terraform.io, or name a mirror of it with EI_TF_MIRROR=DIR"},
	{regexp.MustCompile(`(?i)no such host|connection refused|network is unreachable|i/o timeout|TLS handshake timeout|connection reset`),
		"AWS cannot be reached: look at the network, the proxy (HTTPS_PROXY), --region, and AWS_ENDPOINT_URL where it is set; then run the same command again"},
}

var leftover = regexp.MustCompile(` \(\)|\$\d`)

// Advice says what a person can do about an error of AWS's or Terraform's; ""
// where it is not known.
func Advice(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	for _, a := range advices {
		if at := a.say.FindStringSubmatchIndex(text); at != nil {
			return leftover.ReplaceAllString(string(a.say.ExpandString(nil, a.advice, text, at)), "")
		}
	}
	return ""
}

// short cuts text to n bytes at a character's border.
func short(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "") + "…"
}

// ErrDeclined is that the person said no. Nothing was changed.
var ErrDeclined = errors.New("declined: nothing was changed")
