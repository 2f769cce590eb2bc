// Package list writes a program in words, for people and as JSON: what each instruction
// does, with the names of the kernel's constants and the fields of its structures.
//
// Do not use this package to learn what a program does: package verify reads the
// instructions themselves.
package list

import (
	"io"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/jsontext"

	"github.com/hutch-project/hutch/internal/program"
)

// Options say how a listing is written.
type Options struct {
	// TagName names the tags of messages and barriers; where it is nil, or
	// gives the empty string, the tag's number is written.
	TagName func(tag uint32) string
}

// Line is one instruction in words. Registers are $1, $2, … in the order in
// which they appear ($socket is the one to the parent), memory that calls write
// to is buf1, buf2, …, and @n is the arena's offset n, where nothing better is
// known.
type Line struct {
	Section string   `json:"section"`           // parent or child
	PC      int      `json:"pc"`                // index in the section, which jumps name
	Call    string   `json:"call"`              // the system call, or jump, if, tell parent, wait for parent, fail, exit
	Args    []string `json:"args"`              // never nil
	Result  string   `json:"result,omitempty"`  // register that takes the result
	OnError string   `json:"onError,omitempty"` // what follows an error; empty: the program ends
	Element string   `json:"element,omitempty"` // of config.json
	Doing   string   `json:"doing,omitempty"`
	Step    string   `json:"step,omitempty"`
}

// Lines returns the instructions of a program that was not run, those of the
// parent section first. o may be nil.
func Lines(p *program.Program, o *Options) []Line {
	l := newLister(p, o)
	out := make([]Line, 0, len(p.Parent)+len(p.Child))
	out = l.section(out, "parent", p.Parent)
	return l.section(out, "child", p.Child)
}

func (l *lister) section(out []Line, name string, s []program.Instr) []Line {
	for pc := range s {
		in := &s[pc]
		line := Line{Section: name, PC: pc, Args: []string{}}
		note := l.p.Note(in)
		line.Element, line.Doing, line.Step = note.Element.String(), note.Doing.String(), note.Step.String()
		l.instr(&line, in)
		out = append(out, line)
	}
	return out
}

// instr fills in what in does.
func (l *lister) instr(line *Line, in *program.Instr) {
	to := "go to " + strconv.Itoa(int(in.To))
	switch in.Op {
	case program.OpSys:
		line.Call, line.Args = program.CallName(uintptr(in.NR)), l.args(in)
		if in.Dst != 0 {
			line.Result = l.place(uint64(in.Dst), 8)
		}
		switch {
		case in.OnErr == program.Next:
			line.OnError = "ignored"
		case in.OnErr == program.JumpOn && in.Errno == 0:
			line.OnError = "on any error " + to
		case in.OnErr == program.JumpOn:
			line.OnError = "on " + errnoWord(in.Errno) + " " + to
		}
	case program.OpJump:
		line.Call, line.Args = "jump", []string{to}
	case program.OpIf:
		line.Call, line.Args = "if", []string{l.condition(in), to}
	case program.OpTell:
		line.Call, line.Args = "tell parent", []string{l.tagWord(in.NR)}
		if a := in.Args[0]; a != (program.Arg{}) {
			line.Args = append(line.Args, l.plain(a))
		}
	case program.OpTellData, program.OpTellFd:
		line.Call, line.Args = "tell parent", append([]string{l.tagWord(in.NR)}, l.more(in)...)
	case program.OpWait:
		line.Call, line.Args = "wait for parent", []string{l.tagWord(in.NR)}
		if n := in.Args[1].Word(); n != 1 {
			line.Args = append(line.Args, intWord(n)+" bytes into "+l.place(in.Args[0].Word(), n))
		}
	case program.OpClose:
		line.Call, line.Args = "close each", []string{l.plain(in.Args[0]) + " to " + l.plain(in.Args[1])}
	case program.OpFail:
		line.Call, line.Args = "fail", []string{errnoWord(in.Errno)}
	case program.OpExit:
		line.Call, line.Args = "exit", []string{l.plain(in.Args[0])}
	default:
		line.Call = "instruction of kind " + strconv.Itoa(int(in.Op))
	}
}

// more returns what an OpTellData or OpTellFd sends beside its tag: the bytes, or the value,
// where there is one, and the descriptor.
func (l *lister) more(in *program.Instr) []string {
	if in.Op == program.OpTellData {
		return []string{l.plain(in.Args[3]) + " bytes of " + l.start(uint64(l.p.TellsData(in)))}
	}
	fd := "descriptor " + l.plain(in.Args[2])
	if in.Args[0] == (program.Arg{}) {
		return []string{fd}
	}
	return []string{l.plain(in.Args[0]), fd}
}

