package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// registerFile is where the register is, from the module's top.
const registerFile = "tests/mutants/register.txt"

// chapter is a part of the page that the register fills.
type chapter struct {
	title    string
	defences []*defence
}

// defence is one record of the register.
type defence struct {
	name       string
	line       int // where its record begins
	threat     string
	cve        string
	sentence   string // what is done against the threat
	tests      []testsOf
	quick      bool     // its mutant is one of make mutants-quick
	vm         bool     // its tests run in the virtual machine
	vmOptions  []string // for tests/vm/run
	equivalent string   // why no test can tell the mutant from the original
	edits      []edit
}

// testsOf names tests of one package.
type testsOf struct {
	pkg   string // folder from the module's top
	names []string
}

// edit takes a defence out of one file.
type edit struct {
	file     string // from the module's top
	old, new string
}

// reader reads the register's form, which the head of register.txt describes.
type reader struct {
	chapters []*chapter
	last     *defence
	key      string // of the line that the next one may continue
	file     string // that further edits are of
	open     bool   // the last line was one of an edit
	line     int
}

// readRegister reads a register; its path is one from the module's top, or absolute.
func readRegister(top, file string) ([]*chapter, error) {
	if !filepath.IsAbs(file) {
		file = filepath.Join(top, file)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	chapters, err := parseRegister(string(text))
	if err != nil {
		return nil, fmt.Errorf("%s:%w", file, err)
	}
	return chapters, nil
}

func parseRegister(text string) ([]*chapter, error) {
	var r reader
	for line := range strings.SplitSeq(text, "\n") {
		r.line++
		if err := r.read(line); err != nil {
			return nil, fmt.Errorf("%d: %w", r.line, err)
		}
	}
	if err := r.inheritThreats(); err != nil {
		return nil, err
	}
	return r.chapters, nil
}

func (r *reader) read(line string) error {
	switch {
	case line == "" || line[0] == '#':
		r.key, r.open = "", false
		return nil
	case strings.HasPrefix(line, "== "):
		r.chapters = append(r.chapters, &chapter{title: line[3:]})
		r.last, r.key, r.open = nil, "", false
		return nil
	case line[0] == '[':
		return r.begin(line)
	case r.last == nil:
		return fmt.Errorf("%q stands outside of a record", line)
	case line[0] == '-' || line[0] == '+':
		return r.edit(line)
	case line[0] == ' ':
		if r.key == "" {
			return fmt.Errorf("%q continues nothing", line)
		}
		return r.set(r.key, strings.TrimSpace(line), true)
	}
	key, value, ok := strings.Cut(line, ":")
	if !ok {
		return fmt.Errorf("%q is neither a key nor an edit", line)
	}
	r.key = key
	return r.set(key, strings.TrimSpace(value), false)
}

func (r *reader) begin(line string) error {
	name, ok := strings.CutSuffix(line[1:], "]")
	switch {
	case !ok || name == "":
		return fmt.Errorf("%q is no name in brackets", line)
	case len(r.chapters) == 0:
		return fmt.Errorf("[%s] stands in no chapter", name)
	case find(r.chapters, name) != nil:
		return fmt.Errorf("[%s] is there twice", name)
	}
	r.last = &defence{name: name, line: r.line}
	r.key, r.file, r.open = "", "", false
	c := r.chapters[len(r.chapters)-1]
	c.defences = append(c.defences, r.last)
	return nil
}

// set gives the last record a value, or more of it.
func (r *reader) set(key, value string, more bool) error {
	d := r.last
	r.open = false
	text := map[string]*string{
		"threat": &d.threat, "cve": &d.cve, "defence": &d.sentence, "equivalent": &d.equivalent,
	}[key]
	switch {
	case text != nil && more:
		*text += " " + value
	case text != nil && *text != "":
		return fmt.Errorf("[%s] has %s twice", d.name, key)
	case text != nil:
		*text = value
	case key == "test":
		return r.test(value, more)
	case more:
		return fmt.Errorf("%s goes over one line", key)
	case key == "file":
		r.file = value
	case key == "quick" && value == "yes":
		d.quick = true
	case key == "vm":
		d.vm, d.vmOptions = true, strings.Fields(value)
	default:
		return fmt.Errorf("[%s] has %s: %s, which means nothing", d.name, key, value)
	}
	return nil
}

func (r *reader) test(value string, more bool) error {
	words := strings.Fields(value)
	d := r.last
	if more {
		last := &d.tests[len(d.tests)-1]
		last.names = append(last.names, words...)
		return nil
	}
	if len(words) < 2 {
		return fmt.Errorf("test: %s: give a package and its tests", value)
	}
	d.tests = append(d.tests, testsOf{pkg: words[0], names: words[1:]})
	return nil
}

// edit reads a line of old or new text. The first - after a + or after an
// empty line begins the next edit.
func (r *reader) edit(line string) error {
	if r.file == "" {
		return fmt.Errorf("[%s]: an edit of no file", r.last.name)
	}
	r.key = ""
	edits := &r.last.edits
	text := strings.TrimPrefix(line[1:], " ")
	if line[0] == '+' {
		if !r.open {
			return fmt.Errorf("[%s]: new text without old", r.last.name)
		}
		e := &(*edits)[len(*edits)-1]
		e.new += text + "\n"
		return nil
	}
	if r.open && (*edits)[len(*edits)-1].new == "" {
		e := &(*edits)[len(*edits)-1]
		e.old += "\n" + text
		return nil
	}
	*edits = append(*edits, edit{file: r.file, old: text})
	r.open = true
	return nil
}

// inheritThreats gives a record without a threat that of the one before it in
// the chapter.
func (r *reader) inheritThreats() error {
	for _, c := range r.chapters {
		threat, cve := "", ""
		for _, d := range c.defences {
			if d.threat == "" {
				if threat == "" {
					return fmt.Errorf("%d: [%s] has no threat", d.line, d.name)
				}
				d.threat = threat
				if d.cve == "" {
					d.cve = cve
				}
			}
			threat, cve = d.threat, d.cve
		}
	}
	return nil
}

// fault says what a record lacks, or is empty.
func (d *defence) fault() string {
	switch {
	case d.sentence == "":
		return "no defence"
	case len(d.edits) == 0:
		return "no edit that takes it out"
	case d.equivalent == "" && len(d.tests) == 0:
		return "no test"
	case d.equivalent != "" && len(d.tests) > 0:
		return "a test and a reason why there can be none"
	}
	return ""
}

func find(chapters []*chapter, name string) *defence {
	for _, c := range chapters {
		for _, d := range c.defences {
			if d.name == name {
				return d
			}
		}
	}
	return nil
}

func all(chapters []*chapter) []*defence {
	var list []*defence
	for _, c := range chapters {
		list = append(list, c.defences...)
	}
	return list
}

// apply returns text with the edit made. The old text must be there exactly
// once; space at the ends of its lines does not count, so that a change of
// indentation leaves the register true.
func (e edit) apply(text string) (string, error) {
	lines := strings.Split(e.old, "\n")
	for i, line := range lines {
		lines[i] = regexp.QuoteMeta(strings.TrimSpace(line))
	}
	places := regexp.MustCompile(strings.Join(lines, `[ \t]*\n[ \t]*`)).FindAllStringIndex(text, -1)
	if len(places) != 1 {
		return "", fmt.Errorf("%s has %d times %q, want once", e.file, len(places), e.old)
	}
	at := places[0]
	return text[:at[0]] + strings.TrimSuffix(e.new, "\n") + text[at[1]:], nil
}

// mutated returns the files that the defence's edits change, with the edits
// made, by their paths from the top.
func (d *defence) mutated(top string) (map[string]string, error) {
	files := map[string]string{}
	for _, e := range d.edits {
		text, ok := files[e.file]
		if !ok {
			data, err := os.ReadFile(filepath.Join(top, e.file))
			if err != nil {
				return nil, err
			}
			text = string(data)
		}
		text, err := e.apply(text)
		if err != nil {
			return nil, err
		}
		files[e.file] = text
	}
	return files, nil
}

// files lists the files that hold the defence.
func (d *defence) files() []string {
	var list []string
	for _, e := range d.edits {
		if !slices.Contains(list, e.file) {
			list = append(list, e.file)
		}
	}
	return list
}
