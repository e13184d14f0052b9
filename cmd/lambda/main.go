// Command lambda is the bootstrap of all functions on AWS Lambda; EI_FUNCTION says
// which of them a process is.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/elasticintel/elasticintel/internal/awslambda"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	s, err := readSettings(os.Environ())
	o := awslambda.Options{API: s.runtimeAPI, Function: s.function, Log: s.log, Build: s.build}
	if o.API == "" {
		return fmt.Errorf("AWS_LAMBDA_RUNTIME_API is not set: this program runs inside AWS Lambda; `elasticintel serve` is for machines")
	}
	return awslambda.Serve(ctx, o, err)
}
