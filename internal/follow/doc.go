// Package follow lets the index of a cluster follow the object store: runs of
// feeds go to a corpus, and what changed there goes on to the index. The corpus
// stays the truth; the index answers.
package follow
