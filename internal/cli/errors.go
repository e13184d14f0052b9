package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/elasticintel/elasticintel/internal/config"
	"github.com/elasticintel/elasticintel/internal/local"
	"github.com/elasticintel/elasticintel/internal/lookup"
)

// Exit codes. Scripts rely on them.
const (
	exitOK          = 0   // done, or nothing found
	exitMatched     = 1   // lookup: something is listed
	exitUsage       = 2   // the command was not understood, or a value is unusable
	exitConfig      = 3   // a setting, a feed definition or the catalogue is wrong
	exitUnreachable = 4   // no data, data that cannot be read, or a feed that cannot be reached
	exitPartial     = 5   // some of it failed, or was held back
	exitInterrupted = 130 // Ctrl-C
)

// failure is an error with its exit code and, where there is one, the next
// command to try. A nil err exits silently: the output says it all.
type failure struct {
	code int
	err  error
	hint string
}

func (f *failure) Error() string {
	if f.err == nil {
		return fmt.Sprintf("exit %d", f.code)
	}
	return f.err.Error()
}

func (f *failure) Unwrap() error { return f.err }

// exit ends a command with a code and no message.
func exit(code int) error {
	if code == exitOK {
		return nil
	}
	return &failure{code: code}
}

func usageError(hint, format string, a ...any) error {
	return &failure{exitUsage, fmt.Errorf(format, a...), hint}
}

func configError(err error, hint string) error { return &failure{exitConfig, err, hint} }

// verdictOf is the one table from errors to exit code and hint.
func verdictOf(err error) (code int, hint string) {
	var f *failure
	var busy *local.BusyError
	var value *config.ValueError
	var again lookup.Retrier
	switch {
	case err == nil:
		return exitOK, ""
	case errors.As(err, &f):
		return f.code, f.hint
	case errors.Is(err, context.Canceled):
		return exitInterrupted, ""
	case errors.As(err, &busy):
		return exitUnreachable, "Use another folder with --data, or stop that process first. Look-ups and `elasticintel ingest` work beside it."
	case errors.Is(err, local.ErrNoData):
		return exitUnreachable, "Load some with `elasticintel serve` or `elasticintel ingest --all`, or name the folder that has it with --data DIR."
	case errors.As(err, &value):
		return exitConfig, ""
	default:
		if hint = clusterHint(err); hint != "" {
			hint += " `elasticintel doctor` looks closer."
		}
		if errors.Is(err, lookup.ErrEngine) && errors.As(err, &again) && again.RetryIn() > 0 {
			soon := (again.RetryIn() + time.Second - 1).Truncate(time.Second)
			hint = strings.TrimSpace(fmt.Sprintf("What is listed is not known now. Try again in %s. %s", span(soon), hint))
		}
		return exitUnreachable, hint
	}
}
