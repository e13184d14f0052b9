// Package archtest enforces the shape of the source: who may import whom (the
// map in doc.go), and the few habits that keep the parts apart. Its test reads
// every Go file of the module. Change a rule in this file, with a reason.
package archtest

// allowed is which packages of ours a package may import, outside its tests.
// Folders are relative to the module; "." is the root package. A package that is
// not here may not exist: add a line for it, as low in the layers as it goes.
var allowed = map[string][]string{
	".": {},

	// The domain and what knows nothing of ours but it.
	"internal/intel": {},
	"internal/near":  {},
	"internal/terms": {},
	"internal/query": {"internal/intel", "internal/near"},
	"internal/parse": {"internal/intel"},
	"internal/score": {"internal/intel"},
	"internal/fetch": {"internal/intel"},
	"internal/blob":  {},
	"internal/feed":  {"internal/intel", "internal/parse"},
	"internal/auth":  {"internal/intel", "internal/blob"},

	// Pulls of more than one request.
	"internal/source": {"internal/intel", "internal/feed", "internal/fetch", "internal/parse"},

	// Engines never import each other, nor who asks them.
	"internal/corpus":                {"internal/intel", "internal/blob", "internal/query", "internal/terms"},
	"internal/opensearch":            {"internal/intel", "internal/blob", "internal/query"},
	"internal/opensearch/dashboards": {"internal/opensearch"},

	// What the product does.
	"internal/lookup":            {"internal/intel", "internal/score", "internal/query"},
	"internal/lookup/lookuptest": {"internal/intel", "internal/lookup", "internal/query"},
	"internal/ingest":            {"internal/intel", "internal/blob", "internal/corpus", "internal/enrich/table", "internal/feed", "internal/fetch", "internal/parse", "internal/source"},
	"internal/schedule":          {"internal/intel", "internal/feed"},
	"internal/enrich":            {"internal/intel"},
	"internal/enrich/ranges":     {},
	"internal/enrich/table":      {"internal/intel", "internal/enrich/ranges"},
	"internal/enrich/facts":      {"internal/intel", "internal/blob", "internal/enrich", "internal/enrich/ranges", "internal/enrich/table", "internal/query"},
	"internal/enrich/work":       {"internal/intel", "internal/enrich", "internal/enrich/facts", "internal/lookup"},
	"internal/enrich/registry":   {"internal/intel", "internal/blob", "internal/enrich", "internal/fetch"},
	"internal/export":            {"internal/intel", "internal/lookup", "internal/query"},
	"internal/notify":            {"internal/intel", "internal/fetch"},

	// Faces.
	"internal/api":      {"internal/intel", "internal/auth", "internal/export", "internal/feed", "internal/lookup", "internal/query"},
	"internal/web":      {"internal/intel", "internal/auth", "internal/feed", "internal/lookup", "internal/query"},
	"internal/slackbot": {"internal/intel", "internal/auth", "internal/feed", "internal/lookup", "internal/notify", "internal/query"},

	// Wiring: app knows the parts but no adapter; local and aws are the adapters.
	"internal/config": {"internal/intel", "internal/near"},
	"internal/app": {"internal/intel", "internal/api", "internal/auth", "internal/blob", "internal/corpus", "internal/enrich", "internal/enrich/facts", "internal/enrich/work", "internal/export", "internal/feed",
		"internal/fetch", "internal/ingest", "internal/lookup", "internal/notify", "internal/parse", "internal/query", "internal/schedule", "internal/score",
		"internal/slackbot", "internal/web"},
	"internal/local": {".", "internal/intel", "internal/app", "internal/auth", "internal/blob", "internal/config", "internal/corpus", "internal/enrich/facts", "internal/feed",
		"internal/fetch", "internal/ingest", "internal/lookup"},
	// What lets an engine follow the other.
	"internal/follow": {"internal/intel", "internal/app", "internal/corpus", "internal/lookup", "internal/opensearch", "internal/query"},
	"internal/aws": {".", "internal/intel", "internal/app", "internal/auth", "internal/blob", "internal/config", "internal/corpus", "internal/feed",
		"internal/fetch", "internal/follow", "internal/ingest", "internal/lookup", "internal/opensearch"},
	"internal/awslambda": {"internal/intel", "internal/api", "internal/blob", "internal/feed", "internal/ingest", "internal/lookup"},
	"internal/deploy":    {"internal/config"},
	"internal/cli": {".", "internal/intel", "internal/app", "internal/auth", "internal/aws", "internal/blob", "internal/config", "internal/corpus",
		"internal/deploy", "internal/enrich", "internal/enrich/facts", "internal/enrich/registry", "internal/enrich/work", "internal/export", "internal/feed", "internal/fetch", "internal/follow", "internal/ingest", "internal/local", "internal/lookup",
		"internal/near", "internal/notify", "internal/opensearch", "internal/opensearch/dashboards", "internal/parse", "internal/query", "internal/score", "internal/source"},
	"cmd/elasticintel": {"internal/cli"},
	"cmd/lambda": {".", "internal/app", "internal/auth", "internal/aws", "internal/awslambda", "internal/blob", "internal/config", "internal/corpus", "internal/enrich/facts", "internal/feed",
		"internal/fetch", "internal/follow", "internal/ingest", "internal/intel", "internal/local", "internal/notify", "internal/opensearch"},
}

