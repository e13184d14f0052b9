package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"strings"
	"syscall"
	"time"
)

// server is a process that a peer runs in, with a folder of its own.
type server struct {
	cmd  *exec.Cmd
	dir  string
	done chan error
	log  strings.Builder
}

// startServer starts the command; its output is kept for when it fails.
func startServer(dir string, cmd *exec.Cmd) (*server, error) {
	s := &server{cmd: cmd, dir: dir, done: make(chan error, 1)}
	cmd.Stdout, cmd.Stderr = &s.log, &s.log
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	go func() { s.done <- cmd.Wait() }()
	return s, nil
}

// until calls f until it succeeds, the process ends or 30 s have passed.
func (s *server) until(f func() error) error {
	for end := time.Now().Add(30 * time.Second); ; {
		err := f()
		if err == nil {
			return nil
		}
		select {
		case x := <-s.done:
			s.done <- x
			return fmt.Errorf("%s ended: %w: %s", filepath.Base(s.cmd.Path), x, s.log.String())
		case <-time.After(50 * time.Millisecond):
		}
		if time.Now().After(end) {
			return fmt.Errorf("%s is not ready: %w", filepath.Base(s.cmd.Path), err)
		}
	}
}

// stop ends this process and no other, and deletes its folder.
func (s *server) stop(sig syscall.Signal) error {
	_ = s.cmd.Process.Signal(sig)
	select {
	case <-s.done:
	case <-time.After(60 * time.Second):
		_ = s.cmd.Process.Kill()
		<-s.done
	}
	return os.RemoveAll(s.dir)
}

// freePort is a port of the loopback that nobody listens at.
func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	return l.Addr().(*net.TCPAddr).Port, l.Close()
}

// find looks for a program in PATH and in the folders of the patterns, the newest first.
func find(name string, patterns ...string) (string, error) {
	if p, err := exec.LookPath(name); err == nil {
		return p, nil
	}
	for _, pattern := range patterns {
		found, err := filepath.Glob(filepath.Join(pattern, name))
		if err == nil && len(found) > 0 {
			return found[len(found)-1], nil
		}
	}
	return "", errors.New(name + " is not installed")
}

// versionOf is the first line that the program says to --version, called by a name.
func versionOf(program, name string) string {
	cmd := exec.Command(program, "--version")
	cmd.Args[0] = name
	out, err := cmd.Output()
	if err != nil {
		return program
	}
	line, _, _ := strings.Cut(string(out), "\n")
	return strings.TrimSpace(line)
}

// moduleVersion is the version of a module in this binary.
func moduleVersion(path string) string {
	if b, ok := debug.ReadBuildInfo(); ok {
		for _, m := range b.Deps {
			if m.Path == path {
				return m.Version
			}
		}
	}
	return "?"
}
