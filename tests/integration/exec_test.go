package integration

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// asleep is a running container whose init only waits.
func asleep(t testing.TB, edits ...edit) *bundle {
	t.Helper()
	return newBundle(t, append([]edit{args("sleep", "1000")}, edits...)...).create().start()
}

// exec runs words, flags first, in the container.
func (b *bundle) exec(flags []string, words ...string) result {
	b.t.Helper()
	return b.rt(append(append(append([]string{"exec"}, flags...), b.id), words...)...)
}

// execs expects the output of a successful exec.
func (b *bundle) execs(want string, flags []string, words ...string) {
	b.t.Helper()
	if res := b.exec(flags, words...); res.code != 0 || strings.TrimSpace(res.stdout) != want || res.stderr != "" {
		b.t.Errorf("want stdout %q: %s", want, res)
	}
}

// processFile writes a process object for --process.
func (b *bundle) processFile(p *specs.Process) string {
	b.t.Helper()
	data, err := json.Marshal(p)
	if err != nil {
		b.t.Fatal(err)
	}
	path := b.path("process.json")
	if err := os.WriteFile(path, data, 0o644); err != nil {
		b.t.Fatal(err)
	}
	return path
}

func TestExecStatus(t *testing.T) {
	t.Parallel()
	b := asleep(t)
	noCwd := b.processFile(&specs.Process{Args: []string{"true"}})
	for _, c := range []struct {
		rule   string
		flags  []string
		words  []string
		code   int
		stderr []string
	}{
		{"the process's own", nil, []string{"sh", "-c", "exit 7"}, 7, nil},
		{"128+n on a signal", nil, []string{"sh", "-c", "kill -9 $$"}, 137, nil},
		{"a missing file in PATH", nil, []string{"nonesuch"}, 255, []string{`exec: "nonesuch": executable file not found in $PATH`}},
		{"a missing file", nil, []string{"/nonesuch"}, 255, []string{`exec: "/nonesuch"`, "no such file or directory"}},
		{"a directory", nil, []string{"/tmp"}, 255, []string{`exec: "/tmp": is a directory: permission denied`}},
		{"a file without x", nil, []string{"/etc/passwd"}, 255, []string{`exec: "/etc/passwd": permission denied`}},
		{"a missing cwd", []string{"--cwd", "/none"}, []string{"true"}, 255, []string{"process.cwd", "no such file or directory"}},
		{"no command", nil, nil, 255, []string{"requires a command"}},
		{"no name of a variable", []string{"--env", "=x"}, []string{"true"}, 255, []string{"exec " + b.id + ": --env: number 1 of them has no name"}},
		{"no cwd in the process file", []string{"--process", noCwd}, nil, 255, []string{"exec " + b.id + ": --process: process.cwd: missing"}},
		{"no such process file", []string{"--process", "/none.json"}, nil, 255, []string{"--process", "no such file or directory"}},
	} {
		t.Run(c.rule, func(t *testing.T) {
			if strings.HasPrefix(c.rule, "no ") || c.rule == "a directory" {
				hutchOnly(t, "the texts are others")
			}
			res := b.exec(c.flags, c.words...)
			if res.code != c.code {
				t.Errorf("want code %d: %s", c.code, res)
			}
			for _, text := range c.stderr {
				if !strings.Contains(res.stderr, text) {
					t.Errorf("want %q: %s", text, res)
				}
			}
		})
	}
}

func TestExecUnknownContainer(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	if res := b.exec(nil, "true"); res.code != 255 || !strings.Contains(res.stderr, "does not exist") {
		t.Errorf("%s", res)
	}
}

func TestExecFlagsChangeTheContainersProcess(t *testing.T) {
	t.Parallel()
	b := asleep(t, func(s *specs.Spec) {
		s.Process.Env = []string{"PATH=/bin", "A=old", "B=kept"}
		s.Process.Cwd = "/tmp"
	})
	b.execs("/tmp kept /root", nil, "sh", "-c", "echo $(pwd) $B $HOME")
	b.execs("/etc", []string{"--cwd", "/etc"}, "pwd")
	b.execs("a,b=c kept", []string{"-e", "A=a,b=c", "-e", "C="}, "sh", "-c", "echo $A $B $C")
	b.execs("A=new", []string{"-e", "A=new"}, "sh", "-c", "env | grep ^A=")
	b.execs("uid=1000(user) gid=0(root)", []string{"--user", "1000"}, "sh", "-c", "id | cut -d' ' -f1,2")
	b.execs("uid=1 gid=2 groups=7,8", []string{"-u", "1:2", "-g", "7", "-g", "8"}, "id")
	b.execs("-flag --other", nil, "echo", "-flag", "--other")
	b.execs("1", []string{"--no-new-privs"}, "sh", "-c", "sed -n 's/NoNewPrivs:.//p' /proc/self/status")
}

