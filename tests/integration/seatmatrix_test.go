package integration

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

var updateSeats = flag.Bool("update-seats", false, "write docs/seats.md anew")

// seatsPage is the page that has the results of TestSeatMatrix.
const seatsPage = "../../docs/seats.md"

// shortage is something that the runtime's caller lacks, or an oddity of its surroundings.
type shortage struct {
	name   string
	wrap   []string // a command line that executes what follows in it
	mounts bool     // it needs the right to mount
	root   bool     // it is none of a user's
	names  []string // what a refusal names: one of these
	denied string   // a call that a seccomp filter denies
}

// lacking is a caller whose capability is gone for good.
func lacking(capability string, names ...string) shortage {
	without := "-" + strings.ToLower(strings.TrimPrefix(capability, "CAP_"))
	return shortage{
		name: "without " + capability, root: true, names: append(names, capability),
		wrap: []string{"setpriv", "--bounding-set", without, "--inh-caps", without},
	}
}

// mounted is a caller whose mounts differ.
func mounted(name, script string, names ...string) shortage {
	return shortage{name: name, mounts: true, names: names, wrap: []string{"unshare", "-m", "sh", "-c", script + ` && exec "$@"`, "sh"}}
}

// limited is a caller with a limit of its own, by an option of prlimit(1).
func limited(name, option string, names ...string) shortage {
	return shortage{name: name, wrap: []string{"prlimit", option}, names: names}
}

// denying is a caller under a seccomp filter that denies a call.
func denying(call string) shortage {
	return shortage{name: call + " denied", denied: call, names: []string{call}}
}

// variants are the callers that a row stands for: what a filter denies fails as the call does
// to who may not make it, or as where the kernel has none.
func (s shortage) variants() (list []shortage) {
	if s.denied == "" {
		return []shortage{s}
	}
	for _, errno := range []string{":EPERM", ":ENOSYS"} {
		v := s
		v.wrap = []string{filepath.Join(workDir, "assets", "probe"), "older", s.denied + errno}
		list = append(list, v)
	}
	return list
}

func umasked(mask string) shortage {
	return shortage{name: "umask " + mask, wrap: []string{"sh", "-c", "umask " + mask + ` && exec "$@"`, "sh"}}
}

func shortages() []shortage {
	list := []shortage{
		{name: "nothing amiss"},
		lacking("CAP_SYS_PTRACE"),
		lacking("CAP_SYS_RESOURCE"),
		lacking("CAP_MKNOD"),
		lacking("CAP_NET_ADMIN", "bring lo up"),
		lacking("CAP_DAC_OVERRIDE"),
		lacking("CAP_DAC_READ_SEARCH"),
		lacking("CAP_FOWNER"),
		lacking("CAP_CHOWN"),
		lacking("CAP_KILL"),
		lacking("CAP_SYS_CHROOT", "setns"),
		lacking("CAP_SETPCAP", "bounding"),
		lacking("CAP_SETGID"),
		umasked("077"),
		umasked("777"),
		limited("64 open files", "--nofile=64:64", "RLIMIT_NOFILE"),
		limited("24 open files", "--nofile=24:24", "RLIMIT_NOFILE", "too many open files"),
		limited("8 open files", "--nofile=8:8", "RLIMIT_NOFILE", "too many open files"),
		limited("files of no more than 64 KiB", "--fsize=65536"),
		limited("no locked memory", "--memlock=0"),
		limited("no core files", "--core=0"),
		mounted("no cgroup file system", "mount -t tmpfs -o ro none /sys/fs/cgroup"),
		mounted("an empty /sys", "mount -t tmpfs -o ro none /sys", "/sys"),
		mounted("an empty /dev", "mount -t tmpfs none /dev", "/dev/null"),
		mounted("/proc/sys read-only", "mount --bind /proc/sys /proc/sys && mount -o remount,bind,ro /proc/sys", "caller's own"),
	}
	for _, call := range []string{
		"bpf", "clone3", "close_range", "epoll_pwait2", "execveat", "faccessat2", "fsconfig", "fsmount", "fsopen", "io_uring_setup",
		"keyctl", "membarrier", "memfd_create", "mount_setattr", "move_mount", "open_tree", "openat2", "pidfd_getfd", "pidfd_open",
		"pidfd_send_signal", "renameat2", "rseq", "statx",
	} {
		list = append(list, denying(call))
	}
	return list
}

// matrixSeats are the callers of the matrix.
func matrixSeats() []string { return []string{"root", "root of a user namespace", "user"} }

// applies reports whether the shortage is one of a seat.
func (s shortage) applies(name string) bool { return !s.root || name != "user" }

