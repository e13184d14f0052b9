package config

import (
	"fmt"
	"net/url"
	"regexp"
	"strconv"
	"strings"
)

// Engines that find listings.
const (
	EngineEmbedded   = "embedded"
	EngineOpenSearch = "opensearch"
)

// Ways to say who asks a cluster.
const (
	AuthNone  = "none"
	AuthBasic = "basic"
	AuthSigV4 = "sigv4" // requests signed for Amazon OpenSearch Service
)

// ReplicasAuto lets the cluster have one copy more where it has a second node.
const ReplicasAuto = "auto"

// OpenSearch says which cluster holds the index, and how. The password is no
// setting but a secret.
type OpenSearch struct {
	URLs     URLList // of nodes of one cluster; a request goes to any of them
	Auth     string  // AuthBasic, AuthSigV4 or AuthNone; "" = basic where User is given, else none
	User     string
	CA       string // file of authorities to trust instead of the system's, PEM; "" = the system's
	Index    string // the alias that is asked; indices' names begin with it
	Shards   int    // of an index that is made
	Replicas string // of an index that is made: a number, or ReplicasAuto
}

// AuthMode is Auth with its default filled in.
func (o *OpenSearch) AuthMode() string {
	switch {
	case o.Auth != "":
		return o.Auth
	case o.User != "":
		return AuthBasic
	}
	return AuthNone
}

// EngineFlags are the settings that say which engine is asked.
func EngineFlags() []string {
	return []string{"engine", "opensearch-url", "opensearch-auth", "opensearch-user", "opensearch-ca", "opensearch-index", "opensearch-shards", "opensearch-replicas"}
}

func (c *Config) engineSettings() []setting {
	o := &c.OpenSearch
	return []setting{
		{"engine", "", "what finds listings: embedded (the data folder by itself) or opensearch (a cluster)", &c.Engine},
		{"opensearch-url", "", "URLs of nodes of the cluster, such as https://host:9200; several with commas between", &o.URLs},
		{"opensearch-auth", "", "how the cluster is told who asks: basic, sigv4 (AWS: credentials as the aws command finds them) or none (default basic with a user, else none)", &o.Auth},
		{"opensearch-user", "", "user of the cluster; the password is the secret opensearch (EI_SECRET_OPENSEARCH)", &o.User},
		{"opensearch-ca", "", "file of the authorities (PEM) to trust instead of the system's", &o.CA},
		{"opensearch-index", "", "alias of the index; the indices' names begin with it", &o.Index},
		{"opensearch-shards", "", "shards of an index that is made", &o.Shards},
		{"opensearch-replicas", "", "copies of an index that is made, besides the first: a number, or auto (one where there is a second node)", &o.Replicas},
	}
}

// URLList is several URLs, given as SecretList is, or with commas between. It
// takes everything, since its errors would be printed with the text, in which
// somebody may have put a password; Fill checks them.
type URLList []string

// String lists the URLs, without users and passwords.
func (l *URLList) String() string {
	if l == nil {
		return ""
	}
	var out []string
	for _, s := range *l {
		u, err := url.Parse(s)
		if err != nil || u.User != nil {
			s = redacted
		}
		out = append(out, s)
	}
	return strings.Join(out, ",")
}

// MarshalText keeps passwords out of JSON and logs.
func (l URLList) MarshalText() ([]byte, error) { return []byte(l.String()), nil }

// Set adds URLs.
func (l *URLList) Set(s string) error {
	*l = append(*l, strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == ' ' || r == '\n' || r == '\t' || r == '\r' })...)
	return nil
}

// Type is what the help calls the value.
func (l *URLList) Type() string { return "URL" }

// indexName leaves out what a request could take for several names.
var indexName = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,199}$`)

// checkEngine refuses what no cluster could be asked with.
func (c *Config) checkEngine() *ValueError {
	o := &c.OpenSearch
	bad := func(flag, format string, a ...any) *ValueError {
		return &ValueError{Flag: flag, Reason: fmt.Sprintf(format, a...)}
	}
	if e := oneOf("engine", c.Engine, "", EngineEmbedded, EngineOpenSearch); e != nil {
		return e
	}
	if e := oneOf("opensearch-auth", o.Auth, "", AuthBasic, AuthSigV4, AuthNone); e != nil {
		return e
	}
	if e := checkURLs(o.URLs, o.CA != ""); e != nil {
		return e
	}
	replicas, err := strconv.Atoi(o.Replicas)
	switch mode := o.AuthMode(); {
	case c.Engine == EngineOpenSearch && len(o.URLs) == 0:
		return bad("opensearch-url", "--engine opensearch needs the URL of a node, such as https://host:9200")
	case mode == AuthBasic && o.User == "":
		return bad("opensearch-user", "--opensearch-auth basic needs a user")
	case mode != AuthBasic && o.User != "":
		return bad("opensearch-user", "--opensearch-auth %s takes no user", mode)
	case strings.Contains(o.User, ":"):
		return bad("opensearch-user", "%q has a colon in it, which Basic authentication cannot send", o.User)
	case !indexName.MatchString(o.Index):
		return bad("opensearch-index", "%.100q: expected lower-case letters, digits, - . and _, a letter or digit first, at most 200", o.Index)
	case o.Shards < 1 || o.Shards > 1024:
		return bad("opensearch-shards", "%d is not between 1 and 1024", o.Shards)
	case o.Replicas != ReplicasAuto && (err != nil || replicas < 0 || replicas > 100):
		return bad("opensearch-replicas", "%.50q is neither auto nor a number from 0 to 100", o.Replicas)
	}
	return nil
}

// checkURLs never shows a URL that may hold a password.
func checkURLs(urls []string, withCA bool) *ValueError {
	const flag = "opensearch-url"
	for _, s := range urls {
		u, err := url.Parse(s)
		switch {
		case err != nil:
			return &ValueError{Flag: flag, Reason: "a URL cannot be read; expected https://host:9200"}
		case u.User != nil:
			return &ValueError{Flag: flag, Reason: fmt.Sprintf("the URL of %s has a user in it, which others could read; give --opensearch-user NAME, and the password as EI_SECRET_OPENSEARCH or in the data folder's secrets/opensearch", u.Host)}
		case u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
			return &ValueError{Flag: flag, Reason: fmt.Sprintf("%.100q is no URL such as https://host:9200", s)}
		case u.RawQuery != "" || u.Fragment != "":
			return &ValueError{Flag: flag, Reason: fmt.Sprintf("the URL of %s has a query or a fragment; expected https://host:9200", u.Host)}
		case withCA && u.Scheme != "https":
			return &ValueError{Flag: "opensearch-ca", Reason: fmt.Sprintf("the URL of %s is not https, so no authority is asked for", u.Host)}
		}
	}
	return nil
}
