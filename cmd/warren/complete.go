package main

import (
	"io"

	"github.com/spf13/cobra"

	"github.com/warrenvpn/warren/internal/cmd/bench"
	"github.com/warrenvpn/warren/internal/cmd/complete"
	"github.com/warrenvpn/warren/internal/cmd/demo"
	"github.com/warrenvpn/warren/internal/cmd/install"
	"github.com/warrenvpn/warren/internal/cmd/tunnel"
)

// completing are the hidden words by which completion scripts ask.
func completing(word string) bool {
	return word == cobra.ShellCompRequestCmd || word == cobra.ShellCompNoDescRequestCmd
}

// answer tells a completion script what may follow.
func answer(out, errs io.Writer, args []string) int {
	return complete.Answer(tree(), args, out, errs)
}

// tree is all commands under one root: those made with cobra as they are, so
// that their flags are known, the others by their words.
func tree() *cobra.Command {
	root := &cobra.Command{Use: "warren"}
	root.SetHelpCommand(helpOf())
	root.AddCommand(complete.Plain("version", "print the version"))
	cobras := append(tunnel.Commands(), demo.Command(), bench.Command(version), complete.Command())
	cobras = append(cobras, install.Commands(version)...)
	known := map[string]bool{}
	for _, c := range cobras {
		known[c.Name()] = true
		if f := complete.Tunnel(c.Name()); c.ValidArgsFunction == nil && takesTunnel(c.Name()) {
			c.ValidArgsFunction = f
		}
		root.AddCommand(c)
	}
	for _, f := range families {
		for _, w := range f.words {
			if !known[w.word] {
				known[w.word] = true
				root.AddCommand(complete.Plain(w.word, w.about))
			}
		}
	}
	if quick := complete.Plain("wg-quick", ""); !known[quick.Name()] {
		quick.Hidden = true // its script asks by this name
		root.AddCommand(quick)
	}
	return root
}

// helpOf is `warren help`, which takes the word of a command.
func helpOf() *cobra.Command {
	return &cobra.Command{
		Use: "help", Short: "print what there is", Run: func(*cobra.Command, []string) {},
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			var words []string
			for _, f := range families {
				for _, w := range f.words {
					words = append(words, w.word+"\t"+w.about)
				}
			}
			return words, cobra.ShellCompDirectiveNoFileComp
		},
	}
}

// takesTunnel reports whether a command takes the file or name of a tunnel.
func takesTunnel(word string) bool {
	switch word {
	case "up", "down", "save", "strip":
		return true
	}
	return false
}
