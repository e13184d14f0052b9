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

func alerts(args, environ []string, file string) (Config, error) {
	c := Default()
	fs := pflag.NewFlagSet("test", pflag.ContinueOnError)
	c.Bind(fs, "alert-webhook", "alert-allow-network", "alert-after")
	if err := fs.Parse(args); err != nil {
		return c, err
	}
	var data []byte
	if file != "" {
		data = []byte(file)
	}
	return c, c.Fill(fs, environ, "ei.json", data)
}

// Webhooks and networks are lists: of flags, of words in a variable, of texts in
// the file. The URLs are secrets.
func TestLists(t *testing.T) {
	const a, b = "https://a.example/hunter2", "https://b.example/hunter2"
	for name, fill := range map[string]func() (Config, error){
		"flags": func() (Config, error) {
			return alerts([]string{"--alert-webhook", a, "--alert-webhook=" + b, "--alert-allow-network", "10.0.0.0/8", "--alert-allow-network", "::1", "--alert-after", "0"}, []string{"EI_ALERT_WEBHOOK=https://other.example"}, "")
		},
		"variables": func() (Config, error) {
			return alerts(nil, []string{"EI_ALERT_WEBHOOK= " + a + "\n" + b, "EI_ALERT_ALLOW_NETWORK=10.0.0.0/8 ::1", "EI_ALERT_AFTER=0"}, `{"alert_webhook":"https://other.example"}`)
		},
		"file": func() (Config, error) {
			return alerts(nil, nil, `{"alert_webhook":["`+a+`","`+b+`"],"alert_allow_network":"10.0.0.0/8 ::1","alert_after":"0"}`)
		},
	} {
		c, err := fill()
		if err != nil || len(c.AlertWebhooks) != 2 || c.AlertWebhooks[0].Reveal() != a || c.AlertWebhooks[1].Reveal() != b || c.AlertNetworks.String() != "10.0.0.0/8 ::1/128" || c.AlertAfter != 0 {
			t.Errorf("%s: %v %s after %s, %v", name, len(c.AlertWebhooks), &c.AlertNetworks, c.AlertAfter, err)
		}
		if text := fmt.Sprintf("%v %+v %s %#v", c, c, &c.AlertWebhooks, c.AlertWebhooks); strings.Contains(text, "hunter2") {
			t.Errorf("%s: the configuration prints a secret: %s", name, text)
		}
	}
	c, err := alerts(nil, nil, "")
	if err != nil || len(c.AlertWebhooks) != 0 || c.AlertAfter.String() != "10m" {
		t.Errorf("default: %+v, %v", c, err)
	}
	for file, want := range map[string]string{
		`{"alert_webhook":[1]}`:                 `key "alert_webhook": want a list of texts`,
		`{"alert_allow_network":"10.0.0.1/8"}`:  "10.0.0.1/8 has host bits; the network is 10.0.0.0/8",
		`{"alert_allow_network":["ten"]}`:       `"ten" is no network`,
		`{"alert_after":["10m"]}`:               `key "alert_after": want a string`,
		`{"alert_webhok":"https://a.example/"}`: `did you mean "alert_webhook"?`,
	} {
		if _, err := alerts(nil, nil, file); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", file, err, want)
		}
	}
}
