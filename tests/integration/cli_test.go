package integration

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestRunSaysRun: the error of a run names the command that was given.
func TestRunSaysRun(t *testing.T) {
	t.Parallel()
	hutchOnly(t, "others name no command")
	b := newBundle(t, args("nosuchprogram"))
	b.rt(b.line("run")...).failed(t, "run "+b.id+": process.args[0]: exec: \"nosuchprogram\": executable file not found in $PATH")
	b.rt(b.line("create")...).failed(t, "create "+b.id+": ")
	b.nothingLeft()
}

// TestErrorsNameTheContainer: each command's error says which command it was, and of what.
func TestErrorsNameTheContainer(t *testing.T) {
	t.Parallel()
	hutchOnly(t, "others do not")
	b := newBundle(t)
	for _, words := range [][]string{
		{"state"}, {"ps"}, {"start"}, {"kill"}, {"delete"}, {"pause"}, {"resume"}, {"update"}, {"events"}, {"events", "--stats"},
	} {
		b.rt(append(words, "ghost")...).failed(t, words[0]+" ghost: container does not exist")
	}
}

// TestUnwritableTrace: a trace that cannot be written fails before anything is there.
func TestUnwritableTrace(t *testing.T) {
	t.Parallel()
	hutchOnly(t, "others have no --trace")
	b := newBundle(t, sh("echo ran; sleep 1000"))
	for _, path := range []string{"/no/such/dir/trace", b.tmp} {
		for _, command := range []string{"create", "run"} {
			res := b.rt(b.line(command, "--trace", path, "--pid-file", b.path("pid"))...)
			res.failed(t, command+" "+b.id+": --trace: open "+path)
			if _, err := os.Stat(b.path("pid")); err == nil || strings.Contains(res.stdout, "ran") {
				t.Errorf("there is a container: %s", res)
			}
			b.nothingLeft()
		}
	}
	b.create()
	b.rt("start", "--trace", "/no/such/dir/trace", b.id).failed(t, "start "+b.id+": --trace: open /no/such/dir/trace")
	b.status("created").start()
	if res := b.rt("exec", "--trace", "/no/such/dir/trace", b.id, "sh", "-c", "echo exec ran"); res.code != 255 || strings.Contains(res.stdout, "ran") {
		t.Errorf("%s", res)
	}
	b.rt("exec", "--trace", b.path("trace"), b.id, "true").ok(t)
	b.delete("-f")
}

// TestConfigFile: --config names the configuration; all else is the bundle's, also for the
// commands that follow.
func TestConfigFile(t *testing.T) {
	t.Parallel()
	if runtimeName == "runc" {
		t.Skip("runc: has no --config")
	}
	b := newBundle(t, sh("echo other; sleep 1000"))
	other := writeText(t, b.path("other.json"), readText(t, b.dir+"/config.json"))
	b.writeConfig([]byte("no configuration"))
	b.rt(b.line("create")...).failed(t)
	b.create("--config", other).start().waitOutput("other\n")
	if got := b.state().Bundle; got != b.dir {
		t.Errorf("bundle %q, want %q", got, b.dir)
	}
	if out := b.rt("exec", b.id, "sh", "-c", "echo exec").ok(t).stdout; out != "exec\n" {
		t.Errorf("%q", out)
	}
	b.delete("-f")
	b.wait()
	// A relative path counts from the working directory, not from the bundle.
	sh("echo ran")(b.spec)
	b.writeSpec()
	writeText(t, other, readText(t, b.dir+"/config.json"))
	b.writeConfig([]byte("no configuration"))
	res := call{root: b.root, dir: filepath.Dir(other), args: b.line("run", "-f", filepath.Base(other))}.do(t).ok(t)
	if res.stdout != "ran\n" {
		t.Errorf("%s", res)
	}
	b.rt(b.line("run", "--config", "/no/such.json")...).failed(t, "/no/such.json")
	if runtimeName == "hutch" {
		sh("echo planned")(b.spec)
		b.writeSpec()
		writeText(t, other, readText(t, b.dir+"/config.json"))
		b.writeConfig([]byte("no configuration"))
		for _, flags := range [][]string{nil, {"--verify"}, {"--format", "json"}} {
			plan := append([]string{"plan", "--bundle", b.dir, "--config", filepath.Base(other)}, flags...)
			res := call{dir: filepath.Dir(other), args: plan}.do(t).ok(t)
			if flags == nil && !strings.Contains(res.stdout, "echo planned") {
				t.Errorf("%s", res)
			}
		}
		b.rt("plan", "--bundle", b.dir, "--config", "/no/such.json").failed(t, "/no/such.json")
	}
	b.nothingLeft()
}

