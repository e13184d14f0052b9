// Command cmd serves the files of a folder over loopback as feed publishers
// do, with ETag, Last-Modified and conditional requests:
//
//	go run ./internal/testing/feedserver/cmd -gunzip DIR
package main

import (
	"flag"
	"fmt"
	"os"
	"os/signal"

	"github.com/elasticintel/elasticintel/internal/testing/feedserver"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:0", "address to listen on")
	gunzip := flag.Bool("gunzip", false, "serve NAME.gz as NAME too, unpacked")
	flag.Parse()
	if flag.NArg() != 1 {
		fmt.Fprintln(os.Stderr, "usage: cmd [-listen ADDR] [-gunzip] DIR")
		os.Exit(2)
	}
	s := feedserver.New()
	s.Mount("/", os.DirFS(flag.Arg(0)), *gunzip)
	if err := s.Listen(*listen); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(s.URL("/"))
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, os.Interrupt)
	<-stop
	s.Close()
}
