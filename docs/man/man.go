// Package man holds the manual pages, so that the binary can install them.
package man

import "embed"

// Pages are the pages as Markdown, NAME.SECTION.md each.
//
//go:embed *.md
var Pages embed.FS
