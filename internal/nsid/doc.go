// Package nsid tells network namespaces apart, also from those that were there
// before, and runs of the kernel from each other. What is remembered beyond a
// process needs both: the kernel gives the number of a namespace that is gone
// to the next one at once.
package nsid
