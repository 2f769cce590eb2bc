package cli

import (
	"fmt"
	"strings"
	"unicode"
)

// Mdoc returns the manual page of a command, or, when c is nil, of the program, in the
// language of mdoc(7). text is what people have written beside the table: what stands in
// it before its first section belongs to the description, and the rest comes before the
// last section. date is that of the page.
func (t *Table) Mdoc(command *Command, text, date string) string {
	man := &page{}
	description, sections := splitText(text)
	name := t.Name
	if command != nil {
		name += "-" + command.Name
	}
	man.line(`.\" Made by make man, from the table of commands and man/text.`)
	man.line(".Dd " + date)
	man.line(".Dt " + strings.ToUpper(name) + " 8")
	man.line(".Os")
	man.line(".Sh NAME")
	man.line(".Nm " + name)
	if command == nil {
		man.line(".Nd " + t.Usage)
		t.describe(man, description)
	} else {
		man.line(".Nd " + command.Usage)
		t.describeCommand(man, command, description)
	}
	man.raw(sections)
	t.seeAlso(man, command)
	return man.String()
}

// splitText splits text before its first section.
func splitText(text string) (description, sections string) {
	if strings.HasPrefix(text, ".Sh ") {
		return "", text
	}
	if i := strings.Index(text, "\n.Sh "); i >= 0 {
		return text[:i+1], text[i+1:]
	}
	return text, ""
}

// describe writes the middle of the program's page.
func (t *Table) describe(man *page, description string) {
	man.line(".Sh SYNOPSIS", ".Nm "+t.Name, ".Op Ar global options", ".Ar command", ".Op Ar options", ".Op Ar arguments")
	man.line(".Sh DESCRIPTION")
	man.sentences(t.Help)
	man.raw(description)
	man.line(".Sh GLOBAL OPTIONS", "They stand before the command.")
	man.flags(t.Globals)
	man.line(".Sh COMMANDS", "Each has a page of its own.", ".Bl -tag -width Ds")
	for _, c := range t.Commands {
		man.line(".It Xr " + t.Name + "-" + c.Name + " 8")
		man.sentences(sentence(c.Usage))
	}
	man.line(".El")
}

// describeCommand writes the middle of a command's page.
func (t *Table) describeCommand(man *page, command *Command, description string) {
	man.line(".Sh SYNOPSIS", ".Nm "+t.Name, ".Op Ar global options", ".Cm "+command.Name)
	if len(command.Shared)+len(command.Flags) > 0 {
		man.line(".Op Ar options")
	}
	if command.Arguments != "" {
		man.line(".Ar " + escape(command.Arguments))
	}
	man.line(".Sh DESCRIPTION")
	man.sentences(command.Help)
	man.raw(description)
	man.line(".Sh OPTIONS")
	man.flags(command.AllFlags())
	man.line(".Sh EXIT STATUS", ".Bl -tag -width Ds")
	for _, e := range command.AllExits() {
		man.line(".It " + e.Status)
		man.sentences(sentence(e.When))
	}
	man.line(".El", ".Sh EXAMPLES")
	for i, e := range command.Examples {
		if i > 0 {
			man.line(".Pp")
		}
		man.line(escape(capital(e.Does))+":", ".Bd -literal -offset indent", escape(e.Line), ".Ed")
	}
}

// seeAlso writes the last section.
func (t *Table) seeAlso(p *page, c *Command) {
	p.line(".Sh SEE ALSO")
	if c != nil {
		p.line(".Xr " + t.Name + " 8")
		return
	}
	p.line(".Xr crun 1 ,", ".Xr capabilities 7 ,", ".Xr cgroups 7 ,", ".Xr namespaces 7 ,", ".Xr runc 8")
}

// page is a manual page that is being written.
type page struct{ strings.Builder }

func (p *page) line(lines ...string) {
	for _, l := range lines {
		p.WriteString(l + "\n")
	}
}

func (p *page) raw(text string) {
	if text != "" {
		p.WriteString(strings.TrimRight(text, "\n") + "\n")
	}
}

// sentences writes a text with each sentence on a line of its own, as mdoc has it.
func (p *page) sentences(text string) {
	p.line(escape(strings.ReplaceAll(text, ". ", ".\n")))
}

// flags writes the list of flags.
func (p *page) flags(flags []Flag) {
	p.line(".Bl -tag -width Ds")
	for _, flag := range append(flags[:len(flags):len(flags)], helpFlag) {
		if flag.Hidden {
			continue
		}
		value := ""
		if flag.Kind != Bool {
			value = " Ar " + flag.ValueName()
		}
		item := ".It Fl -" + flag.Name + value
		if flag.Alias != "" {
			item += " , Fl " + flag.Alias + value
		}
		p.line(item)
		usage := strings.ReplaceAll(flag.Usage, "`", "")
		if flag.Kind == List {
			usage += "; may be given again"
		}
		if flag.Default != "" {
			usage += " (default: " + flag.Default + ")"
		}
		p.sentences(sentence(usage))
	}
	p.line(".El")
}

// ValueName returns what a flag's value is called: the word of its usage that stands in
// backquotes, its choices, or VALUE.
func (f *Flag) ValueName() string {
	if _, rest, ok := strings.Cut(f.Usage, "`"); ok {
		name, _, _ := strings.Cut(rest, "`")
		return name
	}
	if len(f.Choices) > 0 {
		return strings.Join(f.Choices, "|")
	}
	return "VALUE"
}

// sentence makes a sentence of a line without a full stop.
func sentence(text string) string { return capital(text) + "." }

func capital(text string) string {
	for i, r := range text {
		return text[:i] + string(unicode.ToUpper(r)) + text[i+len(string(r)):]
	}
	return text
}

// escape writes what the language would take for a request as text.
func escape(text string) string {
	text = strings.ReplaceAll(text, `\`, `\e`)
	lines := strings.Split(text, "\n")
	for i, l := range lines {
		if strings.HasPrefix(l, ".") || strings.HasPrefix(l, "'") {
			lines[i] = `\&` + l
		}
	}
	return strings.Join(lines, "\n")
}

// PageName returns the name of the file that a manual page has.
func (t *Table) PageName(c *Command) string {
	if c == nil {
		return t.Name + ".8"
	}
	return fmt.Sprintf("%s-%s.8", t.Name, c.Name)
}
