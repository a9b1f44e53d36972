// Package bench is `warren bench`: this program measured beside others, in
// network namespaces of one machine.
//
// Only ratios mean anything: both ends of a tunnel and the load generator share
// the machine. So every measurement is paired. All contestants are set up side
// by side, the runs alternate between them, which one goes first alternates
// too, and what is compared is the medians.
//
// The vocabulary: a contestant is a program under test; a rig is a line of
// hosts joined by one contestant; an experiment takes readings on rigs and
// fills rows; a row is a line of the table, with what it should reach.
//
// What is run is programs: this one as `warren device`, a wireguard-go, a build
// of this one without a cipher. None of them is linked in but the cipher
// kernels, which are timed in this process.
package bench
