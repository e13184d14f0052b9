// Package deploy brings the program into an AWS account and takes it out again:
// it packs the functions, drives Terraform, says in words what would change and
// what it costs, and looks at what runs. The commands are in internal/cli.
package deploy
