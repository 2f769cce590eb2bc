package process

import (
	"fmt"
	"strings"

	"golang.org/x/sys/unix"

	"hutch/libcontainer/program"
)

// defaultPath is searched when the environment has no PATH.
const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// Target is the program file that Lookup has found.
type Target struct {
	name  string
	paths []string
	found []program.Reg // 0 for the path that is there
}

// Lookup emits the search for the program name inside the container, as the
// process's user and from its working directory. The texts of its errors are
// matched by engines.
func Lookup(b *program.Builder, name string, env []string) *Target {
	t := &Target{name: name}
	b.Element(program.T("process.args[0]"))
	if strings.Contains(name, "/") {
		t.direct(b)
		return t
	}
	path := defaultPath
	for _, v := range env {
		if p, ok := strings.CutPrefix(v, "PATH="); ok {
			path = p
		}
	}
	done := b.Label()
	b.Doing(program.T("exec: %q: executable file not found in $PATH", name))
	for dir := range strings.SplitSeq(path, ":") {
		if dir == "" {
			dir = "."
		}
		t.candidate(b, strings.TrimSuffix(dir, "/")+"/"+name, done)
	}
	b.Fail(0)
	b.Bind(done)
	return t
}

// add makes path a candidate that is not found yet.
func (t *Target) add(b *program.Builder, path string) program.Reg {
	r := b.RegOf(-1)
	t.paths, t.found = append(t.paths, path), append(t.found, r)
	return r
}

// candidate emits the check of one file of PATH, and the jump to done.
func (t *Target) candidate(b *program.Builder, path string, done program.Label) {
	found, next, r, buf := t.add(b, path), b.Label(), b.Reg(), b.Zero(statxSize)
	t.stat(b, path, buf).To(r).Ignore()
	b.If(r, program.Ne, 0, next)
	b.IfWord(program.Mem{Off: buf.Off + statxMode, Len: 2}, unix.S_IFMT, program.Ne, unix.S_IFREG, next)
	t.access(b, path).To(found).Ignore()
	b.If(found, program.Eq, 0, done)
	b.Bind(next)
}

func (t *Target) stat(b *program.Builder, path string, buf program.Mem) program.Call {
	return b.Sys(unix.SYS_STATX, program.Imm(unix.AT_FDCWD), b.Str(path), program.Imm(0), program.Imm(unix.STATX_TYPE|unix.STATX_MODE), buf.Arg())
}

func (t *Target) access(b *program.Builder, path string) program.Call {
	return b.Sys(unix.SYS_FACCESSAT2, program.Imm(unix.AT_FDCWD), b.Str(path), program.Imm(unix.X_OK), program.Imm(unix.AT_EACCESS))
}

// direct emits the check of a name with a slash, whose errors are told.
func (t *Target) direct(b *program.Builder) {
	found, file, dir, buf := t.add(b, t.name), b.Label(), b.Label(), b.Zero(statxSize)
	mode := program.Mem{Off: buf.Off + statxMode, Len: 2}
	b.Doing(program.T("exec: %q", t.name))
	b.Step(program.T("stat %s", t.name))
	t.stat(b, t.name, buf)
	b.IfWord(mode, unix.S_IFMT, program.Eq, unix.S_IFREG, file)
	b.IfWord(mode, unix.S_IFMT, program.Eq, unix.S_IFDIR, dir)
	b.Step(program.T("is no regular file"))
	b.Fail(unix.EACCES)
	b.Bind(dir)
	b.Step(program.T("is a directory"))
	b.Fail(unix.EACCES)
	b.Bind(file)
	b.Step(program.Text{})
	b.Doing(program.Text{})
	b.Step(program.T("exec: %q", t.name))
	t.access(b, t.name).To(found)
}

// Execve emits the execution of the file that Lookup has found.
func (t *Target) Execve(b *program.Builder, args []string, env program.Mem) {
	b.Element(program.T("process.args[0]"))
	b.Step(program.T("exec: %q", t.name))
	argv := b.Strv(args)
	for i, path := range t.paths {
		next := b.Label()
		b.If(t.found[i], program.Ne, 0, next)
		b.Sys(unix.SYS_EXECVE, b.Str(path), argv.Arg(), env.Arg())
		b.Bind(next)
	}
}

// ExplainExec says what an errno of execve may mean when the file was there.
//
// Source: execve(2), "ERRORS".
func ExplainExec(errno unix.Errno) error {
	hints := [...]struct {
		errno unix.Errno
		text  string
	}{
		{unix.ENOENT, "the interpreter that the file names in its first line, or its dynamic loader, is missing in the root file system"},
		{unix.ENOEXEC, "the file is for another architecture, or a script without a first line as #!/bin/sh"},
		{unix.ELIBBAD, "the interpreter is no valid ELF file"},
		{unix.E2BIG, "process.args and process.env are too long together"},
		{unix.ENOMEM, "the container's memory limit is too low for the program"},
	}
	for _, h := range hints {
		if h.errno == errno {
			return fmt.Errorf("%w: %s", errno, h.text)
		}
	}
	return errno
}
