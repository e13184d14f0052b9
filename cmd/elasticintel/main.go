// Command elasticintel pulls open threat-intelligence feeds and answers what is
// known of an IP, domain, URL, email or hash.
package main

import (
	"os"

	"github.com/elasticintel/elasticintel/internal/cli"
)

func main() { os.Exit(cli.Main()) }
