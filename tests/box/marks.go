package main

import (
	"bufio"
	"bytes"
	"io"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// printing is how the tests are asked to print, and what of it is shown. They always
// print which of them begins and ends, for the box to know.
type printing struct {
	args    []string // for the tests
	follow  bool     // they print such lines
	verbose bool     // the caller asked for them
	plain   bool     // without the ^V that keeps them apart from what tests print
}

// howToPrint has the tests print marks, unless the command is no test binary, or
// prints other things than tests.
func howToPrint(args []string) printing {
	p := printing{args: args}
	var rest []string
	ours := false
	for i, arg := range args {
		name, value, _ := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(arg, "-"), "-"), "=")
		if !strings.HasPrefix(arg, "-") || name == "" {
			rest = append(rest, args[i:]...)
			break
		}
		switch {
		case name == "test.list" || name == "test.fuzz" || name == "test.bench" && value != "":
			return p
		case name == "test.v":
			p.verbose, p.plain = value != "false", value != "test2json"
		}
		ours = ours || strings.HasPrefix(name, "test.")
		if name != "test.v" {
			rest = append(rest, arg)
		}
	}
	p.follow = ours
	if ours && !p.verbose {
		p.args, p.plain = append([]string{"-test.v=test2json"}, rest...), false
	}
	return p
}

// output reads what the tests print and hands it on.
type output struct {
	printing
	watched *leftovers
	end     *os.File // the tests' standard output
	from    *os.File
	read    chan struct{} // closed at the end of it

	mutex   sync.Mutex
	to      *bufio.Writer
	rest    []byte            // the beginning of a line
	active  []string          // tests and subtests that are running
	recent  []string          // tests that are, or were since what is left was looked for
	current string            // whose output the lines are
	kept    map[string][]byte // output of tests that may still fail
}

// newOutput returns nil when what the tests print goes straight to the caller.
func newOutput(p printing, watched *leftovers) *output {
	if !p.follow {
		return nil
	}
	from, end, err := os.Pipe()
	if err != nil {
		return nil
	}
	return &output{printing: p, watched: watched, end: end, from: from, read: make(chan struct{}),
		to: bufio.NewWriter(os.Stdout), kept: map[string][]byte{}}
}

// begin reads until all that write have ended.
func (o *output) begin() {
	if o == nil {
		return
	}
	o.end.Close()
	go func() {
		defer close(o.read)
		for {
			// The lock is held from the read on: so who holds it and finds the pipe empty
			// knows that all is handled.
			_, err := unix.Poll([]unix.PollFd{{Fd: int32(o.from.Fd()), Events: unix.POLLIN}}, -1)
			if err == nil && !o.readSome() || err != nil && err != unix.EINTR {
				return
			}
		}
	}()
}

// readSome handles what is in the pipe, and reports whether there may be more. What
// is verbose is handed on as it comes, all else by whole lines.
func (o *output) readSome() bool {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	defer o.to.Flush()
	chunk := make([]byte, 64<<10)
	n, err := unix.Read(int(o.from.Fd()), chunk)
	if n <= 0 {
		if len(o.rest) > 0 {
			o.keep(o.rest)
		}
		return err == unix.EINTR
	}
	if o.verbose {
		o.write(chunk[:n])
	}
	o.rest = append(o.rest, chunk[:n]...)
	marks := false
	for {
		line, after, whole := bytes.Cut(o.rest, []byte{'\n'})
		if !whole {
			break
		}
		marks = o.line(line) || marks
		o.rest = after
	}
	o.rest = bytes.Clone(o.rest)
	if marks {
		o.watched.look(o.recent)
		o.recent = o.tops()
	}
	return true
}

// drain waits until what the tests have printed so far is handled.
func (o *output) drain() {
	if o == nil {
		return
	}
	for end := time.Now().Add(calm); time.Now().Before(end); time.Sleep(time.Millisecond) {
		o.mutex.Lock()
		n, err := unix.IoctlGetUint32(int(o.from.Fd()), unix.TIOCINQ)
		o.mutex.Unlock()
		if n == 0 || err != nil {
			return
		}
	}
}

