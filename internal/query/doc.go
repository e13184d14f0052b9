// Package query is the query language: text to a typed tree, and what every
// node of it means. It knows no storage; engines walk the tree.
//
//   - Parse reads the text (docs/query.md is the user's guide) and gives a Node,
//     or an *Error that points at a column and says what was expected there.
//   - Normal brings a tree into the form that engines evaluate.
//   - Tokens and Tokenizer cut text into the words that both engines index.
//   - Doc says which texts, numbers and times of a listing each field searches,
//     and Match evaluates a tree over one listing: slow, and by definition right.
package query
