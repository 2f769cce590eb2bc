package process

import (
	"fmt"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/program"
	"github.com/hutch-project/hutch/internal/program/call"
	"github.com/hutch-project/hutch/internal/program/call/idiom"
)

// defaultPath is searched when the environment has no PATH.
const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// Target is the program file that Lookup has found. A program has no pointers in
// registers, so there is one execve for each path that was looked at, and a
// register for each says whether it is the one.
type Target struct {
	name    string
	paths   []string
	found   []program.Reg // 0 for the path that is there
	explain bool
}

// Lookup emits the search for the program name inside the
// container, as the process's user and from its working directory: a name with a slash is the
// file, any other is looked for in the directories of the PATH of env, an empty one being the
// working directory. The texts of its errors are matched by engines:
//
//	exec: "X": executable file not found in $PATH
//	exec: "/x": stat /x: no such file or directory
//	exec: "/x": permission denied
//	exec: "/x": is a directory: permission denied
//
// With explain a file that cannot be executed for its mount is told apart.
//
// Source: execvp(3); faccessat2(2).
func Lookup(b *program.Builder, name string, env []string, explain bool) *Target {
	target := &Target{name: name, explain: explain}
	b = b.Element(program.T("process.args[0]"))
	if strings.Contains(name, "/") {
		target.direct(b)
		return target
	}
	path := pathOf(env)
	done, buf, r := b.Label(), b.Zero(idiom.StatxSize), b.Reg()
	b = b.Doing(program.T("exec: %q: executable file not found in $PATH", name))
	for dir := range strings.SplitSeq(path, ":") {
		if dir == "" {
			dir = "."
		}
		target.candidate(b, strings.TrimSuffix(dir, "/")+"/"+name, buf, r, done)
	}
	target.explainAll(b)
	b.Fail(0)
	b.Bind(done)
	return target
}

// noexec is what is told of a file on a mount with noexec.
const noexec = "the mount that the file is on has noexec: take that out of mounts[].options, or remount what root.path is on with exec"

// onNoexec emits the question whether the mount of path has noexec, and goes on at yes.
func onNoexec(b *program.Builder, path string, buf program.Mem, yes program.Label) {
	call.Statfs(b, call.PathTo(b, path), buf).Ignore()
	b.IfWord(idiom.StatfsFlags(buf), unix.ST_NOEXEC, program.Ne, 0, yes)
}

// explainAll emits the end of a search whose files could all not be executed, where one was
// on a mount with noexec.
func (t *Target) explainAll(b *program.Builder) {
	if !t.explain {
		return
	}
	buf, yes, no := b.Zero(idiom.StatfsSize), b.Label(), b.Label()
	for i, path := range t.paths {
		next := b.Label()
		b.If(t.found[i], program.Ne, -int64(unix.EACCES), next)
		onNoexec(b, path, buf, yes)
		b.Bind(next)
	}
	b.Jump(no)
	b.Bind(yes)
	b.Step(program.T(noexec)).Fail(0)
	b.Bind(no)
}

// pathOf returns the directories in which programs are looked for.
func pathOf(env []string) string {
	path := defaultPath
	for _, v := range env {
		if p, ok := strings.CutPrefix(v, "PATH="); ok {
			path = p
		}
	}
	return path
}

// Candidates returns the paths at which Lookup looks for the program name of a process with
// the working directory cwd, in order.
func Candidates(name, cwd string, env []string) []string {
	absolute := func(file string) string {
		if strings.HasPrefix(file, "/") {
			return filepath.Clean(file)
		}
		return filepath.Join("/", cwd, file)
	}
	if strings.Contains(name, "/") {
		return []string{absolute(name)}
	}
	var out []string
	for dir := range strings.SplitSeq(pathOf(env), ":") {
		out = append(out, absolute(dir+"/"+name))
	}
	return out
}

// add makes path a candidate that is not found yet.
func (t *Target) add(b *program.Builder, path string) program.Reg {
	r := b.RegOf(-1)
	t.paths, t.found = append(t.paths, path), append(t.found, r)
	return r
}

// candidate emits the check of one file of PATH, and the jump to done. A file
// that is none or cannot be executed is passed over.
func (t *Target) candidate(b *program.Builder, path string, buf program.Mem, r program.Reg, done program.Label) {
	found, next := t.add(b, path), b.Label()
	stat(b, path, buf).To(r).Ignore()
	b.If(r, program.Ne, 0, next)
	b.IfWord(idiom.FileMode(buf), unix.S_IFMT, program.Ne, unix.S_IFREG, next)
	access(b, path, found)
	b.If(found, program.Eq, 0, done)
	b.Bind(next)
}

