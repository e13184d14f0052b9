// Package awslambda turns an event of AWS Lambda into one call on the parts of an
// app: a tick of the schedule into jobs, a job of the queue into a run, a request
// into what the HTTP API answers. It knows no SDK and no store: what it works on
// comes as interfaces, from cmd/lambda.
//
// Runtime is the loop over the Runtime API. Table says which function takes which
// events; a further face (whois, Slack) is a line there and a Handler.
package awslambda
