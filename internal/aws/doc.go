// Package aws is the program's door to Amazon's cloud, and the only one of these
// packages that imports its SDK. Today it signs requests to an OpenSearch domain;
// nothing in it runs unless somebody asks for it.
package aws
