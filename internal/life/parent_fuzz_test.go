package life

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/compile"
	"github.com/hutch-project/hutch/internal/host/cgroup"
	"github.com/hutch-project/hutch/internal/host/state"
	"github.com/hutch-project/hutch/internal/part/namespace"
	"github.com/hutch-project/hutch/internal/part/rootfs"
	"github.com/hutch-project/hutch/internal/program"
	"github.com/hutch-project/hutch/internal/program/spawn"
	"github.com/hutch-project/hutch/internal/template"
	"github.com/hutch-project/hutch/tests/testneed"
	"github.com/hutch-project/hutch/tests/testwait"
)

// puppet is a process that a runtime takes for the child that runs a program, and the
// child's end of its socket: what a process of the container has who has got hold of it.
//
// It is none that Spawn makes: on amd64 that has nothing of the package-level variables
// which a fuzzer's and a coverage's instrumentation count in.
type puppet struct {
	child *spawn.Child
	peer  int
	code  []program.Instr
}

// sleeper is a process that waits to be killed.
func sleeper(t *testing.T) (pid, pidfd int) {
	t.Helper()
	// Without Pdeathsig, which is for the death of a thread: making a mount point ends one.
	pid, _, err := syscall.StartProcess(busybox, []string{"sleep", "1000"}, &syscall.ProcAttr{Sys: &syscall.SysProcAttr{PidFD: &pidfd}})
	must(t, err)
	return pid, pidfd
}

const busybox = "/bin/busybox"

func newPuppet(t *testing.T, p *program.Program) *puppet {
	t.Helper()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	must(t, err)
	c := &spawn.Child{}
	c.Pid, c.Pidfd = sleeper(t)
	setField(c, "p", p)
	setField(c, "follower", p.Follow())
	setField(c, "sock", pair[0])
	return &puppet{child: c, peer: pair[1], code: p.Child}
}

// setField sets a field of c that only Spawn sets.
func setField[T any](c *spawn.Child, name string, value T) {
	f := reflect.ValueOf(c).Elem().FieldByName(name)
	*(*T)(f.Addr().UnsafePointer()) = value
}

// Descriptors that can go along with a message.
const (
	nothing = iota
	device
	ownProcess
	otherProcess // that is no child of this one
	secondChild  // that the program could have made
	master       // but none of a devpts of the container
	two
	kinds
)

// forger makes messages of a fuzzer's bytes.
type forger struct {
	data []byte
	p    *puppet
	at   int // where the program is when all messages that belong are taken
	fds  [kinds]int
	pids [kinds]int
}

func (f *forger) byte() byte {
	if len(f.data) == 0 {
		return 0
	}
	c := f.data[0]
	f.data = f.data[1:]
	return c
}

// tells are the instructions that tell the parent something and can come next.
func (f *forger) tells() []int {
	var out []int
	seen, todo := map[int]bool{}, []int{f.at}
	for len(todo) > 0 {
		pc := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if pc >= len(f.p.code) || seen[pc] {
			continue
		}
		seen[pc] = true
		switch in := &f.p.code[pc]; in.Op {
		case program.OpTell, program.OpTellData, program.OpTellFd:
			out = append(out, pc)
		case program.OpJump:
			todo = append(todo, int(in.To))
		case program.OpFail, program.OpExit:
		default:
			if in.Op == program.OpIf || in.OnErr == program.JumpOn {
				todo = append(todo, int(in.To))
			}
			todo = append(todo, pc+1)
		}
	}
	return out
}

func head(tag uint32, pc int, value int64) []byte {
	b := binary.NativeEndian.AppendUint32(nil, tag)
	b = binary.NativeEndian.AppendUint32(b, uint32(pc))
	return binary.NativeEndian.AppendUint64(b, uint64(value))
}

