package feedsamples

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"

	"github.com/elasticintel/elasticintel/internal/feed"
)

// Define writes a spec of the table as a user would write the definition of the
// feed whose list is served at url, from a loopback address.
func Define(file, how, url string) (*feed.Definition, error) {
	var s spec
	if err := json.Unmarshal([]byte(how), &s); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	d := map[string]any{
		"id": id(file), "feed_name": file, "provider": strings.SplitN(file, "/", 2)[0], "feed_type": s.Type,
		"feed_url": url, "allow_networks": []string{"127.0.0.0/8"}, "interval": "1h", "field_mapping": s.mapping(),
	}
	for key, value := range map[string]string{"indicator_type": s.Kinds, "records": s.Records, "exclude": s.Exclude} {
		if value != "" {
			d[key] = value
		}
	}
	if s.NoQuotes {
		d["quotes"] = false
	}
	if s.Comments != nil {
		d["comments"] = *s.Comments
	}
	if s.Inline != nil {
		d["inline_comments"] = *s.Inline
	}
	if s.Blanks != nil {
		d["blanks"] = s.Blanks
	}
	if s.Filter != nil {
		d["filter"] = s.Filter
	}
	return decode(file, d)
}

var notID = regexp.MustCompile(`[^a-z0-9]+`)

func id(file string) string {
	sum := sha256.Sum256([]byte(file)) // long names are cut
	s := strings.Trim(notID.ReplaceAllString(strings.ToLower(file), "-"), "-")
	return fmt.Sprintf("%s-%x", s[:min(len(s), 50)], sum[:4])
}

// mapping is field_mapping.
func (s *spec) mapping() map[string]any {
	source, destination := []*string{}, []*string{}
	types := map[string]any{}
	several := 0
	for _, c := range s.Columns {
		if c.Field == "indicator" {
			several++
		}
	}
	for _, c := range s.Columns {
		if several > 1 && c.Field == "indicator" { // then a column's name says what it holds
			c.Field, c.Kinds = c.Kinds, ""
		}
		source, destination = append(source, &c.Source), append(destination, &c.Field)
		if c.Field == "" {
			destination[len(destination)-1] = nil
		}
		ct := map[string]any{}
		for key, value := range map[string]string{"type": c.Type, "split": c.Split, "kind": c.Kinds} {
			if value != "" {
				ct[key] = value
			}
		}
		if len(ct) > 0 {
			types[c.Field] = ct
		}
	}
	return map[string]any{"separator": s.Separator, "source": source, "destination": destination, "has_headers": s.Headers, "types": types, "several": several > 1}
}
