// Package aws is the program's door to Amazon's cloud, and the only one of these
// packages that imports its SDK. It signs requests to an OpenSearch domain (Signer),
// keeps objects in a bucket of S3 (Store) with segments in a folder (Cached), and
// reads secrets of Systems Manager (Secrets); nothing in it runs unless somebody asks for it.
package aws
