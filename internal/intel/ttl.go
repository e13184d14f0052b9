package intel

// TTLOf is how long a listing of this kind stays listed after it was last there;
// 0 where time does not matter and the presence model alone decides: a snapshot
// has no time to live.
func (i *FeedInfo) TTLOf(k Kind) Duration {
	if i.Presence == Snapshot {
		return 0
	}
	if len(i.KindTTL) > 0 {
		if d, own := i.KindTTL[k]; own {
			return d
		}
	}
	return i.TTL
}
