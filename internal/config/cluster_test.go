package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

func cluster(args, environ []string, file string) (Config, error) {
	c := Default()
	fs := pflag.NewFlagSet("test", pflag.ContinueOnError)
	c.Bind(fs, EngineFlags()...)
	if err := fs.Parse(args); err != nil {
		return c, err
	}
	var data []byte
	if file != "" {
		data = []byte(file)
	}
	return c, c.Fill(fs, environ, "ei.json", data)
}

// TestCluster: URLs are a list with commas or blanks, in each place; what is not
// given has a default.
func TestCluster(t *testing.T) {
	const a, b = "https://a.example:9200", "https://b.example:9200/path"
	for name, c := range map[string]struct {
		args, environ []string
		file          string
	}{
		"flags":     {args: []string{"--engine=opensearch", "--opensearch-url", a + "," + b, "--opensearch-user", "writer"}},
		"repeated":  {args: []string{"--engine=opensearch", "--opensearch-url", a, "--opensearch-url", b, "--opensearch-user", "writer"}},
		"variables": {environ: []string{"EI_ENGINE=opensearch", "EI_OPENSEARCH_URL=" + a + " " + b, "EI_OPENSEARCH_USER=writer"}},
		"file":      {file: `{"engine":"opensearch","opensearch_url":["` + a + `","` + b + `"],"opensearch_user":"writer"}`},
		"file text": {file: `{"engine":"opensearch","opensearch_url":"` + a + `,` + b + `","opensearch_user":"writer"}`},
	} {
		got, err := cluster(c.args, c.environ, c.file)
		o := got.OpenSearch
		if err != nil || got.Engine != EngineOpenSearch || !slices.Equal(o.URLs, URLList{a, b}) || o.AuthMode() != AuthBasic ||
			o.Index != "elasticintel-listings" || o.Shards != 1 || o.Replicas != ReplicasAuto {
			t.Errorf("%s: %+v, %v", name, o, err)
		}
	}
	got, err := cluster(nil, nil, "")
	if err != nil || got.Engine != "" || got.OpenSearch.AuthMode() != AuthNone {
		t.Errorf("%+v, %v", got, err)
	}
}

// TestCluster_SaysWhatIsWrong: and never with the password that a URL may hold.
func TestCluster_SaysWhatIsWrong(t *testing.T) {
	for args, want := range map[string]string{
		"--engine=opensarch":  `"opensarch" is none of embedded, opensearch: did you mean "opensearch"?`,
		"--engine=opensearch": "--opensearch-url (EI_OPENSEARCH_URL): --engine opensearch needs the URL of a node",
		"--opensearch-url=https://joe:hunter2@h.example:9200":                        "EI_SECRET_OPENSEARCH",
		"--opensearch-url=https://joe:hunter2@h:port":                                "a URL cannot be read",
		"--opensearch-url=ftp://h.example":                                           `"ftp://h.example" is no URL such as https://host:9200`,
		"--opensearch-url=h.example:9200":                                            "is no URL such as",
		"--opensearch-url=https://h.example?x=1":                                     "has a query or a fragment",
		"--opensearch-url=https://h.example http://g.example --opensearch-ca=ca.pem": "--opensearch-ca (EI_OPENSEARCH_CA): the URL of g.example is not https",
		"--opensearch-auth=basik":                                                    `did you mean "basic"?`,
		"--opensearch-auth=basic":                                                    "--opensearch-user (EI_OPENSEARCH_USER): --opensearch-auth basic needs a user",
		"--opensearch-auth=none --opensearch-user=joe":                               "takes no user",
		"--opensearch-auth=sigv4 --opensearch-user=joe":                              "sigv4 takes no user",
		"--opensearch-user=a:b":                                                      "has a colon",
		"--opensearch-index=*":                                                       "--opensearch-index (EI_OPENSEARCH_INDEX)",
		"--opensearch-index=Upper":                                                   "lower-case",
		"--opensearch-index=a,b":                                                     "lower-case",
		"--opensearch-index=_all":                                                    "a letter or digit first",
		"--opensearch-shards=0":                                                      "0 is not between 1 and 1024",
		"--opensearch-replicas=many":                                                 `"many" is neither auto nor a number`,
		"--opensearch-replicas=-1":                                                   `"-1" is neither auto nor a number`,
	} {
		var split []string
		for _, s := range strings.Split(args, " --") {
			split = append(split, "--"+strings.TrimPrefix(s, "--"))
		}
		_, err := cluster(split, nil, "")
		var v *ValueError
		if !errors.As(err, &v) || !v.Given && args != "--engine=opensearch" && args != "--opensearch-auth=basic" || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v, want %s", args, err, want)
		}
	}
	_, err := cluster(nil, nil, `{"opensearch_urls":"https://h"}`)
	if err == nil || !strings.Contains(err.Error(), `did you mean "opensearch_url"?`) {
		t.Errorf("%v", err)
	}
}

func TestURLList_NeverPrintsAPassword(t *testing.T) {
	l := URLList{"https://joe:hunter2@h.example:9200", "https://h.example:9200"}
	js, err := json.Marshal(Config{OpenSearch: OpenSearch{URLs: l}})
	if err != nil {
		t.Fatal(err)
	}
	if all := fmt.Sprint(&l) + string(js); strings.Contains(all, "hunter2") || !strings.Contains(all, "https://h.example:9200") {
		t.Error(all)
	}
}
