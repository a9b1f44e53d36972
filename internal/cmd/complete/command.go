package complete

import (
	"embed"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/warrenvpn/warren/internal/cli"
)

//go:embed scripts
var scripts embed.FS

// Shells are those that there are scripts for.
var Shells = []string{"bash", "zsh", "fish"}

// Programs are those that can be completed: ours, and the names that it may
// replace.
var Programs = []string{"warren", "wg", "wg-quick", "wireguard-go"}

// asked is how the words after a program's name are asked about.
var asked = map[string]string{"warren": "", "wg": "wg ", "wg-quick": "wg-quick ", "wireguard-go": "device "}

// Script returns the text that makes a shell complete a program.
func Script(shell, program string) (string, error) {
	if !slices.Contains(Shells, shell) {
		return "", cli.WithHint(fmt.Errorf("there is no completion for the shell %q", shell), "there is for "+strings.Join(Shells, ", "))
	}
	if !slices.Contains(Programs, program) {
		return "", cli.WithHint(fmt.Errorf("there is no completion for the program %q", program), "there is for "+strings.Join(Programs, ", "))
	}
	text, err := scripts.ReadFile("scripts/" + shell)
	if err != nil {
		return "", err
	}
	return strings.NewReplacer(
		"@PROGRAM@", program,
		"@NAME@", strings.ReplaceAll(program, "-", "_"),
		"@WORDS@", asked[program],
	).Replace(string(text)), nil
}

const help = `Prints a script that makes a shell complete the commands of a program, which is
warren unless another is named: wg, wg-quick or wireguard-go. Packages and
` + "`warren install`" + ` put these scripts where shells look for them; by hand:

  bash   source <(warren completion bash)           in ~/.bashrc
  zsh    source <(warren completion zsh)            in ~/.zshrc, after compinit
  fish   warren completion fish | source            in ~/.config/fish/config.fish

The scripts ask the program warren, which has to be in PATH.`

// Command returns `warren completion`.
func Command() *cobra.Command {
	c := &cobra.Command{
		Use: "completion SHELL [PROGRAM]", Short: "print the completion script of a shell", Long: help,
		DisableFlagsInUseLine: true,
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			switch len(args) {
			case 0:
				return Shells, cobra.ShellCompDirectiveNoFileComp
			case 1:
				return Programs, cobra.ShellCompDirectiveNoFileComp
			}
			return nil, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) < 1 || len(args) > 2 {
				return cli.WithHint(fmt.Errorf("want a SHELL and perhaps a PROGRAM, got %d words", len(args)),
					"SHELL is one of "+strings.Join(Shells, ", "))
			}
			text, err := Script(args[0], append(args, "warren")[1])
			if err == nil {
				_, err = io.WriteString(c.OutOrStdout(), text)
			}
			return err
		},
	}
	c.Flags().BoolP("help", "h", false, "print this text")
	return c
}

// Main runs `warren completion`; program is the name it was called by.
func Main(program string, args []string) int {
	c := Command()
	c.Annotations = map[string]string{cobra.CommandDisplayNameAnnotation: program}
	c.CompletionOptions.DisableDefaultCmd = true
	c.SilenceErrors, c.SilenceUsage = true, true
	c.SetArgs(args)
	if err := c.Execute(); err != nil {
		cli.Fail(os.Stderr, program, err)
		return 2
	}
	return 0
}

// Answer carries out the hidden `warren __complete WORD...`, whose first
// argument is that word, for the commands under root. Commands that parse their
// own words are answered for by Plain.
func Answer(root *cobra.Command, args []string, out, errs io.Writer) int {
	root.CompletionOptions.DisableDefaultCmd = true
	root.SilenceErrors, root.SilenceUsage = true, true
	root.SetOut(out)
	root.SetErr(errs)
	root.SetArgs(args)
	if root.Execute() != nil {
		return 1
	}
	return 0
}

// Plain returns a command for the tree of Answer that is parsed without cobra.
func Plain(word, about string) *cobra.Command {
	source := System()
	return &cobra.Command{
		Use: word, Short: about, DisableFlagParsing: true,
		Run: func(*cobra.Command, []string) {},
		ValidArgsFunction: func(_ *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
			var r Reply
			switch word {
			case "wg":
				r = WG(source, args)
			case "wg-quick", "quick":
				r = Quick(source, args, typed)
			case "device":
				r = Device(args)
			case "up", "down", "save", "strip":
				r = tunnelOnly(source, word, args, typed)
			default:
				r = only()
			}
			return matching(r.Words, typed, r.Directive), r.Directive
		},
	}
}

// Tunnel completes the FILE|NAME of `warren up` and its siblings.
func Tunnel(verb string) cobra.CompletionFunc {
	source := System()
	return func(_ *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
		r := tunnelOnly(source, verb, args, typed)
		return matching(r.Words, typed, r.Directive), r.Directive
	}
}

func tunnelOnly(s Source, verb string, args []string, typed string) Reply {
	if len(args) > 0 {
		return only()
	}
	return tunnel(s, verb, typed)
}

// matching leaves out what does not begin as typed, unless the words are
// extensions of files.
func matching(words []string, typed string, d cobra.ShellCompDirective) []string {
	if d&cobra.ShellCompDirectiveFilterFileExt != 0 {
		return words
	}
	var left []string
	for _, w := range words {
		if strings.HasPrefix(w, typed) {
			left = append(left, w)
		}
	}
	return left
}
