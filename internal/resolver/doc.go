// Package resolver makes the host ask a tunnel's DNS servers while the tunnel
// is up, and puts back exactly what was there before.
//
// Three back-ends, tried in this order (compat 2, 7: Q1 to Q4):
//
//   - resolvconf, if a program of that name is in PATH: the same words, input
//     and exit status as wg-quick's. Of its refusals one alone leads to the next
//     back-end: openresolv's "signature mismatch", and only if /etc/resolv.conf
//     is byte for byte what it was. Any other failure is the caller's to report.
//   - systemd-resolved over D-Bus, if /etc/resolv.conf leads to it and it
//     answers. The tunnel claims all names, and the claims of other links are
//     set aside for that time.
//   - /etc/resolv.conf itself. Tunnels are a stack: the last one set is in
//     force, whichever goes first, and the last to go restores the file.
//
// The last two keep what they have to undo below /run/warren, written before
// anything is touched. Whatever kills the process in between, the next Set or
// Unset of any tunnel begins by finishing what was begun. What others changed
// meanwhile is left alone, and said.
//
//	b, why, err := resolver.Choose(ctx, env)        // up
//	b, err := resolver.Find(ctx, env, "wg0")        // down, save
//
// What is decided is decided by pure functions: text.go (the file's form),
// stack.go (what the file should hold, and the next action towards that) and
// claims.go (which link may claim all names). The rest carries that out. This
// package does not read a tunnel's configuration and prints nothing. Only Linux
// is here yet; elsewhere Choose returns errors.ErrUnsupported.
package resolver
