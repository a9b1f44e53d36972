package main

// families are the commands of this binary.
var families = []family{}
