// Package archtest holds the tests that keep the architecture true: who may
// import whom, what the pure layers may not do, that everything is documented,
// and that what the documentation names exists.
//
// The rules are in policy.txt; this package only reads and checks them. It
// contains no code that another package could import.
package archtest
