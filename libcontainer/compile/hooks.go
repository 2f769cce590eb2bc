package compile

import (
	"runtime"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"hutch/libcontainer/process"
	"hutch/libcontainer/program"
	"hutch/libcontainer/rootfs"
)

// startContainer hooks run what the image has at their paths. So they are children of
// init, made when it is all that the container's process is to be: confined by the ids,
// the capabilities, the filter and the labels.
//
// Their input, the container's state, comes from start, which alone knows it, in frames,
// and lies in a file in memory from which each hook reads. Their output goes to another
// one; what is at its end goes with the report of a hook that has failed.
//
// Source: runtime-spec config.md "startContainer Hooks", "POSIX-platform Hooks".

// HookFrame is the length of a frame of the hooks' input: a word with the number of
// bytes that follow, then these and whatever. A frame with 0 is the last. It is as much as
// a fifo takes at once.
const HookFrame = 4096

// HookTail is how much of the output of a hook that has failed is told.
const HookTail = 2048

// startHooks are the hooks and the files that they read and write.
type startHooks struct {
	b       *program.Builder
	hooks   []specs.Hook
	in, out program.Reg
}

// newStartHooks emits the making of the files, nil where there are no hooks.
func newStartHooks(b *program.Builder, h *specs.Hooks) *startHooks {
	if h == nil || len(h.StartContainer) == 0 {
		return nil
	}
	s := &startHooks{b: b, hooks: h.StartContainer}
	b.Element(program.T("hooks.startContainer"))
	b.Doing(program.T("make files for input and output"))
	s.in, s.out = rootfs.MemFile(b, "state"), rootfs.MemFile(b, "output")
	return s
}

// receive emits the taking of the input, a frame after the other by the call read.
func (s *startHooks) receive(read func(program.Mem)) {
	b := s.b
	frame := b.Zero(HookFrame)
	again, done := b.Label(), b.Label()
	b.Element(program.T("hooks.startContainer"))
	b.Doing(program.T("take the container's state"))
	b.Bind(again)
	read(frame)
	b.If(frame.Reg(0), program.Eq, 0, done)
	b.Sys(unix.SYS_WRITE, program.Val(s.in), frame.At(8), program.Val(frame.Reg(0)))
	b.Jump(again)
	b.Bind(done)
}

// run emits the hooks, one after the other. env is the environment of those that have
// none of their own.
func (s *startHooks) run(env program.Mem) {
	for i := range s.hooks {
		s.hook(i, env)
	}
}

func (s *startHooks) hook(i int, env program.Mem) {
	b, h := s.b, &s.hooks[i]
	b.Element(program.N("hooks.startContainer[%d]", i))
	b.Doing(program.T("run %s", h.Path))
	b.Tell(HookBegins, b.RegOf(int64(i)))
	const seekSet = 0
	b.Sys(unix.SYS_LSEEK, program.Val(s.in), program.Imm(0), program.Imm(seekSet))
	b.Sys(unix.SYS_FTRUNCATE, program.Val(s.out), program.Imm(0))
	b.Sys(unix.SYS_LSEEK, program.Val(s.out), program.Imm(0), program.Imm(seekSet))
	pid, child, next := b.Reg(), b.Label(), b.Label()
	b.Step(program.T("clone (the seccomp profile must allow it)"))
	forkCall(b).To(pid)
	b.If(pid, program.Eq, 0, child)
	s.await(pid, next)
	b.Bind(child)
	s.execute(h, env)
	b.Bind(next)
}

// forkCall emits a clone without anything new, by the call that every profile of an
// engine allows: clone3 is hidden from programs by some.
//
// Source: clone(2), "C library/kernel differences".
func forkCall(b *program.Builder) program.Call {
	if runtime.GOARCH == "s390x" { // the stack comes first
		return b.Sys(unix.SYS_CLONE, program.Imm(0), program.Imm(uint64(unix.SIGCHLD)), program.Imm(0), program.Imm(0), program.Imm(0))
	}
	return b.Sys(unix.SYS_CLONE, program.Imm(uint64(unix.SIGCHLD)), program.Imm(0), program.Imm(0), program.Imm(0), program.Imm(0))
}

// await emits the wait for the hook's end. A hook that fails ends init.
func (s *startHooks) await(pid program.Reg, next program.Label) {
	b := s.b
	const seekSet, seekEnd = 0, 2
	status := b.Reg()
	word := b.Low32(status)
	b.Step(program.T("wait for its end"))
	b.Sys(unix.SYS_WAIT4, program.Val(pid), word.Arg(), program.Imm(0), program.Imm(0))
	b.IfWord(word, -1, program.Eq, 0, next)
	b.Step(program.T("read its output"))
	data, n, read, none := b.Zero(HookTail), b.Reg(), b.Label(), b.Label()
	b.Sys(unix.SYS_LSEEK, program.Val(s.out), program.Imm(int64(-HookTail)), program.Imm(seekEnd)).To(n).Ignore()
	b.If(n, program.Ge, 0, read)
	b.Sys(unix.SYS_LSEEK, program.Val(s.out), program.Imm(0), program.Imm(seekSet)).Ignore()
	b.Bind(read)
	b.Sys(unix.SYS_READ, program.Val(s.out), data.Arg(), program.Imm(data.Len)).To(n).Ignore()
	b.If(n, program.Lt, 1, none)
	b.TellData(HookOutput, data, n)
	b.Bind(none)
	b.Tell(HookFailed, status)
	b.Exit(1)
}

// execute emits the child's part.
func (s *startHooks) execute(h *specs.Hook, env program.Mem) {
	b := s.b
	b.Step(program.T("set up standard input and output"))
	b.Sys(unix.SYS_DUP3, program.Val(s.in), program.Imm(0), program.Imm(0))
	b.Sys(unix.SYS_DUP3, program.Val(s.out), program.Imm(1), program.Imm(0))
	b.Sys(unix.SYS_DUP3, program.Val(s.out), program.Imm(2), program.Imm(0))
	process.UnblockStep(b)
	args := h.Args
	if len(args) == 0 {
		args = []string{h.Path}
	}
	if h.Env != nil {
		env = b.Strv(h.Env)
	}
	b.Step(program.T("execute it"))
	b.Sys(unix.SYS_EXECVE, b.Str(h.Path), b.Strv(args).Arg(), env.Arg())
}
