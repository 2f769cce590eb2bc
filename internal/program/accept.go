package program

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// accept checks a message against the program and moves on. A failure is returned as
// the *Error that it tells of.
func (c *Child) accept(m *message, data, fd int) error {
	pc := int(m.pc)
	if m.pc >= uint32(len(c.p.Child)) || !c.p.reaches(c.at, pc) {
		return c.refuse(m, "the child cannot have come there")
	}
	in := &c.p.Child[pc]
	if m.tag == tagFailed {
		if fd >= 0 || data > 0 {
			return c.refuse(m, "a failure carries nothing")
		}
		return c.p.Failure(pc, unix.Errno(m.value))
	}
	switch {
	case in.NR != m.tag:
		return c.refuse(m, "the instruction tells another")
	case in.Op == OpTell && data == 0 && fd < 0:
	case in.Op == OpTellData && fd < 0 && m.value == int64(data):
	case in.Op == OpTellFd && data == 0 && fd >= 0:
	default:
		return c.refuse(m, "the instruction sends no such message")
	}
	c.at = pc + 1
	if f := c.p.forkTold(pc); f != nil {
		c.at = int(f.child) // the second process goes on
	}
	return nil
}

// forkTold is the fork that the instruction pc tells of, nil for none.
func (p *Program) forkTold(pc int) *forked {
	for i := range p.forks {
		if int(p.forks[i].tell) == pc {
			return &p.forks[i]
		}
	}
	return nil
}

func (c *Child) refuse(m *message, why string) error {
	return fmt.Errorf("program: message %#x of instruction %d: %s: it is not the program's", m.tag, m.pc, why)
}

// reaches reports whether a process at the instruction from can come to the
// instruction to without telling the parent anything on the way.
func (p *Program) reaches(from, to int) bool {
	if len(p.seen) < len(p.Child) {
		p.seen = make([]uint32, len(p.Child))
	}
	p.mark++
	todo := append(p.todo[:0], int32(from))
	for len(todo) > 0 {
		pc := int(todo[len(todo)-1])
		todo = todo[:len(todo)-1]
		for pc < len(p.Child) && p.seen[pc] != p.mark {
			if pc == to {
				p.todo = todo
				return true
			}
			p.seen[pc] = p.mark
			in := &p.Child[pc]
			next := pc + 1
			switch in.Op {
			case OpJump:
				next = int(in.To)
			case OpIf:
				if p.forkTold(next) == nil { // else the second process, which waits until it is told of
					todo = append(todo, int32(in.To))
				}
			case OpSys:
				if in.OnErr == JumpOn {
					todo = append(todo, int32(in.To))
				}
			case OpTell, OpTellData, OpTellFd, OpFail, OpExit:
				next = len(p.Child)
			}
			pc = next
		}
	}
	p.todo = todo
	return false
}