// condition writes the comparison of an OpIf.
func (l *lister) condition(in *program.Instr) string {
	width := uint64(in.Width)
	text := l.place(in.Args[0].Word(), width)
	all := ^uint64(0)
	if width < 8 {
		all = 1<<(8*width) - 1
	}
	if mask := in.Args[1].Word(); mask&all != all {
		text += " & " + hexWord(mask)
	}
	op := " >= "
	switch in.Cmp {
	case program.Eq:
		op = " == "
	case program.Ne:
		op = " != "
	case program.Lt:
		op = " < "
	}
	v := in.Args[2].Word()
	if e := -int64(v); e > 0 && e < 4096 && unix.ErrnoName(unix.Errno(e)) != "" && (in.Cmp == program.Eq || in.Cmp == program.Ne) {
		return text + op + "-" + errnoWord(unix.Errno(e))
	}
	if width < 8 && v >= 10 {
		return text + op + hexWord(v)
	}
	return text + op + intWord(v)
}

// tagWord returns the quoted name of a tag, or its number.
func (l *lister) tagWord(tag uint32) string {
	if l.tag != nil {
		if s := l.tag(tag); s != "" {
			return strconv.Quote(s)
		}
	}
	return strconv.FormatUint(uint64(tag), 10)
}

func errnoWord(e unix.Errno) string {
	if s := unix.ErrnoName(e); s != "" {
		return s
	}
	return "errno " + strconv.Itoa(int(e))
}

// commentColumn is where comments begin, when the instruction is not longer.
const commentColumn = 72

// WriteText writes lines for people: a heading for each section and each
// element, and a line an instruction.
func WriteText(w io.Writer, lines []Line) error {
	var buf []byte
	section, element := "", ""
	for i := range lines {
		l := &lines[i]
		if i == 0 || l.Section != section {
			if i > 0 {
				buf = append(buf, '\n')
			}
			buf = append(append(buf, l.Section...), ":\n"...)
			section, element = l.Section, ""
		}
		if l.Element != element {
			element = l.Element
			buf = append(append(append(buf, "\n# "...), element...), '\n')
		}
		buf = append(l.appendText(buf), '\n')
	}
	_, err := w.Write(buf)
	return err
}

// appendText appends l as WriteText has it, without the element and the newline.
func (l *Line) appendText(buf []byte) []byte {
	start := len(buf)
	pc := strconv.Itoa(l.PC)
	buf = append(append(buf, "     "[min(len(pc), 5):]...), pc...)
	buf = append(append(buf, "  "...), l.Call...)
	switch l.Call {
	case "jump", "if", "tell parent", "wait for parent", "fail", "exit":
		for i, a := range l.Args {
			if i > 0 && l.Call != "if" {
				buf = append(buf, ',')
			}
			buf = append(append(buf, ' '), a...)
		}
	default:
		buf = append(append(append(buf, '('), strings.Join(l.Args, ", ")...), ')')
	}
	if l.Result != "" {
		buf = append(append(buf, " -> "...), l.Result...)
	}
	if l.OnError != "" {
		buf = append(append(buf, "; "...), l.OnError...)
		if l.OnError == "ignored" {
			buf = append(buf[:len(buf)-len("ignored")], "errors ignored"...)
		}
	}
	comment := l.Doing
	if comment != "" && l.Step != "" {
		comment += ": "
	}
	if comment += l.Step; comment == "" {
		return buf
	}
	for n := len(buf) - start; n < commentColumn; n++ {
		buf = append(buf, ' ')
	}
	return append(append(buf, "  # "...), comment...)
}

// WriteJSON writes lines as an array of objects with the names of Line's tags.
func WriteJSON(w io.Writer, lines []Line) error {
	b := []byte{'['}
	for i := range lines {
		if i > 0 {
			b = append(b, ',')
		}
		b = lines[i].appendJSON(append(b, '\n'))
	}
	_, err := w.Write(append(b, "\n]\n"...))
	return err
}

func (l *Line) appendJSON(buf []byte) []byte {
	buf = jsontext.AppendString(append(buf, `{"section":`...), l.Section)
	buf = strconv.AppendInt(append(buf, `,"pc":`...), int64(l.PC), 10)
	buf = jsontext.AppendString(append(buf, `,"call":`...), l.Call)
	buf = append(buf, `,"args":[`...)
	for i, a := range l.Args {
		if i > 0 {
			buf = append(buf, ',')
		}
		buf = jsontext.AppendString(buf, a)
	}
	buf = append(buf, ']')
	for _, f := range [...]struct{ name, value string }{
		{"result", l.Result}, {"onError", l.OnError}, {"element", l.Element}, {"doing", l.Doing}, {"step", l.Step},
	} {
		if f.value != "" {
			buf = append(append(append(buf, `,"`...), f.name...), `":`...)
			buf = jsontext.AppendString(buf, f.value)
		}
	}
	return append(buf, '}')
}
