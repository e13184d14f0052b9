// Package config is what can be set from outside: one struct, filled from
// flags, then EI_ variables, then a JSON file, then defaults. It is the only
// place that reads the environment.
package config

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/near"
)

// Config is every setting that outlives one command. The zero value is not
// usable; start from Default.
type Config struct {
	Data     string         // folder that holds everything durable, or s3://BUCKET
	Cache    string         // folder for copies of a bucket's segments; "" = the user's
	Feeds    string         // folder of feed definitions that replaces the built-in catalogue; "" = built in
	Output   string         // table, json, ndjson or csv
	Quiet    bool           // no talk on stderr, errors only
	LogLevel string         // debug, info, warn or error
	Listen   string         // HOST:PORT of the server; no HOST = 127.0.0.1
	Parallel int            // feed runs at a time
	KeepRaw  intel.Duration // how long raw downloads are kept
	KeepHist intel.Duration // how long closed listings are kept; 0 for ever
	Grace    intel.Duration // how long replaced segments stay for readers that still use them
	Offline  bool           // serve only: answer, but pull nothing

	Engine     string // EngineEmbedded or EngineOpenSearch; "" = what the data folder says, else embedded
	OpenSearch OpenSearch

	AlertWebhooks SecretList     // URLs that are told when a feed falls sick or heals
	AlertNetworks NetworkList    // where they may be although it is not public
	AlertAfter    intel.Duration // how long a feed must be in a class of health before that is told

	Enrich          string   // serve only: EnrichOn asks registries about what feeds list, EnrichOff asks nobody
	EnrichBudget    int      // questions to registries in a turn
	EnrichEndpoints string   // JSON file with who is asked in place of the registries; "" = themselves
	EnrichReverse   bool     // ask reverse DNS for the names of addresses
	EnrichLookups   WordList // names of the look-ups that are asked about addresses

	Secrets map[string]Secret // feed secrets from EI_SECRET_<NAME>, by NAME as written there
}

// Default returns the settings of a fresh machine.
func Default() Config {
	return Config{
		Data: "ei-data", Output: "table", LogLevel: "error", Listen: "127.0.0.1:7331", Parallel: 4,
		KeepRaw: intel.Duration(90 * 24 * time.Hour), Grace: intel.Duration(15 * time.Minute),
		AlertAfter: intel.Duration(10 * time.Minute),
		Enrich:     EnrichOn, EnrichBudget: 100,
		OpenSearch: OpenSearch{Index: "elasticintel-listings", Shards: 1, Replicas: ReplicasAuto},
	}
}

// Whether a server asks registries.
const (
	EnrichOn  = "on"
	EnrichOff = "off"
)

// EnrichFlags are the settings by which registries are asked.
func EnrichFlags() []string { return []string{"enrich-endpoints", "enrich-reverse", "enrich-lookup"} }

// Secret is text that never prints: every way of formatting it gives "[redacted]".
type Secret string

const redacted = "[redacted]"

// String implements fmt.Stringer.
func (Secret) String() string { return redacted }

// GoString implements fmt.GoStringer.
func (Secret) GoString() string { return redacted }

// MarshalText keeps the secret out of JSON and logs.
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// Reveal returns the text itself, for the one place that sends it.
func (s Secret) Reveal() string { return string(s) }

// setting is one line of the table that flags, variables and file keys are made from.
type setting struct {
	name, short, usage string
	field              any // pointer into a Config
}

