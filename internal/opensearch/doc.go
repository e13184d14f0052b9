// Package opensearch speaks with an OpenSearch cluster: 2.19 and newer, or what
// AWS runs of it. A Client makes requests, knows which nodes answer, and fails
// fast while the cluster cannot; a Bulk writes documents and trusts no answer
// that does not say of every document, and every copy of it, that it is there.
// Documents are listings (ListingOp) in an index of our template (Template).
//
// Everything in a cluster can be made anew from the object store, so nothing
// here holds state (docs/decisions/010).
package opensearch
