// Package complete is what the shells complete: `warren completion` prints the
// script for one shell and one program, and the hidden `warren __complete`
// answers it.
//
// The scripts know no program. They hand over the words of the command line,
// as they were typed and never evaluated, so that `wg set wg0 peer "$(...)"`
// runs nothing when TAB is pressed, and show what comes back: candidates with
// their descriptions, and a directive on files, in the protocol of cobra. What
// may follow what is decided here once for all shells, for wg and wg-quick by
// WG and Quick (compat 1), for commands made with cobra by cobra.
//
// The package changes nothing and fails silently: without permission to look
// at an interface there are simply no peers to offer.
package complete