// TestExecUser is the table of CVE-2026-30892 and CVE-2026-46680: what is no
// decimal number, and no name, is refused, and never taken for root.
func TestExecUser(t *testing.T) {
	t.Parallel()
	b := asleep(t)
	b.execs("0 1 1", []string{"-u", "1"}, "sh", "-c", "echo 0 $(id -u) 1")
	b.execs("4294967294 5", []string{"-u", "4294967294:5"}, "sh", "-c", "echo $(id -u) $(id -g)")
	for _, bad := range []string{"+1", "-1", "0x1", "1e3", " 1", "1 ", "1:", ":5", ":", ":user", "1:2user", "user:1 ", "4294967295", "4294967296", "1:4294967295", "1:2:3", "1,2", "٣"} {
		hutchOnly(t, "runc takes some of them")
		res := b.exec([]string{"--user=" + bad}, "id")
		if res.code != 255 || res.stdout != "" || !strings.Contains(res.stderr, "give a number from 0 to 4294967294") {
			t.Errorf("%q: %s", bad, res)
		}
	}
}

func TestExecIsInAllNamespaces(t *testing.T) {
	t.Parallel()
	for name, edits := range map[string][]edit{
		"default":        {},
		"user namespace": {userNamespace},
		"time namespace": {namespace(specs.TimeNamespace, "")},
	} {
		t.Run(name, func(t *testing.T) {
			if name == "time namespace" {
				hutchOnly(t, "1.1 has no time namespace")
			}
			t.Parallel()
			b := asleep(t, edits...)
			look := "for n in pid mnt net ipc uts cgroup user time; do readlink /proc/$P/ns/$n; done; readlink /proc/$P/root"
			res := b.exec(nil, "sh", "-c", strings.ReplaceAll(look, "$P", "1")+"; "+strings.ReplaceAll(look, "$P", "self"))
			lines := strings.Fields(res.stdout)
			if res.code != 0 || len(lines) != 18 || !slices.Equal(lines[:9], lines[9:]) {
				t.Errorf("%s", res)
			}
		})
	}
}

func TestExecInCallersMountNamespace(t *testing.T) {
	hutchOnly(t, "runc leaves the mounts")
	b := asleep(t, callersMounts)
	b.execs("/ bin", nil, "sh", "-c", "echo $(pwd) $(ls / | head -1)")
}

func TestExecIsInTheContainersCgroups(t *testing.T) {
	t.Parallel()
	b := asleep(t)
	res := b.exec(nil, "sh", "-c", "cat /proc/1/cgroup >/tmp/1; cat /proc/self/cgroup >/tmp/2; while read a <&3 && read b <&4; do [ $a = $b ] || echo $a $b; done 3</tmp/1 4</tmp/2")
	if res.code != 0 || res.stdout != "" {
		t.Errorf("%s", res)
	}
}

