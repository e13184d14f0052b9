// Package elasticintel holds what the binary carries with it: the feed
// catalogue of feeds.d, the starter data and the Terraform configuration of AWS.
// This file is also the map of the source.
//
//	cmd/elasticintel      the binary: main calls internal/cli
//	cmd/lambda            the bootstrap of all functions on AWS Lambda
//	feeds.d               the feed catalogue, data only: add a feed here and nowhere else
//	starter               a small dated snapshot of redistributable feeds for the first start
//	internal/intel        the domain: kinds, indicators and their canonical form, listings, runs, answers
//	internal/feed         feed definitions (strict decoding), the catalogue, what is due when
//	internal/parse        one file per wire format: bytes in, entries and rejects out
//	internal/fetch        conditional downloads with caps, unpacking and a guard on every connection
//	internal/source       pulls of several requests: pages, what is new, lists of items, TAXII
//	internal/query        search text into a typed tree, and what it matches; knows no storage
//	internal/score        verdict and score of listings, with the arithmetic in words
//	internal/blob         the object store everything durable lives in; here over a directory
//	internal/terms        an ordered dictionary from keys to sets of documents: a segment's text index
//	internal/corpus       the embedded engine: immutable segments per feed, look-ups, search, history
//	internal/opensearch   the distributed engine's ground: a client of a cluster, and bulk writing that loses nothing
//	internal/opensearch/dashboards  saved objects for OpenSearch Dashboards
//	internal/ingest       one run of a feed: fetch, archive, parse, guard, merge, commit, ledger
//	internal/enrich       registration records: answers of whois and RDAP into one form
//	internal/enrich/ranges    ranges of addresses as numbers: layers, and walks through several
//	internal/enrich/table     offline data about networks as one object
//	internal/enrich/facts     what is known of networks and domains, kept and answered from at once
//	internal/enrich/registry  who asks registries, politely
//	internal/enrich/work      what is asked next, one question a network
//	internal/notify       messages to webhooks, signed, through the guarded client
//	internal/schedule     when runs start, one per feed at a time
//	internal/lookup       the only door to an engine: value in, answer out
//	internal/auth         API keys and roles
//	internal/api          the HTTP API
//	internal/app          wires the parts together: New, Start, Stop
//	internal/aws          the door to Amazon's cloud: signed requests, objects in S3, secrets in SSM; the only one with its SDK
//	internal/awslambda    events of AWS Lambda into calls on the parts: schedule, queue, HTTP, health
//	internal/deploy       packs the functions, drives Terraform, says what changes and what it costs
//	internal/follow       lets the index of a cluster follow the object store
//	internal/local        the parts for one machine: data folder, lock, secrets
//	internal/near         the name a person meant: spelling suggestions
//	internal/config       one struct: flags, then EI_ variables, then file, then defaults
//	internal/cli          the commands, one file each
//	internal/testing      conformance suites, a feed server with faults, import rules
//	deploy/terraform      what runs on AWS, as Terraform
//	bench                 side-by-side measurements, a module of its own
//
// Imports point down this list's layers only: cmd → cli → app → api, schedule,
// ingest, lookup → source → auth, feed, parse, score, fetch → intel. internal/testing/archtest
// enforces it. docs/ holds the user guide, the decisions and the benchmarks.
package elasticintel