// direct emits the check of a name with a slash, whose errors are told.
func (t *Target) direct(b *program.Builder) {
	found, file, dir, buf := t.add(b, t.name), b.Label(), b.Label(), b.Zero(idiom.StatxSize)
	b = b.Doing(program.T("exec: %q", t.name))
	step := b.Step(program.T("stat %s", t.name))
	stat(step, t.name, buf)
	step.IfWord(idiom.FileMode(buf), unix.S_IFMT, program.Eq, unix.S_IFREG, file)
	step.IfWord(idiom.FileMode(buf), unix.S_IFMT, program.Eq, unix.S_IFDIR, dir)
	b.Step(program.T("is no regular file")).Fail(unix.EACCES)
	b.Bind(dir)
	b.Step(program.T("is a directory")).Fail(unix.EACCES)
	b.Bind(file)
	// A step, so that the call is not named.
	step = b.Element(program.T("process.args[0]")).Step(program.T("exec: %q", t.name))
	access(step, t.name, found)
	ok, old := b.Label(), b.Label()
	step.If(found, program.Eq, 0, ok)
	step.If(found, program.Ne, -int64(unix.EACCES), old)
	if t.explain {
		mount, no := b.Label(), b.Label()
		onNoexec(step, t.name, b.Zero(idiom.StatfsSize), mount)
		step.Jump(no)
		b.Bind(mount)
		b.Doing(program.T("exec: %q", t.name)).Step(program.T(noexec)).Fail(unix.EACCES)
		b.Bind(no)
	}
	step.Fail(unix.EACCES)
	b.Bind(old) // the call says what else is wrong
	call.Faccessat(step, call.Cwd(), call.PathTo(b, t.name), unix.X_OK).To(found)
	b.Bind(ok)
}

// stat emits statx of path with the type of the file.
func stat(b *program.Builder, path string, buf program.Mem) program.Call {
	return call.Statx(b, call.Cwd(), call.PathTo(b, path), 0, unix.STATX_TYPE, buf)
}

// access emits the question whether the process's effective ids may execute
// path, with the answer in r; a mount without exec says no. Where a filter around Hutch
// does not know the call, the older one asks for the real ids, which are the same by now.
func access(b *program.Builder, path string, r program.Reg) {
	old, done := b.Label(), b.Label()
	call.Faccessat2(b, call.Cwd(), call.PathTo(b, path), unix.X_OK, unix.AT_EACCESS).To(r).Ignore()
	b.IfErrno(r, unix.ENOSYS, old)
	b.If(r, program.Ne, -int64(unix.EPERM), done)
	b.Bind(old)
	call.Faccessat(b, call.Cwd(), call.PathTo(b, path), unix.X_OK).To(r).Ignore()
	b.Bind(done)
}

// Execve emits the execution of the file that Lookup has found.
//
// Source: execve(2).
func (t *Target) Execve(b *program.Builder, args []string, env program.Mem) {
	b = b.Element(program.T("process.args[0]")).Step(program.T("exec: %q", t.name))
	argv := b.Strv(args)
	for i, path := range t.paths {
		next := b.Label()
		b.If(t.found[i], program.Ne, 0, next)
		call.Execve(b, call.PathTo(b, path), call.Argv(argv), call.Envv(env))
		b.Bind(next)
	}
}

// ExplainExec returns what an errno of execve may mean when the file was there. The
// result wraps errno.
//
// Source: execve(2), "ERRORS".
func ExplainExec(errno unix.Errno) error {
	text := ""
	switch errno {
	case unix.ENOENT:
		text = "the interpreter that the file names in its first line, or its dynamic loader, is missing in the root file system"
	case unix.ENOEXEC:
		text = "the file is for another architecture, or a script without a first line as #!/bin/sh"
	case unix.ELIBBAD:
		text = "the interpreter is no valid ELF file"
	case unix.EACCES:
		text = "the file, or the interpreter that it names, may not be executed by the user, or is on a mount with noexec"
	case unix.ELOOP:
		text = "the interpreters that the files name in their first lines follow one another too long"
	case unix.E2BIG:
		text = "process.args and process.env are too long together"
	case unix.ENOMEM:
		text = "the container's memory limit is too low for the program"
	case unix.EAGAIN:
		text = "the user has more processes than its RLIMIT_NPROC"
	case unix.ETXTBSY:
		text = "the file is open for writing"
	default:
		return errno
	}
	return fmt.Errorf("%w: %s", errno, text)
}