func TestExecInheritsTheProcessBlock(t *testing.T) {
	t.Parallel()
	umask := uint32(0o027)
	adj := 300
	b := asleep(t, func(s *specs.Spec) {
		p := s.Process
		p.User.Umask = &umask
		p.OOMScoreAdj = &adj
		p.NoNewPrivileges = true
		p.Rlimits = []specs.POSIXRlimit{{Type: "RLIMIT_NOFILE", Soft: 99, Hard: 100}, {Type: "RLIMIT_CORE", Soft: 2048, Hard: 4096}}
		p.Capabilities = &specs.LinuxCapabilities{Bounding: []string{"CAP_KILL"}, Effective: []string{"CAP_KILL"}, Permitted: []string{"CAP_KILL"}}
		s.Linux.Personality = &specs.LinuxPersonality{Domain: specs.PerLinux32}
	})
	look := "umask; ulimit -n; ulimit -Hn; ulimit -c; ulimit -Hc; cat /proc/self/oom_score_adj; sed -n 's/^\\(NoNewPrivs\\|Cap[A-Z].*\\):.//p' /proc/self/status; uname -m"
	const caps = "0000000000000000\n0000000000000020\n0000000000000020\n0000000000000020\n0000000000000000\n1\n"
	want := "0027\n99\n100\n4\n8\n300\n" + caps // in blocks of 512 bytes
	check := func(res result, umask string) {
		t.Helper()
		want := umask + strings.TrimPrefix(want, "0027")
		if res.code != 0 || !strings.HasPrefix(res.stdout, want) || strings.Contains(res.stdout, "x86_64") {
			t.Errorf("want %q: %s", want, res)
		}
	}
	hutchOnly(t, "1.1 does not hand on the score")
	check(b.exec(nil, "sh", "-c", look), "0027")
	// The umask of a process file is its own, and so are user and environment.
	file := b.processFile(&specs.Process{Args: []string{"sh", "-c", look}, Cwd: "/", Env: []string{"PATH=/bin"}, User: specs.User{Umask: &umask}})
	check(b.exec([]string{"--process", file}), "0027")
}

func TestExecAddsCapabilities(t *testing.T) {
	t.Parallel()
	b := asleep(t, func(s *specs.Spec) { s.Process.Capabilities = nil })
	res := b.exec([]string{"-c", "CAP_KILL", "-c", "CAP_CHOWN"}, "sed", "-n", "s/^Cap[IPEBA].*:.//p", "/proc/self/status")
	if want := "0000000000000000\n0000000000000021\n0000000000000021\n0000000000000021\n"; res.code != 0 || !strings.HasPrefix(res.stdout, want) {
		t.Errorf("CVE-2022-29162: inheritable first, want %q: %s", want, res)
	}
}

// pidIn reads a pid file, which is a number and nothing else.
func pidIn(t testing.TB, path string) int {
	t.Helper()
	text := readText(t, path)
	pid, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("pid file %q", text)
	}
	return pid
}

func TestExecDetachedWritesPidFile(t *testing.T) {
	t.Parallel()
	b := asleep(t)
	c := call{root: b.root, stdout: b.path("out"), stderr: b.path("err"), args: []string{"exec", "--detach", "--pid-file", b.path("exec.pid"), b.id, "sh", "-c", "echo here; sleep 1000"}}
	c.do(t).ok(t)
	pid := pidIn(t, b.path("exec.pid"))
	b.waitOutput("here")
	if nsOf(t, pid, specs.PIDNamespace) != nsOf(t, b.pid, specs.PIDNamespace) {
		t.Error("the process is not in the container")
	}
	if sid, err := unix.Getsid(pid); err != nil || sid != pid {
		t.Errorf("session %d of process %d, %v", sid, pid, err)
	}
	killAndReap(t, pid)
}

// killAndReap ends a detached process, which is this program's to reap: init does
// not end before all of its pid namespace are.
func killAndReap(t testing.TB, pid int) {
	t.Helper()
	if err := unix.Kill(pid, unix.SIGKILL); err != nil {
		t.Error(err)
	}
	reap(t, pid)
}

func reap(t testing.TB, pid int) {
	t.Helper()
	var ws unix.WaitStatus
	for {
		if _, err := unix.Wait4(pid, &ws, 0, nil); err != unix.EINTR {
			if err != nil {
				t.Errorf("process %d is not a child of the runtime's caller: %v", pid, err)
			}
			return
		}
	}
}

func TestExecFailureLeavesNoPidFile(t *testing.T) {
	t.Parallel()
	b := asleep(t)
	for _, flags := range [][]string{{"--pid-file", b.path("exec.pid")}, {"--detach", "--pid-file", b.path("exec.pid")}} {
		if res := b.exec(flags, "/nonesuch"); res.code != 255 {
			t.Errorf("%s", res)
		}
		if _, err := os.Lstat(b.path("exec.pid")); err == nil {
			t.Error("there is a pid file: engines take it for success")
		}
	}
	if pids := b.rt("ps", "--format", "json", b.id); strings.TrimSpace(pids.stdout) != fmt.Sprintf("[%d]", b.pid) {
		t.Errorf("processes left: %s", pids)
	}
}

