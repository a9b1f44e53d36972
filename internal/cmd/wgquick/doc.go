// Package wgquick is the command wg-quick(8): the planner and the executor of
// `warren up` and `down` behind the arguments, traces, messages and exit codes
// that scripts know (compat 2). It adds nothing to what is printed but one line
// on stderr that says where the interface is.
package wgquick
