package criu

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// Error is a request that CRIU has failed.
type Error struct {
	Kind    Kind
	Errno   unix.Errno // 0 for none
	Message string     // CRIU's own, or why there is none
	Stderr  string     // what it has written to its standard error
	Log     string     // path of its log; empty for none
	Lines   []string   // the telling ones of the log
	Meaning string     // of those, and what to do; empty where it is not known
}

// Error returns what has failed, what that means, the telling lines, and where all are.
func (e *Error) Error() string {
	var text strings.Builder
	text.WriteString("CRIU's " + e.Kind.String() + " failed")
	if e.Meaning != "" {
		text.WriteString(": " + e.Meaning)
	}
	if len(e.Lines) > 0 {
		text.WriteString(": its log has: " + strings.Join(e.Lines, " | "))
	} else {
		for _, s := range []string{e.Message, e.Stderr} {
			if s != "" {
				text.WriteString(": " + strings.Join(strings.Fields(s), " "))
			}
		}
		if e.Errno != 0 {
			text.WriteString(": " + e.Errno.Error())
		}
	}
	if e.Log != "" {
		text.WriteString(" (all of it is in " + e.Log + ")")
	}
	return text.String()
}

// Unwrap returns the number of CRIU's error.
func (e *Error) Unwrap() error {
	if e.Errno == 0 {
		return nil
	}
	return e.Errno
}

// Explain reads the log at path, whose directory is open at dir, into the error. By its path
// another one may be found by now.
func (e *Error) Explain(dir int, path string) {
	fd, err := unix.Openat(dir, filepath.Base(path), unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return // nothing was written
	}
	f := os.NewFile(uintptr(fd), path)
	defer f.Close()
	e.Log = path
	const most = 4 << 20 // of the end
	if st, err := f.Stat(); err == nil && st.Size() > most {
		_, _ = f.Seek(st.Size()-most, io.SeekStart)
	}
	text, err := io.ReadAll(io.LimitReader(f, most))
	if err != nil {
		return
	}
	e.Lines, e.Meaning = telling(text)
}

// mostLines bounds how many lines of the log an error has.
const mostLines = 5

// telling returns the lines of a log that say why it failed, without their times, and what
// they mean. The first error is the cause, what comes behind follows from it.
func telling(text []byte) (lines []string, meaning string) {
	for line := range bytes.SplitSeq(text, []byte("\n")) {
		at := bytes.Index(line, []byte("Error ("))
		if at < 0 {
			continue
		}
		s := printable(line[at:])
		if meaning == "" {
			meaning = meaningOf(s)
		}
		if len(lines) < mostLines {
			lines = append(lines, s)
		}
	}
	if meaning == "" {
		meaning = meaningOf(string(text))
	}
	return lines, meaning
}

// printable returns a line of the log, in which there are names of the image's choice,
// without control characters and not longer than a line of a terminal or two.
func printable(line []byte) string {
	s := strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return '?'
		}
		return r
	}, strings.ToValidUTF8(string(line), "?"))
	if len(s) > 300 {
		s = s[:300] + "..."
	}
	return s
}

// meaningOf returns what a line means, and what to do; empty where it is not known.
func meaningOf(line string) string {
	for _, k := range known {
		if strings.Contains(line, k.text) {
			return k.meaning
		}
	}
	return ""
}

// known are lines of CRIU's log. The more special ones come first.
var known = [...]struct{ text, meaning string }{
	{"Connected TCP socket", "the container has an established TCP connection; give --tcp-established, or --tcp-close at the restore"},
	{"Try --" + "tcp-established", "the container has an established TCP connection; give --tcp-established"},
	{"in-flight", "a TCP connection is being set up; give --tcp-skip-in-flight"},
	{"Found half-closed", "a TCP connection is half closed; close it, or try again later"},
	{"External socket is used", "a process is connected with a unix socket outside of the container; give --ext-unix-sk, or close it"},
	{"Can't dump half of stream unix connection", "a process is connected with a unix socket outside of the container; give --ext-unix-sk, or close it"},
	{"tty_info", "a process has a terminal of the caller's; give --shell-job, or run the container with a terminal of its own (process.terminal) or without one"},
	{"Use --shell-job", "a process has a terminal of the caller's; give --shell-job"},
	{"is a leader of a foreign session", "a process has a terminal or session of the caller's; give --shell-job"},
	{"Some file locks are hold", "a process holds a file lock; give --file-locks"},
	{"file locks", "a process holds a file lock; give --file-locks"},
	{"Can't create link remap without -l option", "a process has an open file that is deleted; give --link-remap"},
	{"link-remap", "a process has an open file that is deleted; give --link-remap"},
	{"Can't dump ghost file", "a process has a deleted file open that is larger than CRIU copies; close it, or set ghost-limit in the file that the annotation org.criu.config names"},
	{"unreachable sharing", "a mount in the container has been made from outside or by the container itself, and CRIU cannot make it again; unmount it"},
	{"doesn't have a proper root mount", "a mount in the container shows a part of a file system that the configuration does not name; unmount it"},
	{"No mapping for", "the images have a mount that the restored bundle has no source for; give it the mounts that it had"},
	{"Can't lookup mount", "a process has a file open that is on no mount of the container, as one of the host's that was handed to it"},
	{"has bad size", "a file has changed since the checkpoint; restore on a copy of the root file system as it was then"},
	{"has bad mode", "a file has changed since the checkpoint; restore on a copy of the root file system as it was then"},
	{"Can't fork for", "the number of a process is in use in the pid namespace that the container joins, also by a zombie that nobody there has waited for; end what has it"},
	{"Can't open file", "a file that was open is missing; restore on a copy of the root file system as it was at the checkpoint"},
	{"iptables", "the packet filter that keeps connections still cannot be set; install iptables, or give --network-lock nftables, or skip (without TCP connections)"},
	{"inotify", "a process watches a file that CRIU cannot find again; see --force-irmap in criu(8), which the file of the annotation org.criu.config can set"},
	{"userfaultfd", "the kernel has no userfaultfd for lazy pages; leave --lazy-pages out"},
	{"io_uring", "a process uses io_uring, which CRIU cannot dump"},
	{"The kernel doesn't support", "this CRIU and this kernel do not go together; see criu check"},
	{"Missing", "this CRIU and this kernel do not go together; see criu check"},
	{"vdso", "the restored program was dumped on a kernel that this one is too different from; restore on the kernel of the checkpoint"},
	{"CPU capabilities do not match", "the program was dumped on a processor with features that this one lacks; restore on the same kind"},
	{"No space left", "the disk of the images is full"},
}

// checkLog is the name of the log of Check.
const checkLog = "check.log"

// Check returns why CRIU cannot work on this host at all, nil where it can; dir is the
// directory of its log, at path. It takes a while: CRIU tries what it needs.
func (p *Program) Check(dir int, path string) error {
	w, err := p.Start(&StartOptions{Stdio: [3]int{-1, -1, -1}})
	if err != nil {
		return err
	}
	defer w.Close()
	o := &Options{Images: dir, Work: -1, Log: checkLog}
	_, err = w.ask(encodeRequest(check, o.encode(check)), check)
	var failed *Error
	if errors.As(err, &failed) {
		failed.Explain(dir, filepath.Join(path, checkLog))
	}
	return err
}
