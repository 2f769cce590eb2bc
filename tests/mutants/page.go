package main

import (
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"
)

// pageFile is the page that shows the register, from the module's top.
const pageFile = "docs/security.md"

// A chapter's table stands on the page between these two lines.
const (
	tableBegin = "<!-- register: %s -->"
	tableEnd   = "<!-- end of register -->"
)

var tablePlace = regexp.MustCompile(`(?ms)^<!-- register: ([^\n]*) -->$(.*?)^<!-- end of register -->$`)

// fillPage returns the page with each chapter's table as the register has it.
func fillPage(page string, chapters []*chapter) (string, error) {
	shown := map[string]bool{}
	var strange error
	filled := tablePlace.ReplaceAllStringFunc(page, func(place string) string {
		title := tablePlace.FindStringSubmatch(place)[1]
		for _, c := range chapters {
			if c.title == title && !shown[title] {
				shown[title] = true
				return fmt.Sprintf(tableBegin, title) + "\n\n" + c.table() + "\n" + tableEnd
			}
		}
		strange = fmt.Errorf("%s shows the chapter %q, which the register has not, or twice", pageFile, title)
		return place
	})
	for _, c := range chapters {
		if !shown[c.title] && strange == nil {
			strange = fmt.Errorf("%s has no place for the chapter %q: %s", pageFile, c.title, fmt.Sprintf(tableBegin, c.title))
		}
	}
	return filled, strange
}

// table is a chapter as a table, with a list below it of what no test can tell.
func (c *chapter) table() string {
	var b strings.Builder
	b.WriteString("| Threat | Defence | Where | Tests |\n|---|---|---|---|\n")
	threat := ""
	for _, d := range c.defences {
		if d.equivalent != "" {
			continue
		}
		shown := ""
		if d.threat != threat {
			threat, shown = d.threat, d.threat
			if d.cve != "" {
				shown += " (" + d.cve + ")"
			}
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", cell(shown), cell(d.sentence), where(d), testList(d))
	}
	first := true
	for _, d := range c.defences {
		if d.equivalent == "" {
			continue
		}
		if first {
			b.WriteString("\nA second line that no test can tell from the first:\n\n")
			first = false
		}
		b.WriteString(listed(fmt.Sprintf("%s (%s): %s", d.sentence, where(d), d.equivalent)))
	}
	return b.String()
}

// columns is how long a line of the page is at most, but for its tables.
const columns = 100

// listed returns text as an item of a list.
func listed(text string) string {
	var b strings.Builder
	line := "*"
	for word := range strings.FieldsSeq(text) {
		if utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > columns {
			b.WriteString(line + "\n")
			line = " "
		}
		line += " " + word
	}
	return b.String() + line + "\n"
}

func cell(text string) string { return strings.ReplaceAll(text, "|", `\|`) }

func where(d *defence) string {
	var names []string
	for _, file := range d.files() {
		names = append(names, "`"+short(file)+"`")
	}
	return strings.Join(names, ", ")
}

// short returns a path without the folders that say nothing to a reader of the page.
func short(path string) string {
	for _, folder := range []string{"internal/part/", "internal/host/", "internal/"} {
		if rest, ok := strings.CutPrefix(path, folder); ok {
			return rest
		}
	}
	return path
}

// testList names the tests; those of tests/integration without their package.
func testList(d *defence) string {
	var list []string
	for _, of := range d.tests {
		prefix := ""
		if of.pkg != integration {
			prefix = short(of.pkg) + " "
		}
		for _, name := range of.names {
			list = append(list, prefix+"`"+name+"`")
			prefix = ""
		}
	}
	text := strings.Join(list, ", ")
	if d.vm {
		text += " (in the VM)"
	}
	return text
}
