// Package hook runs the hooks of a configuration: programs that are told the
// container's state on their standard input.
//
// What each kind of failure means, by runtime.md "Lifecycle" of version 1.3.0:
//
//	prestart, createRuntime,        an error; the container is destroyed and
//	createContainer,                the lifecycle goes on at step 12, so the
//	startContainer, poststart       poststop hooks run: Run
//	poststop                        a warning; the remaining hooks run: RunAll
//
// For poststart that is a change of the specification: up to version 1.0 its
// failure was a warning as well.
//
// prestart, createRuntime, poststart and poststop hooks run in the runtime's
// namespaces, which this package does by itself. createContainer hooks run in
// the container's; Options.Start makes those. startContainer hooks are init's children:
// Failure is what came of one.
package hook

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/fault"
)

// Options say how hooks are run.
type Options struct {
	// Dir is the working directory of hooks in the runtime's namespaces: the
	// bundle, absolute. Empty is the caller's.
	Dir string
	// Env returns the environment of a hook that has none; nil stands for an empty one.
	Env func() []string
	// Ignored are the signals that this process ignores. A hook in its namespaces does
	// not inherit that.
	Ignored []unix.Signal
	// Output are the files for what hooks write.
	Output Output
	// Start makes the process of a hook elsewhere than in the runtime's
	// namespaces; nil stands for those. The process must be a child of the
	// caller and lead a process group of its own, have std as its standard
	// descriptors, and no other one.
	// Start returns when the hook's program is executed. The pidfd becomes
	// Run's, which also reaps the process.
	Start func(h specs.Hook, std [3]*os.File) (pidfd, pid int, err error)
	// Init is a pidfd of the container's init, or nil: when that ends a hook that still
	// runs is killed, and has failed with ErrEnded. Hooks that run before the container
	// has started serve nobody then, and whoever runs them holds its lock.
	Init *int
	// Deleted, when not nil, is asked from time to time whether the container has been
	// deleted; then a hook is killed, and has failed with ErrDeleted.
	Deleted func() bool
}

// What ends a hook before its time.
var (
	ErrEnded   = errors.New("the container's init has ended meanwhile; killed")
	ErrDeleted = errors.New("the container was deleted meanwhile; killed")
)

// Run runs the hooks in their order up to the first that fails. Kind is their
// name in the configuration, as in createRuntime; state is the JSON that each
// gets on its standard input.
//
// A hook's environment is what its env says and nothing else, as execv has it, or that of Options;
// nothing of the image's is handed on, where an LD_PRELOAD would run foreign code on the host. A
// hook that does not read its input is no error. A hook's output goes to the files of Options; that
// of a stream without one is shown in the error only. One that is over its timeout is killed with
// its process group.
//
// Source: runtime-spec config.md "POSIX-platform Hooks".
func Run(hooks []specs.Hook, kind string, state []byte, o Options) error {
	for i := range hooks {
		if err := run(&hooks[i], state, &o); err != nil {
			return fmt.Errorf("hooks.%s[%d]: %w", kind, i, err)
		}
	}
	return nil
}

// RunAll runs all hooks as Run does, goes on after one that fails, and returns
// what failed, in words.
func RunAll(hooks []specs.Hook, kind string, state []byte, o Options) (warnings []string) {
	for i := range hooks {
		if err := run(&hooks[i], state, &o); err != nil {
			warnings = append(warnings, fmt.Sprintf("hooks.%s[%d]: %v", kind, i, err))
		}
	}
	return warnings
}

// run runs one hook to its end.
func run(h *specs.Hook, state []byte, opts *Options) error {
	if err := checkTimeout(h); err != nil {
		return err
	}
	a, err := newAttendance(state, opts)
	if err != nil {
		return fmt.Errorf("run %s: %w", fault.Line(h.Path), err)
	}
	defer a.close()
	start := opts.Start
	if start == nil {
		start = opts.startHere
	}
	stdout, stderr, done, err := opts.Output.files(a.stdout)
	if err != nil {
		return err
	}
	a.pidfd, a.pid, err = start(*h, [3]*os.File{a.stdin, stdout, stderr})
	done()
	a.started()
	if err != nil {
		a.pidfd = -1
		if unix.Access(h.Path, unix.F_OK) == unix.ENOENT {
			return fmt.Errorf("run %s: %w; hooks but startContainer are programs of the host, not of root.path", fault.Line(h.Path), err)
		}
		return fmt.Errorf("run %s: %w", fault.Line(h.Path), err)
	}
	return a.attend(h)
}

// startHere makes the process of a hook in the runtime's namespaces.
func (o *Options) startHere(h specs.Hook, std [3]*os.File) (pidfd, pid int, err error) {
	args := h.Args
	if len(args) == 0 {
		args = []string{h.Path}
	}
	env := h.Env
	if env == nil && o.Env != nil {
		env = o.Env()
	}
	if env == nil { // to ForkExec nil is the caller's
		env = []string{}
	}
	files := []uintptr{std[0].Fd(), std[1].Fd(), std[2].Fd()}
	last, err := lastInherited()
	if err != nil {
		return -1, 0, err
	}
	for len(files) <= last {
		files = append(files, ^uintptr(0)) // closed in the child
	}
	pidfd = -1
	defer unignore(o.Ignored)()
	pid, err = syscall.ForkExec(h.Path, args, &syscall.ProcAttr{
		Dir:   o.Dir,
		Env:   env,
		Files: files,
		Sys:   &syscall.SysProcAttr{Setpgid: true, PidFD: &pidfd},
	})
	if err != nil {
		return -1, 0, o.explain(h.Path, err)
	}
	return pidfd, pid, nil
}

// explain tells apart what one errno of fork and execve may mean.
func (o *Options) explain(path string, err error) error {
	if !errors.Is(err, unix.ENOENT) {
		return err
	}
	if o.Dir != "" && unix.Access(o.Dir, unix.F_OK) == unix.ENOENT {
		return fmt.Errorf("chdir to the bundle %s: %w", o.Dir, err)
	}
	if unix.Access(path, unix.F_OK) == nil {
		return fmt.Errorf("%w: the file is there, its interpreter (the #! line, or the dynamic linker) is not", err)
	}
	return err
}