// next is one message with its descriptors. One of the program's, as it would send it,
// is the usual one, so that what follows comes far.
func (f *forger) next() (text []byte, fds []int) {
	const failed = 0xffffffff
	kind := f.byte()
	if kind >= 32 {
		kind = 0
	}
	tells := f.tells()
	if len(tells) == 0 || kind%8 == 7 {
		switch f.byte() % 4 {
		case 0: // too short
			return make([]byte, f.byte()%16), f.some(f.byte())
		case 1:
			return head(failed, int(f.byte()), int64(f.byte())), nil
		case 2:
			return make([]byte, 16+int(f.byte())<<6), f.some(f.byte())
		}
		return append(head(uint32(f.byte()), int(f.byte())|int(f.byte())<<8, -int64(f.byte())), make([]byte, f.byte())...), f.some(f.byte())
	}
	pc := tells[int(f.byte())%len(tells)]
	in := &f.p.code[pc]
	value := int64(int8(f.byte()))
	switch in.Op {
	case program.OpTellData:
		data := f.payload()
		text = append(head(in.NR, pc, int64(len(data))), data...)
	case program.OpTellFd:
		fds = f.some(f.byte() % kinds)
		text = head(in.NR, pc, value)
	default:
		if in.NR == compile.Adopt && f.byte()%8 != 0 {
			with := f.byte()
			if with >= 64 {
				with = secondChild
			}
			with %= kinds
			value = int64(f.pids[with])
			if with == secondChild { // as the program's first process ends then
				_ = unix.PidfdSendSignal(f.fds[ownProcess], unix.SIGKILL, nil, 0)
			}
		}
		text = head(in.NR, pc, value)
	}
	switch kind % 8 {
	case 5:
		return append(text, f.byte()), fds
	case 6:
		return text, f.some(f.byte())
	}
	f.at = pc + 1
	if pc > 0 && in.NR == compile.Adopt && f.p.code[pc-1].Op == program.OpIf {
		f.at = int(f.p.code[pc-1].To)
	}
	return text, fds
}

// payload is the data of a message: a directory's entries, a file's state, or anything.
func (f *forger) payload() []byte {
	n := int(f.byte())
	switch f.byte() % 4 {
	case 0:
		n = program.MaxData
	case 1:
		n = 256 // struct statx
	}
	out := make([]byte, n)
	for i := range out {
		if len(f.data) == 0 {
			break
		}
		out[i] = f.byte()
	}
	return out
}

func (f *forger) some(kind byte) []int {
	switch k := int(kind) % kinds; k {
	case nothing:
		return nil
	case two:
		return []int{f.fds[device], f.fds[otherProcess]}
	default:
		return []int{f.fds[k]}
	}
}

// send sends messages until the parent has enough of them. The last one is none of the
// program's, so that the parent does not wait for more.
func (f *forger) send() {
	for i := 0; i < 200 && len(f.data) > 0; i++ {
		text, fds := f.next()
		var rights []byte
		if len(fds) > 0 {
			rights = unix.UnixRights(fds...)
		}
		if unix.Sendmsg(f.p.peer, text, rights, nil, unix.MSG_NOSIGNAL) != nil {
			return
		}
	}
	_ = unix.Sendmsg(f.p.peer, head(0, -1, 0), nil, nil, unix.MSG_NOSIGNAL)
}

// drain takes the parent's answers. The process ends when the parent hangs up.
func (p *puppet) drain(pidfd int) {
	defer func() { _ = unix.PidfdSendSignal(pidfd, unix.SIGKILL, nil, 0) }()
	buf := make([]byte, 8192)
	for {
		n, err := unix.Read(p.peer, buf)
		if err != unix.EINTR && (err != nil || n == 0) {
			return
		}
	}
}

// stage is what the fuzzed parents share.
type stage struct {
	r       *Runtime
	bundles [2]string // without a terminal, with one
	null    *os.File
	other   int // a process that another one is the parent of
}

