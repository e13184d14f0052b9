package fetch

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// The values of [Error.Code].
const (
	CodeURL         = "url"          // the URL cannot be used at all
	CodeBlocked     = "blocked"      // the destination is not a public address or port
	CodeDNS         = "dns"          // the host's name could not be resolved
	CodeRefused     = "refused"      // nobody listens, or no route
	CodeReset       = "reset"        // the connection broke
	CodeTimeout     = "timeout"      // no answer in time
	CodeSlow        = "slow"         // the body came below the least rate
	CodeTLS         = "tls"          // certificate or handshake
	CodeProtocol    = "protocol"     // the answer is not valid HTTP
	CodeStatus      = "status"       // an HTTP status that is not a success
	CodeRateLimited = "rate_limited" // HTTP 429, or 503 with Retry-After
	CodeRedirect    = "redirect"     // too many, or one that is not followed
	CodeTooLarge    = "too_large"    // over a cap on bytes
	CodeRatio       = "ratio"        // unpacks to suspiciously much
	CodeTruncated   = "truncated"    // ends before its end
	CodeCorrupt     = "corrupt"      // compressed data that does not unpack
	CodeEncrypted   = "encrypted"    // an archive that needs a password
	CodeUnsupported = "unsupported"  // a packing or coding this program does not read
	CodeNested      = "nested"       // packed more than twice
	CodeNoEntry     = "no_entry"     // an archive without the file asked for
	CodeDisk        = "disk"         // the spool file could not be written or read
	CodeCanceled    = "canceled"     // the caller gave up
)

// Error is every error of this package. Its text never holds a secret of the
// request: it is redacted when the Error is made, and Err is a bare cause that
// carries no text of the peer.
type Error struct {
	Code       string        // one of the Code constants
	URL        string        // what was asked, redacted; empty for [Decode]
	Status     int           // HTTP status, 0 if there was none
	RetryAfter time.Duration // how long the server asks to wait; 0 if it did not say
	Permanent  bool          // the same request will fail again until somebody changes something
	Attempts   int           // how often it was tried; 0 for [Decode]
	Detail     string        // what happened, redacted
	Err        error         // context.Canceled, a syscall.Errno and the like, or nil

	retry bool // worth trying again within the same Do
}

// Error is one sentence: the URL, what happened, whether trying again helps.
func (e *Error) Error() string {
	var b strings.Builder
	if e.URL != "" {
		b.WriteString(e.URL)
		b.WriteString(": ")
	}
	b.WriteString(e.Detail)
	if e.Attempts > 1 {
		fmt.Fprintf(&b, " (tried %d times)", e.Attempts)
	}
	if advice := e.advice(); advice != "" {
		b.WriteString("; ")
		b.WriteString(advice)
	}
	return b.String()
}

// Unwrap gives the bare cause, for errors.Is.
func (e *Error) Unwrap() error { return e.Err }

func (e *Error) advice() string {
	switch {
	case e.Code == CodeCanceled:
		return ""
	case e.RetryAfter > 0:
		return "the server asks to wait " + e.RetryAfter.Round(time.Second).String() + " before the next try"
	case e.Permanent:
		return "trying again will not help until this changes"
	default:
		return "a later try may succeed"
	}
}

// fail makes an Error that ends the Do and will come again.
func fail(code, format string, args ...any) *Error {
	return &Error{Code: code, Permanent: true, Detail: fmt.Sprintf(format, args...)}
}

// passing makes an Error that another try may not meet.
func passing(code, format string, args ...any) *Error {
	return &Error{Code: code, retry: true, Detail: fmt.Sprintf(format, args...)}
}

