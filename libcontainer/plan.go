package libcontainer

import (
	"fmt"
	"io"

	"hutch/libcontainer/compile"
	"hutch/libcontainer/program"
)

// Plan is the program of a container that is not run.
type Plan struct {
	lines []program.Line
}

// Plan compiles the bundle as Create would, and runs nothing. It needs no root:
// what only root could ask of the host is taken to be as on a usual host.
func (r *Runtime) Plan(o *CreateOptions) (*Plan, error) {
	b := &build{r: r, o: o, fifo: true, planning: true}
	if b.o.ID == "" {
		b.o.ID = "plan"
	}
	for _, step := range [...]func() error{b.load, b.planCgroup, b.compile} {
		if err := step(); err != nil {
			return nil, fmt.Errorf("plan: %w", err)
		}
	}
	return &Plan{b.out.Program.List(&program.ListOptions{TagName: compile.TagName})}, nil
}

// WriteText writes a line an instruction, with the config element it is for.
func (p *Plan) WriteText(w io.Writer) error { return program.WriteText(w, p.lines) }

// WriteJSON writes an array of objects, one an instruction.
func (p *Plan) WriteJSON(w io.Writer) error { return program.WriteJSON(w, p.lines) }