// testFolder is the folder of what only tests use. It may import anything, and is
// imported by tests only.
const testFolder = "internal/testing"

// only is which packages may import something from outside, by the beginning of
// its path. A path that is not here everybody may import.
var only = []struct {
	path string
	by   []string
	why  string
}{
	{"github.com/aws/", []string{"internal/aws", "internal/deploy", "cmd/lambda"}, "everything else must start and run without AWS; declare an interface and let internal/aws implement it"},
	{"github.com/spf13/", []string{"internal/cli", "internal/config", "cmd/lambda"}, "flags and commands are internal/cli's business; pass plain values down"},
	{"os/exec", []string{"internal/deploy"}, "nothing a feed says may come near a command line"},
	{"plugin", nil, "the program is one static binary"},
	{"text/template", nil, "templates run code; build text with fmt, or HTML with html/template"},
	{"log", nil, "take a *slog.Logger"},
}

// uses are names of the standard library that only some packages may use
// outside their tests; calls are those that may be passed on but not called.
var uses = []struct {
	pkg   string
	names []string
	by    []string
	why   string
}{
	{"net/http", []string{"Get", "Head", "Post", "PostForm", "DefaultClient", "DefaultTransport", "Client", "Transport"},
		[]string{"internal/fetch", "internal/opensearch", "internal/aws", "internal/awslambda"}, // the last: Lambda's Runtime API, which is on loopback
		"outgoing requests go through internal/fetch, whose dialer refuses addresses that feeds must not reach"},
	{"net", []string{"Dial", "DialTimeout", "DialTCP", "DialUDP", "DialIP", "DialUnix", "Dialer"},
		[]string{"internal/fetch"},
		"outgoing connections go through internal/fetch, whose dialer refuses addresses that feeds must not reach"},
	// app and schedule end by Stop, not with who started them; a View of corpus is in memory.
	{"context", []string{"Background", "TODO"},
		[]string{"cmd/elasticintel", "cmd/lambda", "internal/cli", "internal/app", "internal/schedule", "internal/corpus"},
		"take a context as the first parameter; context.WithoutCancel keeps work going after its caller"},
	{"os", []string{"Exit"}, []string{"cmd/elasticintel", "cmd/lambda", "internal/cli"}, "return an error; only main ends the process"},
	{"fmt", []string{"Print", "Printf", "Println"}, []string{"cmd/elasticintel"}, "write to an io.Writer that the caller passes"},
}

var calls = []struct {
	pkg, name string
	by        []string
	why       string
}{
	// api sets deadlines of connections by it, corpus compares with times of files.
	{"time", "Now", []string{"cmd/elasticintel", "cmd/lambda", "internal/cli", "internal/app", "internal/local", "internal/api", "internal/corpus"},
		"take the time, or a func() time.Time, as a parameter"},
}

// shared are types of package-level variables that are state in themselves,
// however often they are assigned.
var shared = map[string]bool{"sync": true, "sync/atomic": true}
