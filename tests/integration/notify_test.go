package integration

import (
	"encoding/json"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"unsafe"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// agent is a seccomp agent: it takes listeners from its socket and answers their
// calls, mkdir with an errno and all others so that they go on.
type agent struct {
	t        *testing.T
	path     string
	listener *net.UnixListener
	mu       sync.Mutex
	states   []specs.ContainerProcessState
	calls    map[int32]int // by number
	done     sync.WaitGroup
}

// denied is what the agent answers to mkdir.
const denied = unix.EUSERS

// newAgent listens at path until b's init is reaped: up to Linux 6.10 a process
// holds its filter, and so the listener, as long as it is a zombie.
func newAgent(t *testing.T, b *bundle, path string) *agent {
	t.Helper()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	a := &agent{t: t, path: path, listener: l, calls: map[int32]int{}}
	a.done.Add(1)
	go func() {
		defer a.done.Done()
		for {
			c, err := l.AcceptUnix()
			if err != nil {
				return
			}
			a.take(c)
		}
	}()
	b.release = append(b.release, func() {
		l.Close()
		a.done.Wait()
	})
	return a
}

// take receives one listener and serves it until nobody uses it any more.
func (a *agent) take(c *net.UnixConn) {
	defer c.Close()
	text, oob := make([]byte, 1<<16), make([]byte, 256)
	n, oobn, _, _, err := c.ReadMsgUnix(text, oob)
	if err != nil {
		a.t.Error(err)
		return
	}
	var s specs.ContainerProcessState
	if err := json.Unmarshal(text[:n], &s); err != nil {
		a.t.Errorf("%v in %s", err, text[:n])
	}
	messages, err := unix.ParseSocketControlMessage(oob[:oobn])
	if err != nil || len(messages) != 1 {
		a.t.Errorf("%d control messages, %v", len(messages), err)
		return
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil || len(fds) != 1 {
		a.t.Errorf("%d descriptors, %v", len(fds), err)
		return
	}
	a.mu.Lock()
	a.states = append(a.states, s)
	a.mu.Unlock()
	a.done.Add(1)
	go a.serve(fds[0])
}

// Requests and structures of seccomp_unotify(2).
const (
	notifyReceive  = 0xc0502100
	notifySend     = 0xc0182101
	notifyContinue = 1
)

// mkdirs are the numbers of mkdir(2) where it is.
var mkdirs = map[string]int32{"amd64": 83, "386": 39, "arm": 39, "ppc64le": 39, "s390x": 39}

type notification struct {
	id          uint64
	pid, flags  uint32
	nr          int32
	arch        uint32
	instruction uint64
	args        [6]uint64
}

type answer struct {
	id    uint64
	value int64
	errno int32
	flags uint32
}

func (a *agent) serve(fd int) {
	defer a.done.Done()
	defer unix.Close(fd)
	for {
		p := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		if _, err := unix.Poll(p, -1); err == unix.EINTR {
			continue
		}
		if p[0].Revents&unix.POLLIN == 0 {
			return // POLLHUP: no process has the filter
		}
		var n notification
		if _, _, err := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), notifyReceive, uintptr(unsafe.Pointer(&n))); err != 0 {
			continue // killed meanwhile
		}
		a.mu.Lock()
		a.calls[n.nr]++
		a.mu.Unlock()
		r := answer{id: n.id, flags: notifyContinue}
		if n.nr == unix.SYS_MKDIRAT || n.nr == mkdirs[runtime.GOARCH] {
			r.flags, r.errno = 0, -int32(denied)
		}
		_, _, _ = unix.Syscall(unix.SYS_IOCTL, uintptr(fd), notifySend, uintptr(unsafe.Pointer(&r)))
	}
}

func (a *agent) seen(i int) specs.ContainerProcessState {
	a.t.Helper()
	var s specs.ContainerProcessState
	eventually(a.t, "the agent has the listener", func() bool {
		a.mu.Lock()
		defer a.mu.Unlock()
		if len(a.states) <= i {
			return false
		}
		s = a.states[i]
		return true
	})
	return s
}