func TestExecTerminal(t *testing.T) {
	t.Parallel()
	b := asleep(t)
	t.Run("attached", func(t *testing.T) {
		res := b.exec([]string{"--tty"}, "sh", "-c", "tty; stty size >/dev/null && echo sized")
		if res.code != 0 || !strings.HasPrefix(res.stdout, "/dev/pts/") || !strings.Contains(res.stdout, "sized") {
			t.Errorf("%s", res)
		}
	})
	t.Run("detached", func(t *testing.T) {
		s := newSocket(t, b.path("console.sock"))
		file := b.processFile(&specs.Process{Args: []string{"sh", "-c", "tty; stty size"}, Cwd: "/", Env: []string{"PATH=/bin"}, Terminal: true, ConsoleSize: &specs.Box{Height: 20, Width: 70}})
		c := call{root: b.root, args: []string{"exec", "--process", file, "--tty", "--console-socket", s.path, "--detach", "--pid-file", b.path("exec.pid"), b.id}}
		c.do(t).ok(t)
		master, _ := s.receive()
		defer master.Close()
		var text []byte
		buf := make([]byte, 256)
		for !strings.Contains(string(text), "20 70") {
			n, err := master.Read(buf)
			if err != nil {
				t.Fatalf("read %q, %v", text, err)
			}
			text = append(text, buf[:n]...)
		}
		if !strings.HasPrefix(string(text), "/dev/pts/") {
			t.Errorf("%q", text)
		}
		reap(t, pidIn(t, b.path("exec.pid")))
	})
	for _, flags := range [][]string{{"--tty", "--detach"}, {"--console-socket", b.path("none.sock")}} {
		if res := b.exec(flags, "true"); res.code != 255 || !strings.Contains(res.stderr, "cannot ") {
			t.Errorf("%s", res)
		}
	}
}

func TestExecPidfdSocket(t *testing.T) {
	t.Parallel()
	hutchOnly(t, "1.1 has no --pidfd-socket")
	b := asleep(t)
	s := newSocket(t, b.path("pidfd.sock"))
	call{root: b.root, args: []string{"exec", "--detach", "--pidfd-socket", s.path, "--pid-file", b.path("exec.pid"), b.id, "sleep", "1000"}}.do(t).ok(t)
	pidfd, payload := s.receive()
	defer pidfd.Close()
	if payload != "setns" {
		t.Errorf("payload %q", payload)
	}
	if err := unix.PidfdSendSignal(int(pidfd.Fd()), unix.SIGKILL, nil, 0); err != nil {
		t.Error(err)
	}
	reap(t, pidIn(t, b.path("exec.pid")))
}

func TestExecForwardsSignals(t *testing.T) {
	t.Parallel()
	b := asleep(t)
	r := call{root: b.root, stdout: b.path("out"), args: []string{"exec", b.id, "sh", "-c", "trap 'echo got; exit 3' USR1; echo ready; while :; do sleep 0.1; done"}}.start(t)
	b.waitOutput("ready")
	r.cmd.Process.Signal(syscall.SIGUSR1)
	if res := r.wait(); res.code != 3 || !strings.Contains(res.stdout, "got") {
		t.Errorf("%s", res)
	}
}

func TestExecPreservesDescriptors(t *testing.T) {
	t.Parallel()
	b := asleep(t)
	f, err := os.Open("/etc/hostname")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	look := "i=3; while [ $i -lt 30 ]; do [ -e /proc/self/fd/$i ] && echo $i; i=$((i+1)); done"
	for n, want := range []string{"", "3\n", "3\n4\n"} {
		res := call{root: b.root, files: []*os.File{f, f, f}, args: []string{"exec", "--preserve-fds", fmt.Sprint(n), b.id, "sh", "-c", look}}.do(t)
		if res.code != 0 || res.stdout != want {
			t.Errorf("--preserve-fds %d: want %q: %s", n, want, res)
		}
	}
}

func TestExecOnCreatedAndStopped(t *testing.T) {
	t.Parallel()
	b := newBundle(t, args("sleep", "1000")).create()
	b.execs("1 /", nil, "sh", "-c", "echo 1 $(pwd)")
	b.start().kill("KILL")
	b.wait()
	if res := b.exec(nil, "true"); res.code != 255 || !strings.Contains(res.stderr, "cannot exec in a stopped container") {
		t.Errorf("%s", res)
	}
}