func (c *Config) settings() []setting {
	return append([]setting{
		{"data", "", "folder that holds everything durable, or s3://BUCKET for what works on one", &c.Data},
		{"feeds", "", "folder of feed definitions (*.json) that replaces the built-in catalogue", &c.Feeds},
		{"cache", "", "folder for copies of segments where --data is a bucket; default the user's folder for such things", &c.Cache},
		{"output", "o", "output format: table, json, ndjson or csv", &c.Output},
		{"quiet", "q", "print data and errors only", &c.Quiet},
		{"log-level", "", "how much to log on stderr: debug, info, warn or error", &c.LogLevel},
		{"listen", "", "address to serve on; without a host it is 127.0.0.1, port 0 picks a free one", &c.Listen},
		{"parallel", "", "feed runs at a time", &c.Parallel},
		{"keep-raw", "", "how long raw downloads are kept, such as 90d; 0 keeps them for ever", &c.KeepRaw},
		{"keep-history", "", "how long listings that ended are kept after their last change, such as 730d; 0 keeps them for ever", &c.KeepHist},
		{"grace", "", "how long replaced segments stay for readers that still use them", &c.Grace},
		{"alert-webhook", "", "URL that is told when a feed falls sick or heals; may be repeated. It is a secret: better in the variable or the file than here", &c.AlertWebhooks},
		{"alert-allow-network", "", "network in which webhooks may be although it is not public, such as 10.0.0.0/8; may be repeated", &c.AlertNetworks},
		{"alert-after", "", "how long a feed must be in a new class of health before that is told; 0 tells at once", &c.AlertAfter},
		{"enrich", "", "ask registries about the networks and domains that feeds list: on, or off to ask nobody", &c.Enrich},
		{"enrich-budget", "", "how many questions are put to registries in a turn, of which there is one every three minutes", &c.EnrichBudget},
		{"enrich-endpoints", "", "JSON file with who is asked in place of the registries, for mirrors, proxies and tests", &c.EnrichEndpoints},
		{"enrich-reverse", "", "ask reverse DNS for the names of addresses", &c.EnrichReverse},
		{"enrich-lookup", "", "service that is asked about addresses: internetdb, greynoise or abuseipdb; may be repeated", &c.EnrichLookups},
		{"offline", "", "answer from the data folder and pull no feed", &c.Offline},
	}, c.engineSettings()...)
}

// Bind defines a flag for each named setting; its default is the field's present value.
func (c *Config) Bind(fs *pflag.FlagSet, names ...string) {
	for _, s := range c.settings() {
		if !slices.Contains(names, s.name) {
			continue
		}
		switch p := s.field.(type) {
		case *string:
			fs.StringVarP(p, s.name, s.short, *p, s.usage)
		case *bool:
			fs.BoolVarP(p, s.name, s.short, *p, s.usage)
		case *int:
			fs.IntVarP(p, s.name, s.short, *p, s.usage)
		case *intel.Duration:
			fs.VarP((*durationFlag)(p), s.name, s.short, s.usage)
		case pflag.Value:
			fs.VarP(p, s.name, s.short, s.usage)
		}
	}
}

type durationFlag intel.Duration

func (d *durationFlag) String() string { return intel.Duration(*d).String() }
func (d *durationFlag) Type() string   { return "duration" }
func (d *durationFlag) Set(s string) error {
	if s == "0" {
		s = "0s"
	}
	var v intel.Duration
	if err := v.UnmarshalText([]byte(s)); err != nil {
		return err
	}
	if v < 0 {
		return fmt.Errorf("%s is negative", s)
	}
	*d = durationFlag(v)
	return nil
}