func notifies(path string, deflt specs.LinuxSeccompAction, names ...string) edit {
	return func(s *specs.Spec) {
		s.Linux.Seccomp = &specs.LinuxSeccomp{DefaultAction: deflt, ListenerPath: path, ListenerMetadata: "meta \"data\""}
		if len(names) > 0 {
			s.Linux.Seccomp.Syscalls = []specs.LinuxSyscall{{Names: names, Action: specs.ActNotify}}
		}
	}
}

// TestSeccompNotify: calls go to the agent, for init and exec'd processes, with and
// without noNewPrivileges; also calls that Hutch makes itself after loading, and all
// calls as the default action.
func TestSeccompNotify(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		deflt specs.LinuxSeccompAction
		names []string
	}{
		"mkdir":     {specs.ActAllow, []string{"mkdir", "mkdirat"}},
		"own calls": {specs.ActAllow, []string{"mkdir", "mkdirat", "write", "sendmsg", "sendto", "read", "close", "dup3", "capset", "rt_sigprocmask", "execve", "pread64"}},
		"all calls": {specs.ActNotify, nil},
	} {
		for _, nnp := range []bool{false, true} {
			t.Run(name+" "+map[bool]string{true: "no new privileges", false: "with privileges"}[nnp], func(t *testing.T) {
				t.Parallel()
				b := newBundle(t)
				a := newAgent(t, b, b.path("agent"))
				sh("mkdir /tmp/x; mkdir /tmp/x 2>&1; echo looked; sleep 1000")(b.spec)
				noNewPrivileges(nnp)(b.spec)
				notifies(a.path, c.deflt, c.names...)(b.spec)
				b.writeSpec()
				b.create()
				s := a.seen(0)
				if s.Pid != b.pid || s.State.ID != b.id || s.State.Status != specs.StateCreating || s.State.Pid != b.pid || s.State.Bundle != b.dir ||
					s.Metadata != "meta \"data\"" || strings.Join(s.Fds, ",") != "seccompFd" || s.Version == "" {
					t.Errorf("the agent got %+v", s)
				}
				b.start()
				if got := b.waitOutput("looked"); !strings.Contains(got, "Too many users") {
					t.Errorf("init: %q", got)
				}
				if got := b.exec(nil, "sh", "-c", "mkdir /tmp/y 2>&1; echo done"); !strings.Contains(got.stdout, "Too many users") || !strings.Contains(got.stdout, "done") {
					t.Errorf("exec: %s", got)
				}
				if s := a.seen(1); s.State.Status != specs.StateRunning || s.Pid == b.pid || s.State.Pid != b.pid {
					t.Errorf("exec: the agent got %+v", s)
				}
				b.delete("--force")
				b.nothingLeft()
			})
		}
	}
}

// TestSeccompNotifyMistakes: without a path, without an agent, with a file at its
// place; an agent that never answers does not hold create.
func TestSeccompNotifyMistakes(t *testing.T) {
	t.Parallel()
	refused(t, []string{"linux.seccomp.listenerPath", "SCMP_ACT_NOTIFY"}, func(s *specs.Spec) {
		s.Linux.Seccomp = &specs.LinuxSeccomp{DefaultAction: specs.ActNotify}
	})
	b := newBundle(t)
	notifies(b.path("nobody"), specs.ActAllow, "mkdir")(b.spec)
	b.writeSpec()
	b.refuse([]string{"linux.seccomp.listenerPath", b.path("nobody")})
	writeText(t, b.path("nobody"), "")
	b.refuse([]string{"linux.seccomp.listenerPath", b.path("nobody")})
	silent := newBundle(t)
	l, err := net.Listen("unix", silent.path("silent")) // accepts nothing
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	notifies(silent.path("silent"), specs.ActNotify)(silent.spec)
	silent.writeSpec()
	silent.create() // it would never end
	silent.delete("--force")
	silent.nothingLeft()
}