// TestDebugTellsTheSteps: create, start, exec and run say with --debug what they do, in the
// format of the log.
func TestDebugTellsTheSteps(t *testing.T) {
	t.Parallel()
	hutchOnly(t, "runc's steps are others")
	for _, format := range []string{"text", "json"} {
		b := newBundle(t, args("sleep", "1000"))
		log := b.path("log")
		level := map[string]string{"text": "level=debug", "json": `"level":"debug"`}[format]
		for _, c := range []struct{ name, ends string }{{"create", "announce"}, {"start", "runs"}, {"exec", "runs"}} {
			do := b.createCall()
			if c.name != "create" {
				do = call{root: b.root, args: []string{c.name, b.id}}
			}
			if c.name == "exec" {
				do.args = append(do.args, "true")
			}
			do.global = []string{"--debug", "--log", log, "--log-format", format}
			if res := do.do(t).ok(t); res.stderr != "" {
				t.Errorf("%s: %q on standard error", c.name, res.stderr)
			}
			if c.name == "create" {
				b.readPid()
			}
			text := readText(t, log)
			for _, want := range []string{c.name + " " + b.id + ": load ", c.ends, level} {
				if !strings.Contains(text, want) {
					t.Errorf("%s, %s: no %q in %q", c.name, format, want, text)
				}
			}
			if err := os.Truncate(log, 0); err != nil {
				t.Fatal(err)
			}
		}
		if res := (call{root: b.root, global: []string{"--debug"}, args: []string{"exec", b.id, "true"}}).do(t); res.code != 0 || !strings.Contains(res.stderr, "level=debug") {
			t.Errorf("without a log: %s", res)
		}
		b.kill("KILL").wait()
		b.delete()
	}
}

// TestExecNamesItsFlags: a wrong value of a flag is named by the flag, and is not shown where
// it may be a secret.
func TestExecNamesItsFlags(t *testing.T) {
	t.Parallel()
	hutchOnly(t, "runc names none")
	b := newBundle(t, args("sleep", "1000")).create().start()
	for want, flags := range map[string][]string{
		`--cwd: "tmp" is not an absolute path`: {"--cwd", "tmp"},
		"--env: number 2 of them has no '='":   {"-e", "A=1", "-e", "SECRET"},
	} {
		res := b.rt(append(append([]string{"exec"}, flags...), b.id, "true")...)
		if res.code != 255 || !strings.Contains(res.stderr, want) || strings.Contains(res.stderr, "SECRET") || strings.Contains(res.stderr, "config.json") {
			t.Errorf("%s", res)
		}
	}
	b.kill("KILL").wait()
	b.delete()
}

func TestSpecFile(t *testing.T) {
	t.Parallel()
	if runtimeName == "runc" {
		t.Skip("runc: has no --file")
	}
	dir := t.TempDir()
	call{args: []string{"spec", "-b", dir, "-f", "one.json"}}.do(t).ok(t)
	call{args: []string{"spec", "--file", dir + "/two.json"}}.do(t).ok(t)
	if one := readText(t, dir+"/one.json"); one != readText(t, dir+"/two.json") || !strings.Contains(one, "ociVersion") {
		t.Errorf("%q", one)
	}
	if runtimeName == "hutch" {
		call{args: []string{"spec", "-b", dir, "-f", "one.json"}}.do(t).failed(t, "exists")
	}
}

