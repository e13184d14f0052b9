package main

import (
	"bufio"
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/elasticintel/elasticintel/internal/intel"
)

// realLists are plain lists of the samples, one value a line.
var realLists = []string{
	"urlhaus-filter/2020-10-04/urlhaus-filter-domains.txt.gz",
	"usom/urls.txt.gz",
	"phishing-database/phishing-domains-NEW-today.txt.gz",
	"phishing-database/phishing-domains-ACTIVE.txt.gz",
	"ipsum/levels/1.txt.gz",
	"urlhaus-filter/2021-08-22/urlhaus-filter-dnscrypt-blocked-ips.txt.gz",
	"phishing-database/phishing-domains-ACTIVE3.txt.gz",
	"phishing-database/phishing-links-ACTIVE5.txt.gz",
	"phishing-database/phishing-links-ACTIVE1.txt.gz",
	"phishing-database/phishing-links-ACTIVE12.txt.gz",
	"cps/cps-collected-iocs.txt",
	"maltrail/static-malware.txt.gz",
}

// loadValues returns n distinct values, of real feeds as far as they reach.
func loadValues(n int) (values []string, source string, err error) {
	seen := make(map[intel.Indicator]bool, n)
	add := func(v string) {
		ind, err := intel.Detect(v)
		if err != nil || intel.Reserved(ind) != "" || seen[ind] {
			return
		}
		seen[ind] = true
		values = append(values, v)
	}
	source = "generated"
	if dir := os.Getenv("EI_SAMPLES"); dir != "" {
		for _, name := range realLists {
			if err := eachLine(filepath.Join(dir, "feeds", name), func(l string) bool { add(l); return len(values) < n }); err != nil {
				return nil, "", err
			}
		}
		source = fmt.Sprintf("%d of real feeds", len(values))
	}
	for i := 0; len(values) < n; i++ {
		switch i % 3 {
		case 0:
			add(fmt.Sprintf("host-%x.bad%d.example", i*2654435761, i%997))
		case 1:
			add(fmt.Sprintf("%d.%d.%d.%d", 11+i%80, i>>16&255, i>>8&255, i&255))
		default:
			add(fmt.Sprintf("http://w%x.example/%x/login.php", i%50021, i))
		}
	}
	return values[:n], source, nil
}

func eachLine(file string, f func(string) bool) error {
	r, err := os.Open(file)
	if err != nil {
		return err
	}
	defer r.Close()
	var in io.Reader = r
	if strings.HasSuffix(file, ".gz") {
		if in, err = gzip.NewReader(r); err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
	}
	sc := bufio.NewScanner(in)
	sc.Buffer(nil, 1<<20)
	for sc.Scan() {
		l := strings.TrimSpace(sc.Text())
		if l == "" || l[0] == '#' || l[0] == '!' {
			continue
		}
		if !f(l) {
			return nil
		}
	}
	return sc.Err()
}
