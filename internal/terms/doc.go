// Package terms is an ordered dictionary of byte strings, each with the numbers
// of the documents that have it: the text index of a segment.
//
// A Builder collects the keys of documents 0, 1, 2 … and writes two blobs: post,
// the lists of documents that are longer than one, and fst, the dictionary. An
// Index reads them in place, from memory that may be a mapped file and damaged:
// what it cannot trust becomes an error. Merge makes one index of several.
//
// fst is a header and a transducer as github.com/blevesearch/vellum writes it,
// which maps every key to a number:
//
//	u32 format (1)   u32 documents   u64 keys   transducer
//
// The number is document<<1|1 where one document has the key, else the place of
// its list in post, shifted left by one. A list begins with a uvarint n. Up to 64
// it is the number of documents, which follow as uvarints, each the difference
// to the one before; above, n-64 bytes follow, a roaring bitmap in its portable
// format.
package terms
