// Package facts keeps what is known of networks and domains besides what feeds say of
// them, and answers from it at once. What registries said lies in the object store, in
// immutable batches that one head names; tables of offline data come with the runs of
// their feeds. A Snapshot puts both together; it asks nobody.
//
// Registries answer for ranges, so an answer about one address serves all addresses of
// its network, and one about a domain all names below it. Where ranges overlap the
// narrowest counts; where sources differ, field by field, the first of rdap, whois,
// cymru, tables.
package facts