func (o *output) write(text []byte) {
	if !o.verbose {
		text = bytes.ReplaceAll(text, []byte{mark}, nil)
	}
	o.to.Write(text)
}

// mark begins what the testing package itself prints.
const mark = 0x16

var (
	beginLine  = regexp.MustCompile(`^=== (RUN|CONT|NAME|PAUSE) +(\S*)`)
	resultLine = regexp.MustCompile(`^ *--- (PASS|FAIL|SKIP): (\S+)`)
)

// line follows the tests by a line of theirs, and shows it if it is to be shown. It
// reports whether a test has begun or ended.
func (o *output) line(line []byte) bool {
	before, text, marked := bytes.Cut(line, []byte{mark})
	if o.plain {
		before, text, marked = nil, line, true
	}
	if len(before) > 0 || !marked {
		o.keep(ended(before))
	}
	if !marked {
		return false
	}
	if m := beginLine.FindSubmatch(text); m != nil {
		o.current = string(m[2])
		if string(m[1]) != "RUN" {
			return false
		}
		o.active = append(o.active, o.current)
		if strings.Contains(o.current, "/") {
			return false
		}
		o.recent = append(o.recent, o.current)
		return true
	}
	if m := resultLine.FindSubmatch(text); m != nil {
		return o.result(string(m[2]), string(m[1]) == "FAIL", text)
	}
	o.keep(ended(text))
	return false
}

// result handles the end of a test. What it has printed is shown with its parent's,
// and only if it has failed.
func (o *output) result(name string, failed bool, text []byte) bool {
	printed := o.kept[name]
	delete(o.kept, name)
	o.active = slices.DeleteFunc(o.active, func(s string) bool { return s == name })
	o.current = o.parent(name)
	if failed {
		block := ended(text)
		for line := range bytes.Lines(printed) {
			block = append(append(block, o.indent(name)...), line...)
		}
		o.keep(append([]byte(o.indent(name)), block...))
	}
	return o.current == ""
}

// parent is the test that a subtest is of. The names of subtests may have slashes.
func (o *output) parent(name string) string {
	for at := len(name) - 1; at > 0; at-- {
		if name[at] == '/' && slices.Contains(o.active, name[:at]) {
			return name[:at]
		}
	}
	return ""
}

// indent is what the result of a test is set in by.
func (o *output) indent(name string) string {
	if o.parent(name) == "" {
		return ""
	}
	return "    "
}

// ended is a line with its end, in memory of its own.
func ended(line []byte) []byte { return append(slices.Clip(line), '\n') }

// keep keeps output until it is known whether its test fails.
func (o *output) keep(text []byte) {
	switch {
	case o.verbose: // is shown already
	case o.current == "":
		o.write(text)
	default:
		o.kept[o.current] = append(o.kept[o.current], text...)
	}
}

// running names the tests that have begun and not ended.
func (o *output) running() string {
	if o == nil {
		return ""
	}
	o.mutex.Lock()
	defer o.mutex.Unlock()
	return strings.Join(o.tops(), " or ")
}

// tops lists the tests that are running, without subtests.
func (o *output) tops() []string {
	return slices.DeleteFunc(slices.Clone(o.active), func(name string) bool { return strings.Contains(name, "/") })
}

// say prints a line of the box between those of the tests.
func (o *output) say(text string) {
	if o == nil {
		io.WriteString(os.Stdout, text)
		return
	}
	o.mutex.Lock()
	defer o.mutex.Unlock()
	o.to.WriteString(text)
	o.to.Flush()
}

// finish waits for the last words. Those of tests that have not ended are shown when
// all has failed.
func (o *output) finish(failed bool) {
	if o == nil {
		return
	}
	<-o.read
	for _, name := range slices.Sorted(maps.Keys(o.kept)) {
		if failed {
			o.write(o.kept[name])
		}
	}
	o.to.Flush()
}