func newStage(f *testing.F) *stage {
	testneed.Root(f)
	dir := f.TempDir()
	s := &stage{r: &Runtime{Root: filepath.Join(dir, "state"), CgroupManager: Disabled}}
	fatal := func(err error) {
		f.Helper()
		if err != nil {
			f.Fatal(err)
		}
	}
	fatal(os.MkdirAll(s.r.Root, 0o700))
	for i := range s.bundles {
		s.bundles[i] = filepath.Join(dir, strconv.Itoa(i))
		fatal(os.MkdirAll(filepath.Join(s.bundles[i], "rootfs"), 0o755))
		text, err := json.Marshal(fuzzedSpec(i == 1))
		fatal(err)
		fatal(os.WriteFile(filepath.Join(s.bundles[i], "config.json"), text, 0o644))
	}
	var err error
	s.null, err = os.OpenFile("/dev/null", os.O_RDWR, 0)
	fatal(err)
	cmd := exec.Command("/bin/sh", "-c", "exec 3<&0; cat <&3 & echo $!; wait")
	in, err := cmd.StdinPipe() // at whose end all end
	fatal(err)
	out, err := cmd.StdoutPipe()
	fatal(err)
	fatal(cmd.Start())
	f.Cleanup(func() { in.Close(); _ = cmd.Wait(); s.null.Close() })
	line, err := bufio.NewReader(out).ReadString('\n')
	fatal(err)
	s.other, err = strconv.Atoi(strings.TrimSpace(line))
	fatal(err)
	return s
}

// fuzzedSpec is a configuration with most of the messages.
func fuzzedSpec(terminal bool) *specs.Spec {
	spec := template.Spec()
	spec.Process.Terminal, spec.Process.Env = terminal, nil
	for i := range spec.Linux.Namespaces {
		if n := &spec.Linux.Namespaces[i]; n.Type == specs.PIDNamespace {
			n.Path = "/proc/self/ns/pid" // a second process
		}
	}
	spec.Mounts = append(spec.Mounts, specs.Mount{Destination: "/up", Type: "tmpfs", Source: "tmpfs", Options: []string{"tmpcopyup"}},
		specs.Mount{Destination: "/deep/in/target", Type: "bind", Source: "/etc/hostname", Options: []string{"bind"}})
	return spec
}

