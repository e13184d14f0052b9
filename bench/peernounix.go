//go:build !unix

package main

import (
	"errors"
	"os/exec"
)

// lowered is only known where users are those of Unix.
func lowered(string, ...*exec.Cmd) error { return errors.New("needs Unix") }
