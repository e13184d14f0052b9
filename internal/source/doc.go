// Package source pulls feeds that take more than one request: pages, what is new
// since the last pull, lists whose items are fetched one by one, and TAXII 2.1
// servers. What feed definitions say of it (pages, since, items, taxii) is all
// that it knows of a provider.
//
// The answers of a pull become one file, a pack, which is archived, approved,
// verified and parsed again like any other raw bytes: a tar archive (POSIX.1-2001)
// whose first member, elasticintel-parts.json, says so. The others are the
// answers in order, 0001-NAME with the bytes as received; where from, as it may
// be shown, stands in the PAX records ELASTICINTEL.url, .stamp, .reference and
// .role (list: it names the items and is not parsed). Equal answers make equal
// bytes. Secrets are blackened in each answer before it is packed.
//
// A pull is whole or an error: a page that cannot be had fails it, so that
// nothing is taken for de-listed that was only not fetched.
package source
