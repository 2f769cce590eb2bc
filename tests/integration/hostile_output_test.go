package integration

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"unicode/utf8"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// oddText controls a terminal, in ASCII and behind it, turns the direction of a text, ends a
// line and begins another.
const oddText = "a\x1b[31m\u009b31m\x7f\u202e\r\nhutch: b\tc"

// plainOutput fails the test where something in text, which a command has written, controls a
// terminal or is no UTF-8, or where a line of it begins with what only a value has.
func plainOutput(t *testing.T, what, text string) {
	t.Helper()
	if i := strings.IndexAny(text, "\x00\x07\b\v\f\r\x1b\x7f\u009b\u202e"); i >= 0 || !utf8.ValidString(text) {
		t.Errorf("%s: %q", what, text)
	}
	if strings.Contains(text, "\nhutch: b") {
		t.Errorf("%s: a value begins a line: %q", what, text)
	}
}

// TestOutputIsNoTerminalControl: what config.json, its path and the command lines of the
// container's processes say stands in what each command writes, as text and as JSON, and
// controls no terminal there.
func TestOutputIsNoTerminalControl(t *testing.T) {
	t.Parallel()
	hutchOnly(t, "it is about Hutch's own output")
	odd := func(s *specs.Spec) {
		s.Hostname, s.Annotations = oddText, map[string]string{oddText: oddText}
		s.Process.Args = []string{"/bin/sh", "-c", "sleep 1000; : " + oddText}
		s.Mounts = append(s.Mounts, specs.Mount{Destination: "/mnt/" + oddText, Type: "tmpfs", Source: oddText})
		s.Hooks = &specs.Hooks{Poststop: []specs.Hook{{Path: "/nosuch/" + oddText}}}
	}
	b := newBundle(t, odd)
	dir := b.path(oddText)
	if err := os.Symlink(b.dir, dir); err != nil {
		t.Fatal(err)
	}
	fake := b.path("bin")
	if err := os.Mkdir(fake, 0o755); err != nil {
		t.Fatal(err)
	}
	do := func(words ...string) string {
		res := call{root: b.root, args: words, env: append(os.Environ(), "PATH="+fake+":"+os.Getenv("PATH"))}.do(t)
		plainOutput(t, fmt.Sprintf("%.200q, standard output", words), res.stdout)
		plainOutput(t, fmt.Sprintf("%.200q, standard error", words), res.stderr)
		return res.stdout
	}
	shown := func(text string, words ...string) {
		if out := do(words...); !strings.Contains(out, text) {
			t.Errorf("%.200q lacks %q: %.2000q", words, text, out)
		}
	}
	shown(`set it to a\x1b[31m\u009b31m\x7f\u202e\r\nhutch: b\tc`, "plan", "--bundle", dir)
	shown(`set it to a\\x1b[31m\\u009b31m\\x7f\\u202e\\r\\nhutch: b\\tc`, "plan", "--format", "json", "--bundle", dir)
	do("plan", "--verify", "--bundle", dir)
	do("plan", "--verify", "--format", "json", "--bundle", dir)
	shown(`run /nosuch/a\x1b[31m\u009b31m\x7f\u202e\r\nhutch: b\tc: no such`, "check", "--bundle", dir)
	shown(`run /nosuch/a\u001b[31m\u009b31m\u007f\u202e\r\nhutch: b\tc: no such`, "check", "--format", "json", "--bundle", dir)
	create := call{root: b.root, args: []string{"create", "--pid-file", b.path("pid"), "--bundle", dir, b.id}, stdout: b.path("out"), stderr: b.path("err")}.do(t)
	if create.code != 0 {
		t.Fatal(create)
	}
	b.readPid()
	script := fmt.Sprintf("#!/bin/sh\nprintf 'PID CMD\\n%d %%b\\n' 'a\\033[31m\\302\\23331m\\377\\r'\n", b.pid)
	if err := os.Chmod(writeText(t, fake+"/ps", script), 0o755); err != nil {
		t.Fatal(err)
	}
	shown(`a\x1b[31m\u009b31m\xff\r`, "ps", b.id)
	shown(`\u009b31m\u007f\u202e\r\nhutch`, "state", b.id)
	shown(`\u009b31m`, "list", "--format", "json")
	do("list")
	do("top", "--once", "--interval", "1ms")
	do("events", "--stats", b.id)
	do("start", b.id)
	do("exec", b.id, "/nosuch/"+oddText)
	do("exec", "--cwd", "/"+oddText, b.id, "true")
	do("delete", "--force", b.id) // whose hook is not there
	do("kill", oddText, oddText)
	do(oddText)
}

// TestLogIsNoTerminalControl: nor does a line of the log, in either form.
func TestLogIsNoTerminalControl(t *testing.T) {
	t.Parallel()
	hutchOnly(t, "it is about Hutch's own messages")
	for _, format := range []string{"text", "json"} {
		b := newBundle(t, bindMount("/nosuch/"+oddText, "/mnt"))
		log := b.path("log")
		res := call{root: b.root, global: []string{"--log", log, "--log-format", format}, args: b.line("run")}.do(t)
		text := readText(t, log)
		plainOutput(t, "standard error", res.stderr)
		plainOutput(t, format, text)
		if res.code == 0 || !strings.Contains(text, "nosuch") || format == "json" && !json.Valid([]byte(text)) {
			t.Errorf("%s\n%q", res, text)
		}
	}
}
