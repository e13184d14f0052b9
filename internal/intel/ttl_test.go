package intel

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"
)

// What is stored of a feed without times by kind is what it was before there
// were such; with them it reads back the same.
func TestFeedInfoTTL(t *testing.T) {
	day := Duration(24 * time.Hour)
	info := FeedInfo{ID: "f", Name: "F", Presence: Rolling, TTL: 30 * day}
	for _, x := range []struct {
		kinds map[Kind]Duration
		want  string
	}{
		{nil, `{"id":"f","name":"F","presence":"rolling","ttl":"30d","confidence":0}`},
		{map[Kind]Duration{URL: 0, IPv4: 7 * day}, `{"id":"f","name":"F","presence":"rolling","ttl":"30d","ttl_by_kind":{"ipv4":"7d","url":"0s"},"confidence":0}`},
	} {
		info.KindTTL = x.kinds
		b, err := json.Marshal(&info)
		if err != nil || string(b) != x.want {
			t.Errorf("%s %v, want %s", b, err, x.want)
		}
		var again FeedInfo
		if err := json.Unmarshal([]byte(x.want), &again); err != nil || !reflect.DeepEqual(again, info) {
			t.Errorf("%s is read as %+v, %v", x.want, again, err)
		}
	}
	for _, x := range []struct {
		p    Presence
		k    Kind
		want Duration
	}{{Rolling, IPv4, 7 * day}, {Append, IPv4, 7 * day}, {Append, URL, 0}, {Rolling, Domain, 30 * day}, {Snapshot, IPv4, 0}, {Snapshot, Domain, 0}} {
		info.Presence = x.p
		if got := info.TTLOf(x.k); got != x.want {
			t.Errorf("%s %s: %v, want %v", x.p, x.k, got, x.want)
		}
	}
}
