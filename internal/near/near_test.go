package near

import "testing"

func TestName(t *testing.T) {
	names := []string{"lookup", "ingest", "feeds", "backup"}
	for in, want := range map[string]string{"lokup": "lookup", "lookpu": "lookup", "ingset": "ingest", "feed": "feeds", "x": "", "kitchen": ""} {
		if got := Name(in, names); got != want {
			t.Errorf("Name(%q) = %q, want %q", in, got, want)
		}
	}
}
