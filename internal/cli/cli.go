package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/elasticintel/elasticintel/internal/aws"
	"github.com/elasticintel/elasticintel/internal/config"
	"github.com/elasticintel/elasticintel/internal/local"
)

// Env is the world a command runs in.
type Env struct {
	Args     []string // without the program's name
	In       io.Reader
	Out, Err io.Writer
	Environ  []string // NAME=VALUE
	Now      func() time.Time
}

// errTerminated is the cause of a context that SIGTERM ended.
var errTerminated = errors.New("terminated")

// Main runs the command line in this process and returns its exit code. The
// first SIGINT or SIGTERM asks the command to stop cleanly, the second ends the
// process at once.
func Main() int {
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	sig := make(chan os.Signal, 2)
	signal.Notify(sig, os.Interrupt, syscall.SIGTERM)
	go func() {
		if <-sig == syscall.SIGTERM {
			cancel(errTerminated)
		} else {
			cancel(context.Canceled)
		}
		<-sig
		os.Exit(exitInterrupted)
	}()
	return Run(ctx, Env{Args: os.Args[1:], In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Environ: os.Environ(), Now: time.Now})
}

// Run runs one command line and returns its exit code. Errors are printed to
// env.Err, with the next command to try.
func Run(ctx context.Context, env Env) int {
	p := &program{env: env, cfg: config.Default(), talk: newTalk(env.Err, env.Environ, false)}
	p.now = func() time.Time { return env.Now().UTC() }
	root := p.root()
	root.SetArgs(env.Args)
	root.SetIn(env.In)
	root.SetOut(env.Out)
	root.SetErr(env.Err)
	cmd, err := root.ExecuteContextC(ctx)
	if p.out != nil {
		err = errors.Join(err, p.out.flush())
	}
	if err == nil {
		return exitOK
	}
	code, hint := verdictOf(explainUsage(cmd, err))
	var f *failure
	switch known := errors.As(err, &f); {
	case !known && code == exitInterrupted:
		p.talk.problem("elasticintel: interrupted")
	case !known || f.err != nil:
		p.talk.problem("elasticintel: %v", explainUsage(cmd, err))
		if code == exitUsage && hint == "" {
			hint = fmt.Sprintf("See `%s --help`.", cmd.CommandPath())
		}
		if hint != "" {
			p.talk.problem("%s", hint)
		}
	}
	return code
}

// program is one command line being run.
type program struct {
	env  Env
	now  func() time.Time // UTC
	cfg  config.Config
	out  *printer
	talk *talk
	log  *slog.Logger

	configFile string
	json       bool

	serving   bool             // this is the server
	bucket    *aws.Cached      // of --data s3://…, nil until it is opened
	catalogue *local.Catalogue // once it is opened
}

// setUp reads the settings and opens the outputs; it runs before every command.
func (p *program) setUp(flags flagSet) error {
	name, file, err := p.readConfig(flags)
	if err != nil {
		return err
	}
	if err := p.cfg.Fill(flags, p.env.Environ, name, file); err != nil {
		var v *config.ValueError
		if errors.As(err, &v) && v.Given {
			return usageError("", "--%s: %s", v.Flag, v.Reason)
		}
		return configError(err, "")
	}
	if p.json {
		p.cfg.Output = "json"
	}
	p.talk = newTalk(p.env.Err, p.env.Environ, p.cfg.Quiet)
	p.out = newPrinter(p.env.Out, p.cfg.Output, p.env.Environ)
	var level slog.Level
	_ = level.UnmarshalText([]byte(p.cfg.LogLevel)) // checked by Fill
	p.log = slog.New(slog.NewTextHandler(p.talk, &slog.HandlerOptions{Level: level}))
	return nil
}

// readConfig reads the file of --config or EI_CONFIG, if one is named.
func (p *program) readConfig(flags flagSet) (name string, data []byte, err error) {
	name = p.configFile
	if !flags.Changed("config") {
		name = lookEnv(p.env.Environ, config.Var("config"))
	}
	if name == "" {
		return "", nil, nil
	}
	data, err = os.ReadFile(name)
	if err != nil {
		return "", nil, configError(fmt.Errorf("config file: %w", err), "")
	}
	return name, data, nil
}
