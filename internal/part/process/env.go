package process

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/hutch-project/hutch/internal/program"
)

// Env emits the environment for execve and returns it: p's with extra after it, and what
// askHome emits when they leave HOME empty. It comes when the process has the ids and the
// capabilities of the container's.
func Env(b *program.Builder, proc *specs.Process, extra []string, askHome func(*program.Builder) program.Mem) program.Mem {
	const word = strconv.IntSize / 8
	list := make([]program.Mem, 0, len(proc.Env)+len(extra)+1)
	b = b.Element(program.T("process.env"))
	add := func(v string) {
		if strings.IndexByte(v, 0) >= 0 {
			b.Fault(fmt.Errorf("%q %w", v, program.ErrNul))
			return
		}
		list = append(list, b.Bytes(append([]byte(v), 0)))
	}
	home := false
	for _, v := range last(proc.Env) {
		if value, is := strings.CutPrefix(v, "HOME="); is {
			if value == "" {
				continue
			}
			home = true
		}
		add(v)
	}
	for _, v := range extra {
		add(v)
	}
	if !home { // last, when nothing else has it
		list = append(list, askHome(b))
	}
	m := b.Zero((len(list) + 1) * word)
	for i, v := range list {
		b.Pointer(m, uint32(i*word), v)
	}
	return m
}

// last returns env without the variables that stand there again: a program would
// take the first, and what an engine appends is meant to win.
func last(env []string) []string {
	names := make(map[string]bool, len(env))
	out := make([]string, len(env))
	i := len(out)
	for j := len(env) - 1; j >= 0; j-- {
		name, _, _ := strings.Cut(env[j], "=")
		if !names[name] {
			names[name] = true
			i--
			out[i] = env[j]
		}
	}
	return out[i:]
}
