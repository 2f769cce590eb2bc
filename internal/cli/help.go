package cli

import (
	"fmt"
	"io"
	"strings"

	"github.com/urfave/cli/v2"
)

// width is the number of columns that help texts have at most.
const width = 80

// appTemplate is the help text of the program, in the language of text/template. A text is
// wrapped as wide as the screen is; the functions are those of funcs.
const appTemplate = `NAME:
{{fill 3 (printf "%s - %s" .Name .Usage)}}
USAGE:
   {{.Name}} [global options] command [options] [arguments]

VERSION:
   {{.Version}}

DESCRIPTION:
{{fill 3 .Description}}
COMMANDS:
{{range .VisibleCommands}}{{columns .Name .Usage}}{{end}}
GLOBAL OPTIONS:
{{range .VisibleFlags}}{{flag .}}{{end}}
{{fill 3 (printf "%s COMMAND --help prints the options of a command, with examples." .Name)}}`

// commandTemplate is the help text of a command.
const commandTemplate = `NAME:
{{fill 3 (printf "%s - %s" .HelpName .Usage)}}
USAGE:
   {{.UsageText}}

DESCRIPTION:
{{fill 3 .Description}}
OPTIONS:
{{range .VisibleFlags}}{{flag .}}{{end}}
{{extra .Name}}`

// WriteHelp writes the help text of a command, or, when c is nil, of the program.
func WriteHelp(w io.Writer, t *Table, c *Command) error {
	if c == nil {
		app := t.app()
		app.Setup()
		cli.HelpPrinterCustom(w, appTemplate, app, t.funcs())
		return nil
	}
	row := t.cliCommand(c)
	row.Flags = append(row.Flags, cli.HelpFlag)
	cli.HelpPrinterCustom(w, commandTemplate, row, t.funcs())
	return nil
}

// app returns the table in the form of urfave/cli.
func (t *Table) app() *cli.App {
	a := cli.NewApp()
	a.Name, a.Usage, a.Version, a.Description = t.Name, t.Usage, t.Version, t.Help
	a.HideVersion, a.HideHelpCommand = true, true // the table has both
	a.Flags = append(cliFlags(t.Globals), cli.HelpFlag)
	for _, c := range t.Commands {
		a.Commands = append(a.Commands, t.cliCommand(c))
	}
	return a
}

func (t *Table) cliCommand(c *Command) *cli.Command {
	return &cli.Command{
		Name: c.Name, HelpName: t.Name + " " + c.Name, Usage: c.Usage, Description: c.Help,
		UsageText: t.Synopsis(c), Flags: cliFlags(c.AllFlags()),
	}
}

// Synopsis returns the form of a command's line.
func (t *Table) Synopsis(c *Command) string {
	text := t.Name + " [global options] " + c.Name
	if len(c.Shared)+len(c.Flags) > 0 {
		text += " [options]"
	}
	if c.Arguments != "" {
		text += " " + c.Arguments
	}
	return text
}

// cliFlags returns flags in the form of urfave/cli, which parses none of them.
func cliFlags(flags []Flag) []cli.Flag {
	out := make([]cli.Flag, 0, len(flags)+1)
	for _, flag := range flags {
		var aliases []string
		if flag.Alias != "" {
			aliases = []string{flag.Alias}
		}
		switch flag.Kind {
		case Bool:
			out = append(out, &cli.BoolFlag{
				Name: flag.Name, Aliases: aliases, Usage: flag.Usage, Hidden: flag.Hidden, DisableDefaultText: true,
			})
		case List:
			flag.Usage += "; may be given again"
			fallthrough
		default:
			out = append(out, &cli.StringFlag{
				Name: flag.Name, Aliases: aliases, Usage: flag.Usage, Hidden: flag.Hidden,
				DefaultText: flag.Default, Value: flag.Default,
			})
		}
	}
	return out
}

// funcs are the functions of the templates.
func (t *Table) funcs() map[string]any {
	return map[string]any{
		"fill":    func(indent int, text string) string { return Fill(text, indent, indent) },
		"columns": func(name, text string) string { return columns(name, text) },
		"flag":    helpOfFlag,
		"extra":   func(name string) string { return t.Find(name).extra() },
	}
}

// helpOfFlag returns what the help text has of a flag.
func helpOfFlag(f cli.Flag) string {
	names, usage, _ := strings.Cut(f.String(), "\t")
	return columns(names, usage)
}

// extra returns the end of a command's help text: the examples and the exit statuses.
func (c *Command) extra() string {
	var b strings.Builder
	b.WriteString("EXAMPLES:\n")
	for _, e := range c.Examples {
		fmt.Fprintf(&b, "   %s\n%s", e.Line, Fill(e.Does, 7, 7))
	}
	b.WriteString("\nEXIT STATUS:\n")
	for _, e := range c.AllExits() {
		b.WriteString(columns(e.Status, e.When))
	}
	return b.String()
}

// AllExits returns the exit statuses of a command, with those that mean the same for all.
func (c *Command) AllExits() []Exit {
	all := []Exit{{"0", "success"}}
	if c.Failed == 0 {
		all = append(all, Exit{"1", "failure; the error is on standard error"})
	}
	return append(all, c.Exits...)
}

// column is where the second column of a help text begins.
const column = 27

// columns returns a name and what it is, on lines of their own where the name is too long.
func columns(name, text string) string {
	if len(name) > column-3-2 {
		return "   " + name + "\n" + Fill(text, column, column)
	}
	return fmt.Sprintf("   %-*s", column-3, name) + strings.TrimLeft(Fill(text, column, column), " ")
}

// Fill returns a text in lines of at most 80 columns, the first one indented by first, the
// others by rest.
func Fill(text string, first, rest int) string {
	var b strings.Builder
	at := 0
	for i, word := range strings.Fields(text) {
		switch {
		case i == 0:
			b.WriteString(strings.Repeat(" ", first))
			at = first
		case at+1+len(word) > width:
			b.WriteString("\n" + strings.Repeat(" ", rest))
			at = rest
		default:
			b.WriteByte(' ')
			at++
		}
		b.WriteString(word)
		at += len(word)
	}
	return b.String() + "\n"
}
