// Package cli is what the commands of this module have in common when they talk
// to people: errors with hints, colours, tables of usage, and how times and
// byte counts are worded. It parses no arguments and knows no command.
package cli