// classify turns whatever the transport or the body said into an *Error.
// The order matters: our own errors and the contexts know best why.
func classify(ctx context.Context, err error) *Error {
	if own, ok := errors.AsType[*Error](err); ok {
		return own
	}
	if own, ok := errors.AsType[*Error](context.Cause(ctx)); ok {
		return own
	}
	switch {
	case errors.Is(ctx.Err(), context.Canceled) || errors.Is(err, context.Canceled):
		return &Error{Code: CodeCanceled, Detail: "the download was cancelled", Err: context.Canceled}
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return &Error{Code: CodeTimeout, Detail: "the time given for the download ran out", Err: context.DeadlineExceeded}
	}
	if text := err.Error(); strings.Contains(text, "headers exceeded") || strings.Contains(text, "header list larger") {
		return fail(CodeTooLarge, "the header of the answer is larger than the %d bytes allowed", maxHeader)
	}
	for _, f := range []func(error) *Error{classifyDNS, classifyTLS, classifyConn} {
		if e := f(err); e != nil {
			return e
		}
	}
	return passing(CodeProtocol, "the answer is not valid HTTP: %s", printable(err.Error()))
}

func classifyDNS(err error) *Error {
	d, ok := errors.AsType[*net.DNSError](err)
	if !ok {
		return nil
	}
	if d.IsNotFound {
		return fail(CodeDNS, "the host name %s does not exist in DNS", printable(d.Name))
	}
	e := passing(CodeDNS, "looking up the host name %s failed", printable(d.Name))
	if d.IsTimeout {
		e.Detail += ": no answer in time"
	}
	return e
}

func classifyTLS(err error) *Error {
	var (
		cert    *tls.CertificateVerificationError
		host    x509.HostnameError
		invalid x509.CertificateInvalidError
		unknown x509.UnknownAuthorityError
		record  tls.RecordHeaderError
	)
	switch {
	case errors.As(err, &cert), errors.As(err, &host), errors.As(err, &invalid), errors.As(err, &unknown):
		return fail(CodeTLS, "the server's certificate is not trusted: %s", printable(err.Error()))
	case errors.As(err, &record), errors.Is(err, http.ErrSchemeMismatch):
		return fail(CodeTLS, "the server does not speak TLS on this port")
	case strings.Contains(err.Error(), "tls: "): // alerts of the peer have no exported type
		return fail(CodeTLS, "the TLS handshake failed: %s", printable(err.Error()))
	}
	return nil
}

func classifyConn(err error) *Error {
	errno, hasErrno := errors.AsType[syscall.Errno](err)
	with := func(e *Error) *Error {
		if hasErrno {
			e.Err = errno
		}
		return e
	}
	timeout, isNet := errors.AsType[net.Error](err)
	text := err.Error()
	switch {
	case isNet && timeout.Timeout():
		return with(passing(CodeTimeout, "the server did not answer in time"))
	case refusedErrno(errno, hasErrno):
		return with(passing(CodeRefused, "the connection was refused or there is no route: %s", errno))
	case errors.Is(err, io.ErrUnexpectedEOF):
		return with(passing(CodeTruncated, "the body ended before its declared end"))
	case errors.Is(err, io.EOF), hasErrno, errors.Is(err, net.ErrClosed), errors.Is(err, io.ErrClosedPipe),
		strings.Contains(text, "stream error"), strings.Contains(text, "server closed"),
		strings.Contains(text, "GOAWAY"):
		e := with(passing(CodeReset, "the connection broke"))
		if hasErrno {
			e.Detail += ": " + errno.Error()
		}
		return e
	}
	return nil
}

// refusedErrno says whether nobody answered at the address: not listening, or not reachable.
func refusedErrno(errno syscall.Errno, ok bool) bool {
	if !ok {
		return false
	}
	switch errno {
	case syscall.ECONNREFUSED, syscall.EHOSTUNREACH, syscall.ENETUNREACH, syscall.EADDRNOTAVAIL:
		return true
	}
	switch uintptr(errno) {
	case 10049, 10051, 10061, 10065: // the same four of Windows Sockets
		return runtime.GOOS == "windows"
	}
	return false
}

// printable makes text of a peer fit for one line of a log: no control characters.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || (r >= 0x80 && r < 0xa0) || r == 0x2028 || r == 0x2029 {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
}

// shorten cuts s to most bytes. What may hold a secret is redacted before: the
// first half of one would not be found any more.
func shorten(s string, most int) string {
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}

// clean is for text that holds no secret.
func clean(s string) string { return shorten(printable(s), 200) }