// create is a runtime that serves the init of a create.
func (s *stage) create(t *testing.T, terminal int) (p *puppet, serve func() error, done func()) {
	o := &CreateOptions{ID: "fuzzed", Bundle: s.bundles[terminal]}
	if terminal == 1 {
		o.ConsoleSocket = filepath.Join(s.bundles[1], "none")
	}
	m, err := s.r.newMaker(o, true, byProgram)
	must(t, err)
	must(t, m.run([]step{{"", m.load}, {"", m.decide}, {"", m.record}}))
	out, err := compile.Compile(&compile.Input{
		Spec: m.bundle.spec, Rootfs: m.bundle.rootfs, Bundle: m.bundle.dir, Keyring: m.plan.record.Keyring, Fifo: true, Unattended: len(m.plan.work.at(compile.Born)) == 0,
		Host: compile.Host{Privileged: true, LastCap: 40, HeldCaps: 1<<41 - 1, ProcOfPidNS: true, Cgroup: &rootfs.Cgroup{V2: true, Dir: "/sys/fs/cgroup/fuzzed"}},
	})
	must(t, err)
	m.plan.out = out
	root, err := unix.Open(m.bundle.rootfs, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	must(t, err)
	out.Program.Set(out.Root.Fd, int64(root)) // which Close closes
	p = newPuppet(t, out.Program)
	m.child = p.child
	m.undo = append(m.undo, func() { m.child.Kill() })
	serve = func() error {
		_, err := m.serve()
		return err
	}
	return p, serve, func() { m.takeBack(); m.close() }
}

// exec is a runtime that serves a further process.
func (s *stage) exec(t *testing.T, terminal int) (p *puppet, serve func() error, done func()) {
	adj := 100
	spec := fuzzedSpec(terminal == 1)
	spec.Process.OOMScoreAdj = &adj
	self, err := unix.PidfdOpen(os.Getpid(), 0)
	must(t, err)
	defer unix.Close(self)
	init := namespace.Init{Pid: os.Getpid(), Pidfd: self, Flags: unix.CLONE_NEWNS | unix.CLONE_NEWPID}
	e := &execution{
		r: s.r, o: &ExecOptions{Detach: true}, p: spec.Process, linux: &specs.Linux{}, init: init, pidfd: -1,
		c: &container{r: s.r, rec: &state.Record{}, cg: cgroup.NoPlan().Manager()},
	}
	e.work = e.parentWork()
	prog, _, err := compile.Exec(&compile.ExecInput{
		Process: spec.Process, Linux: &specs.Linux{}, OwnKeyring: true, Init: init, Wait: len(e.work.at(compile.Born)) > 0,
		Host: compile.Host{LastCap: 40, HeldCaps: 1<<41 - 1},
	})
	must(t, err)
	p = newPuppet(t, prog)
	e.child = p.child
	return p, e.server().serve, func() { e.kill(); e.child.Close() }
}

// FuzzParent gives a runtime messages that the program of its child would not send. It
// ends, kills and waits for none but its own children, and leaves no descriptor.
func FuzzParent(f *testing.F) {
	s := newStage(f)
	random := rand.New(rand.NewPCG(1, 2))
	for i := range 200 { // most of it messages as the program sends them
		data := make([]byte, 1+random.IntN(400))
		for j := range data {
			data[j] = byte(random.Uint32())
		}
		data[0] = byte(i)
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) == 0 {
			return
		}
		before := openFds(t)
		second, secondFd := sleeper(t)
		other, err := unix.PidfdOpen(s.other, 0)
		must(t, err)
		start := s.create
		if data[0]%2 == 1 {
			start = s.exec
		}
		p, serve, done := start(t, int(data[0]/2%2))
		own, err := unix.PidfdOpen(p.child.Pid, 0)
		must(t, err)
		first := p.child.Pid
		fg := &forger{data: data[1:], p: p}
		fg.fds = [kinds]int{device: int(s.null.Fd()), ownProcess: own, otherProcess: other, secondChild: secondFd, master: int(s.null.Fd())}
		fg.pids = [kinds]int{ownProcess: first, otherProcess: s.other, secondChild: second}
		var talk sync.WaitGroup
		talk.Go(func() { p.drain(own) })
		talk.Go(fg.send)
		ended := make(chan error, 1)
		go func() { ended <- serve() }()
		testwait.Value(t, "the end of the parent", ended)
		adopted := p.child.Pid == second
		if !adopted && p.child.Pid != first {
			t.Errorf("the parent follows %d, neither its child %d nor the second process %d", p.child.Pid, first, second)
		}
		done()
		talk.Wait()
		unix.Close(p.peer)
		if gone(t, other) {
			t.Error("another's child is gone")
		}
		if !adopted && gone(t, secondFd) {
			t.Error("a child that was not adopted is gone")
		}
		if !adopted {
			must(t, unix.PidfdSendSignal(secondFd, unix.SIGKILL, nil, 0))
			var err error = unix.EINTR
			for err == unix.EINTR {
				_, err = unix.Wait4(second, nil, 0, nil)
			}
			must(t, err)
		}
		if _, err := unix.Wait4(first, nil, unix.WNOHANG, nil); err != unix.ECHILD {
			t.Errorf("the child is not reaped: %v", err)
		}
		unix.Close(secondFd)
		unix.Close(own)
		unix.Close(other)
		if after := openFds(t); after > before {
			t.Errorf("%d descriptors are open, %d before", after, before)
		}
	})
}

// gone reports whether the process of pidfd has ended.
func gone(t *testing.T, pidfd int) bool {
	t.Helper()
	return testwait.Now(t, pidfd)
}