// TestRegex: kill and delete of all containers whose ids match.
func TestRegex(t *testing.T) {
	t.Parallel()
	if runtimeName == "runc" {
		t.Skip("runc: has no --regex")
	}
	var all []*bundle
	for range 3 {
		b := newBundle(t, args("sleep", "1000"))
		if len(all) > 0 {
			b.root = all[0].root
		}
		all = append(all, b.create())
	}
	two := fmt.Sprintf("^(%s|%s)$", all[0].id, all[1].id)
	all[0].rt("kill", "--regex", two, "KILL").ok(t)
	for i, b := range all {
		if i < 2 {
			b.wait()
			b.status("stopped")
		} else {
			b.status("created")
		}
	}
	// What fails for one, as a signal to a stopped one, holds none of the others up.
	if res := all[0].rt("kill", "-r", ".", "KILL"); res.code != 0 || runtimeName == "hutch" && strings.Count(res.stderr, "container not running, ignoring") != 2 {
		t.Errorf("%s", res)
	}
	all[2].wait()
	all[2].status("stopped")
	if runtimeName == "hutch" {
		all[0].rt("kill", "--regex", "[", "9").failed(t, "kill: --regex: ")
	}
	all[0].rt("delete", "--regex", two).ok(t)
	if ids := all[0].rt("list", "-q").ok(t).stdout; ids != all[2].id+"\n" {
		t.Errorf("left are %q", ids)
	}
	all[0].rt("delete", "-r", "-f", ".").ok(t)
	for _, b := range all {
		b.nothingLeft()
	}
}

// TestLogToDaemon has the journal and syslog listen in a mount namespace of the command's.
func TestLogToDaemon(t *testing.T) {
	t.Parallel()
	hutchOnly(t, "runc has none of them, crun's journal needs libsystemd")
	if os.Getuid() != 0 {
		t.Skip("needs root to mount")
	}
	for _, c := range []struct{ log, format, at, socket, want string }{
		{"journald:web1", "text", "/run", "systemd/journal/socket", "PRIORITY=3\nSYSLOG_IDENTIFIER=hutch\nID=web1\nMESSAGE=state ghost: container does not exist\n"},
		{"journald:", "text", "/run", "systemd/journal/socket", "ID=ghost\n"},
		{"journald:", "json", "/run", "systemd/journal/socket", `MESSAGE={"level":"error","msg":"state ghost: container does not exist","time":"`},
		{"syslog:", "text", "/dev", "log", " ghost: state ghost: container does not exist"},
		{"syslog:tag", "text", "/dev", "log", " tag: state ghost: container does not exist"},
	} {
		dir := t.TempDir()
		path := filepath.Join(dir, c.socket)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(fd)
		if err := unix.Bind(fd, &unix.SockaddrUnix{Name: path}); err != nil {
			t.Fatal(err)
		}
		call{
			root: t.TempDir(), global: []string{"--log", c.log, "--log-format", c.format}, args: []string{"state", "ghost"},
			wrap: []string{"unshare", "-m", "sh", "-c", `mount --bind "$0" "$1" && shift && exec "$@"`, dir, c.at},
		}.do(t).failed(t, "state ghost: container does not exist")
		got := make([]byte, 4096)
		// It was sent before the command ended.
		size, _, err := unix.Recvfrom(fd, got, unix.MSG_DONTWAIT)
		if text := string(got[:max(size, 0)]); err != nil || !strings.Contains(text, c.want) {
			t.Errorf("%s: %v: got %q, want %q", c.log, err, text, c.want)
		}
	}
	call{root: t.TempDir(), global: []string{"--log-level", "verbose"}, args: []string{"state", "ghost"}}.do(t).failed(t, "verbose")
}

// TestLogLevel: what is logged beside errors. A signal to a stopped container is a warning
// of kill --regex.
func TestLogLevel(t *testing.T) {
	t.Parallel()
	hutchOnly(t, "runc has none")
	b := newBundle(t, args("true")).create().start()
	b.wait()
	for level, want := range map[string]bool{"error": false, "warning": true, "debug": true} {
		log := b.path("log-" + level)
		logged := func(words ...string) {
			call{root: b.root, global: []string{"--log", log, "--log-level", level}, args: words}.do(t).ok(t)
		}
		logged("kill", "--regex", b.id)
		if text := readText(t, log); strings.Contains(text, "level=warning") != want {
			t.Errorf("%s: %q", level, text)
		}
		c := newBundle(t)
		c.root = b.root
		logged(c.line("run")...)
		if text := readText(t, log); strings.Contains(text, "level=debug") != (level == "debug") {
			t.Errorf("%s: %q", level, text)
		}
	}
	b.delete()
}
