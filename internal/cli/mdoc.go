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
func (t *Table) Mdoc(c *Command, text, date string) string {
	p := &page{}
	description, sections := splitText(text)
	name := t.Name
	if c != nil {
		name += "-" + c.Name
	}
	p.line(`.\" Made by make man, from the table of commands and man/text.`)
	p.line(".Dd " + date)
	p.line(".Dt " + strings.ToUpper(name) + " 8")
	p.line(".Os")
	p.line(".Sh NAME")
	p.line(".Nm " + name)
	if c == nil {
		p.line(".Nd " + t.Usage)
		t.describe(p, description)
	} else {
		p.line(".Nd " + c.Usage)
		t.describeCommand(p, c, description)
	}
	p.raw(sections)
	t.seeAlso(p, c)
	return p.String()
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
func (t *Table) describe(p *page, description string) {
	p.line(".Sh SYNOPSIS", ".Nm "+t.Name, ".Op Ar global options", ".Ar command", ".Op Ar options", ".Op Ar arguments")
	p.line(".Sh DESCRIPTION")
	p.sentences(t.Help)
	p.raw(description)
	p.line(".Sh GLOBAL OPTIONS", "They stand before the command.")
	p.flags(t.Globals)
	p.line(".Sh COMMANDS", "Each has a page of its own.", ".Bl -tag -width Ds")
	for _, c := range t.Commands {
		p.line(".It Xr " + t.Name + "-" + c.Name + " 8")
		p.sentences(sentence(c.Usage))
	}
	p.line(".El")
}

// describeCommand writes the middle of a command's page.
func (t *Table) describeCommand(p *page, c *Command, description string) {
	p.line(".Sh SYNOPSIS", ".Nm "+t.Name, ".Op Ar global options", ".Cm "+c.Name)
	if len(c.Shared)+len(c.Flags) > 0 {
		p.line(".Op Ar options")
	}
	if c.Arguments != "" {
		p.line(".Ar " + escape(c.Arguments))
	}
	p.line(".Sh DESCRIPTION")
	p.sentences(c.Help)
	p.raw(description)
	p.line(".Sh OPTIONS")
	p.flags(c.AllFlags())
	p.line(".Sh EXIT STATUS", ".Bl -tag -width Ds")
	for _, e := range c.AllExits() {
		p.line(".It " + e.Status)
		p.sentences(sentence(e.When))
	}
	p.line(".El", ".Sh EXAMPLES")
	for i, e := range c.Examples {
		if i > 0 {
			p.line(".Pp")
		}
		p.line(escape(capital(e.Does))+":", ".Bd -literal -offset indent", escape(e.Line), ".Ed")
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
	for _, f := range append(flags[:len(flags):len(flags)], helpFlag) {
		if f.Hidden {
			continue
		}
		value := ""
		if f.Kind != Bool {
			value = " Ar " + f.ValueName()
		}
		item := ".It Fl -" + f.Name + value
		if f.Alias != "" {
			item += " , Fl " + f.Alias + value
		}
		p.line(item)
		usage := strings.ReplaceAll(f.Usage, "`", "")
		if f.Kind == List {
			usage += "; may be given again"
		}
		if f.Default != "" {
			usage += " (default: " + f.Default + ")"
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
