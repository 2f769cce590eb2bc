package compile

import (
	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/part/process"
	"github.com/hutch-project/hutch/internal/part/rootfs"
	"github.com/hutch-project/hutch/internal/program"
	"github.com/hutch-project/hutch/internal/program/call"
)

// startContainer hooks run what the image has at their paths. So they are children of
// init, made when it is all that the container's process is to be: confined by the ids,
// the capabilities, the filter and the labels.
//
// Their input, the container's state, comes from start, which alone knows it, in frames,
// and lies in a file in memory from which each hook reads. Their output goes to another
// one; what is at its end goes with the report of a hook that has failed. Where the
// runtime has files for it, all goes to the runtime instead: a descriptor of the host's
// file would be the image's to keep.
//
// Source: runtime-spec config.md "startContainer Hooks", "POSIX-platform Hooks".

// HookFrame is the length of a frame of the hooks' input: a word with the number of
// bytes that follow, then these and whatever. A frame with 0 is the last. It is as much as
// a fifo takes at once.
const HookFrame = 4096

// HookTail is how much of the output of a hook that has failed is told.
const HookTail = 2048

// HookFiles are the standard streams of hooks for which the runtime has files.
type HookFiles struct{ Stdout, Stderr bool }

// startHooks are the hooks and the files that they read and write.
type startHooks struct {
	hooks    []specs.Hook
	in       program.Reg
	out, err program.Reg // the same where the runtime has no files
	files    HookFiles
}

// newStartHooks emits the making of the files, nil where there are no hooks.
func newStartHooks(b *program.Builder, h *specs.Hooks, files HookFiles) *startHooks {
	if h == nil || len(h.StartContainer) == 0 {
		return nil
	}
	s := &startHooks{hooks: h.StartContainer, files: files}
	b = b.Element(program.T("hooks.startContainer")).Doing(program.T("make files for input and output"))
	s.in, s.out = rootfs.MemFile(b, "state"), rootfs.MemFile(b, "output")
	s.err = s.out
	if files != (HookFiles{}) {
		s.err = rootfs.MemFile(b, "errors")
	}
	return s
}

// receive emits the taking of the input, a frame after the other by the call read.
func (s *startHooks) receive(b *program.Builder, read func(*program.Builder, program.Mem)) {
	frame := b.Zero(HookFrame)
	again, done := b.Label(), b.Label()
	b = b.Element(program.T("hooks.startContainer")).Doing(program.T("take the container's state"))
	b.Bind(again)
	read(b, frame)
	b.If(frame.Reg(0), program.Eq, 0, done)
	call.Write(b, call.In(s.in), program.Mem{Off: frame.Off + 8, Len: frame.Len - 8}, call.Value(frame.Reg(0)))
	b.Jump(again)
	b.Bind(done)
}

// run emits the hooks, one after the other. env is the environment of those that have
// none of their own.
func (s *startHooks) run(b *program.Builder, env program.Mem) {
	for i := range s.hooks {
		s.hook(b, i, env)
	}
}

func (s *startHooks) hook(b *program.Builder, i int, env program.Mem) {
	h := &s.hooks[i]
	b = b.Element(program.N("hooks.startContainer[%d]", i)).Doing(program.T("run %s", h.Path))
	b.Tell(HookBegins, b.RegOf(int64(i)))
	call.Lseek(b, call.In(s.in), call.N(0), call.SeekSet)
	s.empty(b, s.out)
	if s.err != s.out {
		s.empty(b, s.err)
	}
	pid, child, next := b.Reg(), b.Label(), b.Label()
	step := b.Step(program.T("clone (the seccomp profile must allow it)"))
	forkCall(step).To(pid)
	step.If(pid, program.Eq, 0, child)
	s.await(b, pid, next)
	b.Bind(child)
	s.execute(b, h, env)
	b.Bind(next)
}

// empty emits that a file has nothing in it.
func (s *startHooks) empty(b *program.Builder, file program.Reg) {
	call.Ftruncate(b, call.In(file), call.N(0))
	call.Lseek(b, call.In(file), call.N(0), call.SeekSet)
}

// forkCall emits a clone without anything new, by the call that every profile of an
// engine allows: clone3 is hidden from programs by some.
//
// Source: clone(2), "C library/kernel differences".
func forkCall(b *program.Builder) program.Call {
	return call.Clone(b, uint64(unix.SIGCHLD))
}

// await emits the wait for the hook's end. A hook that fails ends init.
func (s *startHooks) await(b *program.Builder, pid program.Reg, next program.Label) {
	status := b.Reg()
	word := b.Low32(status)
	step := b.Step(program.T("wait for its end"))
	call.Wait4(step, call.Value(pid), word, 0)
	if s.files.Stdout {
		s.hand(b, s.out, HookStdout)
	}
	if s.files.Stderr {
		s.hand(b, s.err, HookStderr)
	}
	step.IfWord(word, -1, program.Eq, 0, next)
	if !s.files.Stderr {
		s.tail(b, s.err)
	} else if !s.files.Stdout {
		s.tail(b, s.out)
	}
	step = b.Step(program.T("read its output"))
	step.Tell(HookFailed, status)
	step.Exit(1)
}

// tail emits that the runtime gets the end of a file, for the error.
func (s *startHooks) tail(b *program.Builder, file program.Reg) {
	step := b.Step(program.T("read its output"))
	data, n, read, none := b.Zero(HookTail), b.Reg(), b.Label(), b.Label()
	call.Lseek(step, call.In(file), call.N(int64(-HookTail)), call.SeekEnd).To(n).Ignore()
	step.If(n, program.Ge, 0, read)
	call.Lseek(step, call.In(file), call.N(0), call.SeekSet).Ignore()
	b.Bind(read)
	call.Read(step, call.In(file), data).To(n).Ignore()
	step.If(n, program.Lt, 1, none)
	step.TellData(HookOutput, data, n)
	b.Bind(none)
}

// hand emits that the runtime gets all of a file, piece by piece: no longer ones than a
// fifo takes at once.
func (s *startHooks) hand(b *program.Builder, file program.Reg, tag uint32) {
	step := b.Step(program.T("hand its output to the runtime"))
	data, n, next, done := b.Zero(HookTail), b.Reg(), b.Label(), b.Label()
	call.Lseek(step, call.In(file), call.N(0), call.SeekSet)
	b.Bind(next)
	call.Read(step, call.In(file), data).To(n).Ignore()
	step.If(n, program.Lt, 1, done)
	step.TellData(tag, data, n)
	b.Jump(next)
	b.Bind(done)
}

// execute emits the child's part.
func (s *startHooks) execute(b *program.Builder, hook *specs.Hook, env program.Mem) {
	step := b.Step(program.T("set up standard input and output"))
	call.Dup3(step, call.In(s.in), call.As(0), 0)
	call.Dup3(step, call.In(s.out), call.As(1), 0)
	call.Dup3(step, call.In(s.err), call.As(2), 0)
	process.UnblockStep(b)
	args := hook.Args
	if len(args) == 0 {
		args = []string{hook.Path}
	}
	if hook.Env != nil {
		env = b.Strv(hook.Env)
	}
	step = b.Step(program.T("execute it"))
	call.Execve(step, call.PathTo(b, hook.Path), call.Argv(b.Strv(args)), call.Envv(env))
}
