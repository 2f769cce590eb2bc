package program

import (
	"strconv"

	"github.com/hutch-project/hutch/internal/fault"
)

// Text is a format with up to two strings and one number, rendered only when
// somebody reads it: %s and %q take A, then B; %d takes I.
type Text struct {
	F    string
	A, B string
	I    int
}

// T returns a Text without a number.
func T(format string, s ...string) Text {
	t := Text{F: format}
	if len(s) > 0 {
		t.A = s[0]
	}
	if len(s) > 1 {
		t.B = s[1]
	}
	return t
}

// N returns a Text with a number.
func N(format string, i int) Text { return Text{F: format, I: i} }

// Note is where an instruction comes from and what it does it for.
type Note struct {
	Element Text // of config.json, as mounts[3]
	Doing   Text // the whole of which the instruction is a step: bind /data on /mnt
	Step    Text // what this instruction does: open source /data
}

// String joins the parts of n that are there.
func (n Note) String() string {
	s := ""
	for _, t := range [...]Text{n.Element, n.Doing, n.Step} {
		if t.F == "" {
			continue
		}
		if s != "" {
			s += ": "
		}
		s += t.String()
	}
	return s
}

// label is one part of the labels of instructions. A label is a chain of parts, each
// of which stands once for all that is below it.
type label struct {
	text  Text
	above int32 // index of the next part, 0 for none
	kind  labelKind
}

type labelKind uint8

// The parts, from the widest one on.
const (
	labelNone labelKind = iota // index 0
	labelElement
	labelDoing
	labelStep
)

func noteOf(labels []label, i int32) (n Note) {
	for i != 0 {
		l := &labels[i]
		switch l.kind {
		case labelElement:
			n.Element = l.text
		case labelDoing:
			n.Doing = l.text
		case labelStep:
			n.Step = l.text
		}
		i = l.above
	}
	return n
}

// Note returns where the instruction in comes from.
func (p *Program) Note(in *Instr) Note {
	if in.Note < 0 || int(in.Note) >= len(p.notes) {
		return Note{}
	}
	return noteOf(p.notes, in.Note)
}

// String renders t as one line.
func (t Text) String() string {
	out := make([]byte, 0, len(t.F)+len(t.A)+len(t.B)+8)
	strs := [2]string{t.A, t.B}
	n := 0
	for i := 0; i < len(t.F); i++ {
		c := t.F[i]
		if c != '%' || i+1 == len(t.F) {
			out = append(out, c)
			continue
		}
		i++
		switch t.F[i] {
		case 's', 'q':
			s := ""
			if n < len(strs) {
				s = strs[n]
			}
			n++
			if t.F[i] == 'q' {
				out = strconv.AppendQuote(out, s)
			} else {
				out = append(out, fault.Line(s)...)
			}
		case 'd':
			out = strconv.AppendInt(out, int64(t.I), 10)
		default:
			out = append(out, t.F[i])
		}
	}
	return string(out)
}