func TestExecManyAtOnce(t *testing.T) {
	t.Parallel()
	b := asleep(t)
	var wait sync.WaitGroup
	for i := range repetitions(50) {
		wait.Add(1)
		go func() {
			defer wait.Done()
			b.execs(fmt.Sprint(i), nil, "echo", fmt.Sprint(i))
		}()
	}
	wait.Wait()
}

// TestCVE202421626ExecCwd: a working directory behind a descriptor of the runtime
// is refused, whatever its number.
func TestCVE202421626ExecCwd(t *testing.T) {
	t.Parallel()
	b := asleep(t)
	dir, err := os.Open("/")
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	for n := range 20 {
		for _, where := range []string{"self", "1", "thread-self"} {
			cwd := fmt.Sprintf("/proc/%s/fd/%d", where, n)
			res := call{root: b.root, files: []*os.File{dir, dir}, args: []string{"exec", "--cwd", cwd, b.id, "sh", "-c", "echo escaped; ls"}}.do(t)
			if res.code == 0 || strings.Contains(res.stdout, "escaped") {
				t.Errorf("%s", res)
			}
		}
	}
}

// TestExecCPUAffinity: the final affinity is that of the program; without it the
// initial one stays, and init is not touched.
func TestExecCPUAffinity(t *testing.T) {
	t.Parallel()
	hutchOnly(t, "1.1 does not know it")
	initial := "1"
	if !kernelHas("6.2") && !onV2(t) {
		initial = "0,1" // the way into a cgroup with cpuset resets it; on v2 the process is born there
	}
	for _, c := range []struct {
		affinity specs.CPUAffinity
		want     string
	}{{specs.CPUAffinity{Initial: "0", Final: "1"}, "1"}, {specs.CPUAffinity{Initial: "1"}, initial}, {specs.CPUAffinity{Final: "0-1"}, "0,1"}} {
		b := asleep(t, func(s *specs.Spec) { s.Process.ExecCPUAffinity = &c.affinity })
		b.execs(c.want, nil, "probe", "affinity")
		if got := readText(t, fmt.Sprintf("/proc/%d/status", b.pid)); strings.Contains(got, "Cpus_allowed_list:\t"+c.want+"\n") && c.want == "1" {
			t.Errorf("init runs on %s too", c.want)
		}
	}
}

// TestExecWithoutMemory: where the container's limit leaves none for a process it is named.
func TestExecWithoutMemory(t *testing.T) {
	t.Parallel()
	hutchOnly(t, "the words are Hutch's")
	b := newBundle(t, args("sleep", "100"))
	b.create().start()
	c := call{root: b.root, args: []string{"exec", b.id, "true"}, wrap: []string{filepath.Join(workDir, "assets", "probe"), "older", "memory"}}
	if res := c.do(t); res.code != 255 || !strings.Contains(res.stderr, "cannot allocate memory: linux.resources.memory.limit is too low") {
		t.Errorf("%s", res)
	}
}

// TestExecAtPidsLimit: a process comes to a container that has room for one task more, or
// for none: a limit of tasks holds up who forks, and not who is moved.
//
// Source: cgroup-v2.rst, "PID".
func TestExecAtPidsLimit(t *testing.T) {
	t.Parallel()
	for name, e := range map[string]edit{"": func(*specs.Spec) {}, "user namespace": userNamespace, "host's pids": withoutNamespace(specs.PIDNamespace)} {
		for limit := int64(1); limit <= 3; limit++ {
			t.Run(fmt.Sprintf("%s %d", name, limit), func(t *testing.T) {
				t.Parallel()
				b := newBundle(t, args("sleep", "100"), withoutNamespace(specs.CgroupNamespace), e, resources(func(r *specs.LinuxResources) { r.Pids = &specs.LinuxPids{Limit: &limit} }))
				b.create().start()
				if out := b.rt("exec", b.id, "cat", "/proc/self/cgroup").ok(t).stdout; !strings.Contains(out, b.id) {
					t.Errorf("the process is in %s", out)
				}
				file := writeText(t, b.path("process.json"), `{"args":["/bin/echo","in"],"cwd":"/"}`)
				if out := b.rt("exec", "--process", file, b.id).ok(t).stdout; out != "in\n" {
					t.Errorf("exec --process: %q", out)
				}
				if out := b.rt("exec", "-t", b.id, "echo", "in").ok(t).stdout; strings.TrimSpace(out) != "in" {
					t.Errorf("exec -t: %q", out)
				}
			})
		}
	}
}