// sit lays out a container for a seat, and returns the command line that leads to it.
func (s shortage) sit(t *testing.T, name string) (*guest, []string) {
	t.Helper()
	switch name {
	case "root":
		g := standing{}.guest(t)
		return g, s.wrap
	case "user":
		g := seats()[0].seated(t, false)
		g.asRoot = true
		id := strconv.Itoa(plainUser)
		change := []string{"setpriv", "--reuid", id, "--regid", id, "--clear-groups"}
		if s.mounts {
			return g, slices.Concat(s.wrap, change)
		}
		return g, slices.Concat(change, s.wrap)
	}
	g := seats()[3].seated(t, false)
	return g, slices.Concat(g.enter, s.wrap)
}

// seatWays are the ways in, each with the word of the matrix.
var seatWays = []string{"create and start", "run", "exec", "exec --process", "hooks", "exec -t", "update", "pause", "delete"}

// try returns how each of the ways ends: empty for well, else what the refusal names.
func (s shortage) try(t *testing.T, name string) map[string]string {
	t.Helper()
	got := map[string]string{}
	note := func(way string, res result, want string) bool {
		t.Helper()
		ok := res.code == 0 && res.stdout == want
		if strings.Contains(res.stderr, "goroutine ") {
			t.Errorf("%s: the runtime crashed:\n%s", way, res)
		}
		got[way] = ""
		if ok {
			return true
		}
		i := slices.IndexFunc(s.names, func(n string) bool { return strings.Contains(res.stderr, n) })
		if res.code == 0 || i < 0 || !strings.Contains(res.stderr, "hutch: ") {
			t.Errorf("%s: neither works nor names one of %q:\n%s", way, s.names, res)
			got[way] = "?"
			return false
		}
		got[way] = s.names[i]
		return false
	}
	script := func(g *guest, text string) { g.configure(program{args: []string{"/bin/sh", "-c", text}}) }

	g, line := s.sit(t, name)
	do := func(words ...string) result {
		t.Helper()
		g.enter = line
		c := call{root: g.root, args: words, stdout: g.path("out"), stderr: g.path("err")}
		if g.uid != 0 {
			return g.as(c).do(t)
		}
		c.wrap = line
		return c.do(t)
	}
	script(g, "echo ran")
	note("run", do(g.line("run")...), "ran\n")
	if g.uid == 0 {
		hooks("createRuntime", specs.Hook{Path: "/bin/sh", Args: []string{"sh", "-c", "cat >/dev/null"}, Env: []string{"PATH=/bin:/usr/bin"}})(g.spec)
	}
	hooks("startContainer", specs.Hook{Path: "/bin/sh", Args: []string{"sh", "-c", "exit 0"}, Env: []string{"PATH=/bin"}})(g.spec)
	script(g, "echo hooked")
	note("hooks", do(g.line("run")...), "hooked\n")
	g.spec.Hooks = nil
	script(g, "sleep 1000")
	if note("create and start", do(g.line("create", "--pid-file", g.path("pid"))...), "") {
		g.readPid()
		if note("create and start", do("start", g.id), "") {
			note("exec", do("exec", g.id, "/bin/sh", "-c", "echo in"), "in\n")
			file := g.processFile(&specs.Process{Args: []string{"/bin/sh", "-c", "echo in"}, Cwd: "/", Env: []string{"PATH=/bin"}})
			note("exec --process", do("exec", "--process", file, g.id), "in\n")
			if s.denied != "" {
				s.more(t, g, name, note, do)
			}
		}
		res := do("delete", "--force", g.id)
		if res.code != 0 && s.denied != "" && strings.Contains(res.stderr, s.denied) {
			got["delete"] = s.denied
			line = line[:len(line)-len(s.wrap)]
			res = do("delete", "--force", g.id)
		}
		if res.code != 0 {
			t.Errorf("what could be made cannot be deleted: %s", res)
		}
		g.wait()
		g.pid = 0
	}
	return got
}

// more are the ways of a container that runs which each call may matter to.
func (s shortage) more(t *testing.T, g *guest, name string, note func(string, result, string) bool, do func(...string) result) {
	t.Helper()
	console := newSocket(t, g.path("console"))
	if err := os.Chmod(console.path, 0o777); err != nil {
		t.Fatal(err)
	}
	pidFile := g.path("terminal.pid")
	if note("exec -t", do("exec", "-t", "--detach", "--console-socket", console.path, "--pid-file", pidFile, g.id, "/bin/true"), "") {
		pid, err := strconv.Atoi(readText(t, pidFile))
		if err == nil {
			_, err = unix.Wait4(pid, nil, 0, nil) // init's end waits for it
		}
		if err != nil {
			t.Error(err)
		}
	}
	if name != "root" { // the others have no cgroups here
		return
	}
	note("update", do("update", "--pids-limit", "100", g.id), "")
	if note("pause", do("pause", g.id), "") {
		note("pause", do("resume", g.id), "")
	}
}

// ways are those of the row for a seat.
func (s shortage) ways(name string) []string {
	switch {
	case s.denied == "":
		return seatWays[:5]
	case name != "root":
		return append(slices.Clone(seatWays[:6]), "delete")
	}
	return seatWays
}

