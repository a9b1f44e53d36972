// Package journal keeps a file per interface that says what was done to bring
// it up, so that it can be taken back by another process: after a crash, or
// simply by the next command. Steps are opaque to it; what they mean and how
// they are undone is for package hostnet.
//
// A journal is a text of JSON values, one a line. The first says what it is
// about and who writes it. An intent is appended before a step is begun, with
// all that undoing it takes, and a second line once it is done:
//
//	{"journal":"warren","version":1,"interface":"wg0","namespace":4026531840,"cookie":1,"owner":{...},"about":{...}}
//	{"n":1,"step":{...}}
//	{"n":1,"done":true,"result":{...}}
//	{"phase":"complete"}
//
// A process that is killed leaves at worst a last line that is not finished,
// which is as if it had not been begun: no step starts before its intent is
// written. Nothing is flushed to a disk, since the state that a journal
// describes does not outlive the machine's memory either.
//
// While a process works on an interface it holds a lock on the file, and its
// process id, start time and boot id are in it. Both have to say that the owner
// is gone before another process may go on from there. A journal of another boot,
// or of a network namespace that is gone, even if the kernel has given its number
// to this one, tells of what the kernel has forgotten.
package journal
