// Package diff is the differential test bed: upstream's wg and wg-quick and ours
// are given the same commands on the same state, in network namespaces that are
// twins, and what they print, how they exit and what they leave of the system has
// to be equal.
//
//	tools_test.go       the programs compared, and their versions
//	known_test.go       the differences that are known, testdata/known.txt
//	side_test.go        one tool and one daemon in a namespace of their own
//	transcript_test.go  commands of wg, one state before and after: testdata/wg
//	files_test.go       configuration files made at random (Q01)
//	live_test.go        wg on a tunnel that carries data
//	quick_test.go       configurations of wg-quick: testdata/quick
//	system_test.go      what of a system is compared
//
// Upstream's newest tools come from scripts/upstream-tools, which says so where
// it has to fall back to the system's own. The system's are compared too, where
// they are older: what later versions changed is among the known differences.
//
// Expected results are recorded as ours. Where another tool differs, its result
// is recorded beside with the id of a known difference. So a difference that is
// not listed fails, and a listed one that is gone fails too. Run with -update to
// record anew; an id of ? then has to be replaced by one that says why.
package diff