// cell is what the page says of the ways.
func (s shortage) cell(name string, got map[string]string) string {
	var refused []string
	for _, way := range s.ways(name) {
		what, tried := got[way]
		switch {
		case way == "delete" && !tried: // it works
		case !tried:
			refused = append(refused, way+": not reached")
		case what != "":
			refused = append(refused, way+": names `"+what+"`")
		}
	}
	if len(refused) == 0 {
		return "works"
	}
	if what := got["run"]; what != "" && what == got["create and start"] && what == got["hooks"] && len(got) == 3 {
		return "names `" + what + "`"
	}
	return strings.Join(refused, "; ")
}

const tableHead = "|---|---|---|---|\n"

// cellsOf returns what the page says, by the names of row and seat.
func cellsOf(table string) map[string]string {
	cells := map[string]string{}
	for line := range strings.Lines(table) {
		words := strings.Split(strings.Trim(line, "| \n"), " | ")
		for i, name := range matrixSeats() {
			if i+1 < len(words) {
				cells[words[0]+name] = words[i+1]
			}
		}
	}
	return cells
}

// TestSeatMatrix: whoever calls, and whatever the caller lacks, each way into a container
// works or says what is missing; docs/seats.md has the results.
func TestSeatMatrix(t *testing.T) {
	notAsUser(t)
	hutchOnly(t, "the words are Hutch's")
	needsSpeed(t)
	page := readText(t, seatsPage)
	head, body, found := strings.Cut(page, tableHead)
	if !found {
		t.Fatalf("%s has no table", seatsPage)
	}
	var all sync.Mutex
	cells := cellsOf(body)
	t.Run("seats", func(t *testing.T) {
		for i, s := range shortages() {
			for k, name := range matrixSeats() {
				if !s.applies(name) || !takesTurn(t, i, k) {
					continue
				}
				t.Run(s.name+", "+name, func(t *testing.T) {
					t.Parallel()
					var got []string
					for _, v := range s.variants() {
						if c := s.cell(name, v.try(t, name)); !slices.Contains(got, c) {
							got = append(got, c)
						}
					}
					all.Lock()
					defer all.Unlock()
					cells[s.name+name] = strings.Join(got, " / ")
				})
			}
		}
	})
	if t.Failed() {
		return
	}
	var table strings.Builder
	for _, s := range shortages() {
		fmt.Fprintf(&table, "| %s |", s.name)
		for _, name := range matrixSeats() {
			text := cells[s.name+name]
			if !s.applies(name) {
				text = "-"
			}
			fmt.Fprintf(&table, " %s |", text)
		}
		table.WriteString("\n")
	}
	want := head + tableHead + table.String()
	switch {
	case *updateSeats:
		if err := os.WriteFile(seatsPage, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	case page != want:
		t.Errorf("%s is not what came out; write it by -run TestSeatMatrix -update-seats:\n%s", seatsPage, table.String())
	}
}

// TestStateDirectoryWithoutRoom: where there is no room for the state, the error says so, and
// nothing is left.
func TestStateDirectoryWithoutRoom(t *testing.T) {
	t.Parallel()
	hutchOnly(t, "the words are Hutch's")
	for options, want := range map[string]string{"size=4k": "no space left on device", "nr_inodes=1": "no space left on device", "nr_inodes=3": "no space left on device", "ro": "read-only file system"} {
		t.Run(options, func(t *testing.T) {
			t.Parallel()
			b := newBundle(t, args("true"))
			if err := os.MkdirAll(b.root, 0o700); err != nil {
				t.Fatal(err)
			}
			// Other containers' files have taken what there was.
			script := `mount -t tmpfs -o ` + options + ` none "$0" && { test ` + options + ` != size=4k || echo other >"$0/other"; } && exec "$@"`
			c := call{root: b.root, args: b.line("run"), wrap: []string{"unshare", "-m", "sh", "-c", script, b.root}}
			c.do(t).failed(t, b.id, want)
		})
	}
}

// TestHostWithoutNullDevice: what hides files is made where the host has none, as an initramfs.
func TestHostWithoutNullDevice(t *testing.T) {
	t.Parallel()
	hutchOnly(t, "1.1 covers files by what the container has at /dev/null")
	for _, s := range standings()[:2] {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			b := newBundle(t, append(slices.Clone(s.edits), maskPaths("/etc/secret"), sh("cat /etc/secret; stat -c %t:%T /etc/secret"))...)
			writeText(t, b.rootfs("etc", "secret"), "secret\n")
			in, out, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			defer in.Close()
			out.Close()
			c := call{root: b.root, args: b.line("run"), stdin: in}
			c.wrap = mounted("", "mount -t tmpfs none /dev").wrap
			if res := c.do(t).ok(t); res.stdout != "1:3\n" {
				t.Errorf("%s", res)
			}
		})
	}
}
