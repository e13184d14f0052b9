package config

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

// fill parses args, then the environment, then the file, as a command does.
func fill(args, environ []string, file string) (Config, error) {
	c := Default()
	fs := pflag.NewFlagSet("test", pflag.ContinueOnError)
	c.Bind(fs, "data", "output", "quiet", "log-level", "listen", "parallel")
	if err := fs.Parse(args); err != nil {
		return c, err
	}
	var data []byte
	if file != "" {
		data = []byte(file)
	}
	err := c.Fill(fs, environ, "ei.json", data)
	return c, err
}

func TestFill_FlagWinsOverVariableOverFileOverDefault(t *testing.T) {
	for _, tc := range []struct {
		name, file, want string
		args, environ    []string
	}{
		{name: "default", want: "ei-data"},
		{name: "file", file: `{"data":"from-file"}`, want: "from-file"},
		{name: "variable", file: `{"data":"from-file"}`, environ: []string{"EI_DATA=from-env"}, want: "from-env"},
		{name: "flag", file: `{"data":"from-file"}`, environ: []string{"EI_DATA=from-env"}, args: []string{"--data", "from-flag"}, want: "from-flag"},
		{name: "empty variable is none", file: `{"data":"from-file"}`, environ: []string{"EI_DATA="}, want: "from-file"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c, err := fill(tc.args, tc.environ, tc.file)
			if err != nil || c.Data != tc.want {
				t.Errorf("data = %q, %v; want %q", c.Data, err, tc.want)
			}
		})
	}
}

func TestFill_ReadsEveryTypeAndBothSpellings(t *testing.T) {
	c, err := fill(nil, nil, `{"log_level":"debug","quiet":true,"parallel":7,"listen":":0","keep_raw":"30d","output":"json"}`)
	if err != nil || c.LogLevel != "debug" || !c.Quiet || c.Parallel != 7 || c.Listen != ":0" || c.Output != "json" {
		t.Errorf("config %+v, %v", c, err)
	}
	if c, err = fill(nil, nil, `{"log-level":"error"}`); err != nil || c.LogLevel != "error" {
		t.Errorf("log-level %q, %v", c.LogLevel, err)
	}
}

func TestFill_SaysWhatIsWrong(t *testing.T) {
	for _, tc := range []struct {
		name, file, want string
		environ          []string
	}{
		{name: "unknown key", file: `{"lisen":"x"}`, want: `ei.json: unknown key "lisen": did you mean "listen"?`},
		{name: "unknown key far off", file: `{"zzzzzz":1}`, want: "known: data feeds"},
		{name: "not JSON", file: `{"data":`, want: "ei.json: not a JSON object"},
		{name: "an array", file: `[]`, want: "ei.json: not a JSON object"},
		{name: "a list for a string", file: `{"data":["a"]}`, want: `key "data": want a string`},
		{name: "text for a number", file: `{"parallel":"many"}`, want: `ei.json: key "parallel"`},
		{name: "variable", environ: []string{"EI_PARALLEL=many"}, want: `EI_PARALLEL="many"`},
		{name: "out of range", environ: []string{"EI_PARALLEL=0"}, want: "--parallel (EI_PARALLEL): 0 is not between"},
		{name: "format", environ: []string{"EI_OUTPUT=jsn"}, want: `"jsn" is none of table, json, ndjson, csv: did you mean "json"?`},
		{name: "level", file: `{"log_level":"loud"}`, want: "--log-level (EI_LOG_LEVEL)"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := fill(nil, tc.environ, tc.file)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %v, want one with %q", err, tc.want)
			}
		})
	}
}

func TestSecret_NeverPrints(t *testing.T) {
	c, err := fill(nil, []string{"EI_SECRET_ABUSE_CH=hunter2", "EI_SECRET_=x", "EI_SECRET_EMPTY="}, "")
	if err != nil || len(c.Secrets) != 1 || c.Secrets["ABUSE_CH"].Reveal() != "hunter2" {
		t.Fatalf("secrets %v, %v", c.Secrets, err)
	}
	js, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	all := string(js) + fmt.Sprintf("%v %+v %#v %s %q %x", c, c, c, c.Secrets["ABUSE_CH"], c.Secrets["ABUSE_CH"], c.Secrets["ABUSE_CH"])
	if strings.Contains(all, "hunter2") || strings.Contains(all, "68756e746572") {
		t.Errorf("a secret stands in %s", all)
	}
}
