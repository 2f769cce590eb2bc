package program

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// Follower knows by the messages of a child where in its program it may be.
type Follower struct {
	p  *Program
	at int // where the child may have gone on since its last message
}

// Follow returns the Follower of a child that begins with p.
func (p *Program) Follow() Follower { return Follower{p: p} }

// Accept checks a message against the program and moves on: it carries data bytes, and
// a descriptor where fd is true. A failure is returned as the *Error that it tells of.
func (f *Follower) Accept(m *Message, data int, fd bool) error {
	pc := int(m.PC)
	if m.PC >= uint32(len(f.p.Child)) || !f.p.reaches(f.at, pc) {
		return refuse(m, "the child cannot have come there")
	}
	in := &f.p.Child[pc]
	if m.Tag == tagFailed {
		if fd || data > 0 {
			return refuse(m, "a failure carries nothing")
		}
		return f.p.Failure(pc, unix.Errno(m.Value))
	}
	switch {
	case in.NR != m.Tag:
		return refuse(m, "the instruction tells another")
	case in.Op == OpTell && data == 0 && !fd:
	case in.Op == OpTellData && !fd && m.Value == int64(data):
	case in.Op == OpTellFd && data == 0 && fd:
	default:
		return refuse(m, "the instruction sends no such message")
	}
	f.at = pc + 1
	if fork := f.p.forkTold(pc); fork != nil {
		f.at = int(fork.child) // the second process goes on
	}
	return nil
}

func refuse(m *Message, why string) error {
	return fmt.Errorf("program: message %#x of instruction %d: %s: it is not the program's", m.Tag, m.PC, why)
}

// forkTold returns the fork that the instruction pc tells of, nil for none.
func (p *Program) forkTold(pc int) *forked {
	for i := range p.forks {
		if int(p.forks[i].tell) == pc {
			return &p.forks[i]
		}
	}
	return nil
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
