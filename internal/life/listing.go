package life

import (
	"fmt"
	"io"
	"strconv"

	"github.com/hutch-project/hutch/internal/compile"
	"github.com/hutch-project/hutch/internal/program"
	"github.com/hutch-project/hutch/internal/program/list"
)

// Plan returns what Create would do with the bundle, and does nothing of it. It needs no root:
// what only root could ask of the host is taken to be as on a usual host.
func (r *Runtime) Plan(o *CreateOptions) (*Plan, error) {
	q := r.planRequest(o, "plan")
	if err := q.read(r); err != nil {
		return nil, fmt.Errorf("plan: %w", err)
	}
	p, err := r.planOnly(q)
	if err != nil {
		return nil, fmt.Errorf("plan: %w", err)
	}
	r.debugUnknownCalls(p.out)
	return p, nil
}

// planRequest returns the request of a Create that is not made, of a container id if o names
// none.
func (r *Runtime) planRequest(o *CreateOptions, id string) *request {
	o = o.named(id)
	return &request{CreateOptions: o, manager: r.CgroupManager, stateDir: r.stateDir(o.ID), fifo: true}
}

// planOnly plans and compiles q, whose bundle has been read.
func (r *Runtime) planOnly(q *request) (*Plan, error) {
	if err := q.planUnit(r); err != nil {
		return nil, err
	}
	h, err := usualHost(q)
	if err != nil {
		return nil, err
	}
	defer h.close()
	p, err := r.plan(q, h)
	if err != nil {
		return nil, err
	}
	return p, p.compile(nil)
}

// lines returns the program, its two sections, and behind them the parent's half.
func (p *Plan) lines() []list.Line {
	lines := list.Lines(p.out.Program, &list.Options{TagName: compile.TagName})
	return append(lines, p.runtimeLines()...)
}

// runtimeLines lists what the runtime does at which message of init, in the order of the
// program: the work at a barrier, or else what the handler of the message does. What the
// program may send several times for one element is one line.
func (p *Plan) runtimeLines() []list.Line {
	var lines []list.Line
	handlers := (&maker{request: *p.request, plan: p}).allHandlers()
	seen := map[string]bool{}
	add := func(tag uint32, element, doing string) {
		line := list.Line{
			Section: "runtime", PC: len(lines), Call: "on", Args: []string{strconv.Quote(compile.TagName(tag))},
			Element: element, Doing: doing,
		}
		if key := line.Args[0] + element + "\n" + doing; !seen[key] {
			seen[key] = true
			lines = append(lines, line)
		}
	}
	for pc := range p.out.Program.Child {
		in := &p.out.Program.Child[pc]
		switch in.Op {
		case program.OpTell, program.OpTellData, program.OpTellFd:
		default:
			continue
		}
		for i := range handlers {
			if h := &handlers[i]; h.matches(in.NR) && h.doing != "" {
				add(in.NR, p.out.Program.Note(in).Element.String(), h.doing)
			}
		}
		work := p.work.at(in.NR)
		if in.NR == compile.Loading { // then init is ready, and does not tell so
			work = p.work.at(compile.Ready)
		}
		for _, w := range work {
			add(in.NR, w.element, w.doing)
		}
	}
	return lines
}

// allHandlers returns the handlers of all messages of init's program.
func (m *maker) allHandlers() []handler {
	started := newServer("init", nil, nil)
	return append(append(m.handlers(), (&startHooks{}).handlers(started)...), started.executes())
}

// WriteText writes a line an instruction, with the config element it is for, and a line
// for each thing that the runtime does at a message of init.
func (p *Plan) WriteText(w io.Writer) error { return list.WriteText(w, p.lines()) }

// listingVersion is that of the JSON forms of plans and proofs, by docs/plan.schema.json and
// docs/proof.schema.json: its first number changes when a reader of the form before would
// fail.
const listingVersion = "1.0"

// WriteJSON writes an object with the lines of WriteText, by docs/plan.schema.json.
func (p *Plan) WriteJSON(w io.Writer) error {
	if _, err := io.WriteString(w, `{"version":"`+listingVersion+`","program":`); err != nil {
		return err
	}
	if err := list.WriteJSON(w, p.lines()); err != nil {
		return err
	}
	_, err := io.WriteString(w, "}\n")
	return err
}