// Var returns the environment variable that stands for a flag: "log-level" → "EI_LOG_LEVEL".
func Var(flag string) string {
	return "EI_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// Fill gives every flag of fs that the command line left alone its value from
// the environment (lines NAME=VALUE), else from file, the content of the JSON
// file called name (nil = none). It also collects c.Secrets. Errors name the
// variable or the file and key.
func (c *Config) Fill(fs *pflag.FlagSet, environ []string, name string, file []byte) error {
	given := map[string]bool{}
	fs.Visit(func(f *pflag.Flag) { given[f.Name] = true })
	env := c.readEnv(environ)
	keys, err := c.decodeFile(name, file)
	if err != nil {
		return err
	}
	fs.VisitAll(func(f *pflag.Flag) {
		if err != nil || given[f.Name] || f.Name == "help" || f.Name == "version" {
			return
		}
		if v, ok := env[Var(f.Name)]; ok && v != "" {
			if e := fs.Set(f.Name, v); e != nil {
				err = fmt.Errorf("environment variable %s=%q: %w", Var(f.Name), v, e)
			}
		} else if v, ok := keys[f.Name]; ok {
			if e := fs.Set(f.Name, v); e != nil {
				err = fmt.Errorf("%s: key %q: %w", name, f.Name, e)
			}
		}
	})
	if err != nil {
		return err
	}
	if bad := c.check(); bad != nil {
		bad.Given = given[bad.Flag]
		return bad
	}
	return nil
}

func (c *Config) readEnv(environ []string) map[string]string {
	env := make(map[string]string, len(environ))
	c.Secrets = map[string]Secret{}
	for _, line := range environ {
		k, v, ok := strings.Cut(line, "=")
		if !ok || !strings.HasPrefix(k, "EI_") {
			continue
		}
		if n, ok := strings.CutPrefix(k, "EI_SECRET_"); ok {
			if n != "" && v != "" {
				c.Secrets[n] = Secret(v)
			}
			continue
		}
		env[k] = v
	}
	return env
}

// decodeFile reads a JSON object of settings, strictly. Keys may be written
// with "_" or "-".
func (c *Config) decodeFile(name string, file []byte) (map[string]string, error) {
	if file == nil {
		return nil, nil
	}
	var raw map[string]json.RawMessage
	if err := json.Unmarshal(file, &raw); err != nil {
		return nil, fmt.Errorf("%s: not a JSON object of settings: %w", name, err)
	}
	out := make(map[string]string, len(raw))
	for key, v := range raw {
		flag := strings.ReplaceAll(key, "_", "-")
		if c.field(flag) == nil {
			return nil, fmt.Errorf("%s: unknown key %q%s", name, key, c.hint(flag))
		}
		var s any
		if err := json.Unmarshal(v, &s); err != nil {
			return nil, fmt.Errorf("%s: key %q: %w", name, key, err)
		}
		list, isList := s.([]any)
		if _, several := c.field(flag).(pflag.Value); several && isList {
			if out[flag], isList = words(list); isList {
				continue
			}
			return nil, fmt.Errorf("%s: key %q: want a list of texts", name, key)
		}
		switch s.(type) {
		case string, bool, float64:
			out[flag] = strings.Trim(string(v), `"`)
			if t, ok := s.(string); ok {
				out[flag] = t
			}
		default:
			return nil, fmt.Errorf("%s: key %q: want a string, a number or true/false, have %s", name, key, v)
		}
	}
	return out, nil
}

// field is a pointer to the field of a setting, nil where there is no such setting.
func (c *Config) field(name string) any {
	for _, s := range c.settings() {
		if s.name == name {
			return s.field
		}
	}
	return nil
}

func (c *Config) hint(key string) string {
	var names []string
	for _, s := range c.settings() {
		names = append(names, strings.ReplaceAll(s.name, "-", "_"))
	}
	if n := near.Name(strings.ReplaceAll(key, "-", "_"), names); n != "" {
		return fmt.Sprintf(": did you mean %q?", n)
	}
	return " (known: " + strings.Join(names, " ") + ")"
}

// check refuses values that no command could use.
func (c *Config) check() *ValueError {
	for _, f := range []struct {
		flag, value string
		allowed     []string
	}{
		{"output", c.Output, []string{"table", "json", "ndjson", "csv"}},
		{"log-level", c.LogLevel, []string{"debug", "info", "warn", "error"}},
		{"enrich", c.Enrich, []string{EnrichOn, EnrichOff}},
	} {
		if e := oneOf(f.flag, f.value, f.allowed...); e != nil {
			return e
		}
	}
	if c.Data == "" {
		return &ValueError{Flag: "data", Reason: "the data folder's name is empty"}
	}
	if c.Parallel < 1 || c.Parallel > 64 {
		return &ValueError{Flag: "parallel", Reason: fmt.Sprintf("%d is not between 1 and 64", c.Parallel)}
	}
	if c.EnrichBudget < 1 || c.EnrichBudget > 100_000 {
		return &ValueError{Flag: "enrich-budget", Reason: fmt.Sprintf("%d is not between 1 and 100000", c.EnrichBudget)}
	}
	return c.checkEngine()
}

// oneOf refuses a value that is not allowed, naming the nearest that is. "" is
// allowed where it is among them, and not named.
func oneOf(flag, value string, allowed ...string) *ValueError {
	if slices.Contains(allowed, value) {
		return nil
	}
	names := slices.DeleteFunc(slices.Clone(allowed), func(s string) bool { return s == "" })
	hint := ""
	if n := near.Name(value, names); n != "" {
		hint = fmt.Sprintf(": did you mean %q?", n)
	}
	return &ValueError{Flag: flag, Reason: fmt.Sprintf("%q is none of %s%s", value, strings.Join(names, ", "), hint)}
}

// ValueError says that a setting has a value which it cannot have.
type ValueError struct {
	Flag, Reason string
	Given        bool // on the command line, not by a variable or the file
}

// Error implements error.
func (e *ValueError) Error() string {
	return fmt.Sprintf("--%s (%s): %s", e.Flag, Var(e.Flag), e.Reason)
}
