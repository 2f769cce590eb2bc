package list

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/calls"

	"github.com/hutch-project/hutch/internal/program"
)

var update = flag.Bool("update", false, "write the golden files anew")

// linked returns the program of b.
func linked(t testing.TB, b *program.Builder) *program.Program {
	t.Helper()
	p, err := b.Program()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// mountProc is a program as the emitters build them.
func mountProc(b *program.Builder) {
	var root program.Reg
	b.InParent(func() {
		b := b.Element(program.T("root.path")).Doing(program.T("open %s", "/bundle/rootfs"))
		root = b.Sys(unix.SYS_OPENAT, program.Imm(unix.AT_FDCWD), b.Str("/bundle/rootfs"), program.Imm(unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC)).Fd()
	})
	b.CloseExcept([]int{3, 4, 7}, root)
	b = b.Element(program.N("mounts[%d]", 0)).Doing(program.T("mount proc on /proc"))
	fs := b.Step(program.T("fsopen")).Sys(unix.SYS_FSOPEN, b.Str("proc"), program.Imm(unix.FSOPEN_CLOEXEC)).Fd()
	step := b.Step(program.T("option %s", "hidepid"))
	step.Sys(unix.SYS_FSCONFIG, program.Val(fs), program.Imm(unix.FSCONFIG_SET_STRING), b.Str("hidepid"), b.Str("2"), program.Imm(0))
	step.Sys(unix.SYS_FSCONFIG, program.Val(fs), program.Imm(unix.FSCONFIG_CMD_CREATE), program.Imm(0), program.Imm(0), program.Imm(0))
	step = b.Step(program.T("fsmount"))
	mnt := step.Sys(unix.SYS_FSMOUNT, program.Val(fs), program.Imm(unix.FSMOUNT_CLOEXEC), program.Imm(unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NOEXEC)).Fd()
	step = b.Step(program.T("make read-only"))
	step.Sys(unix.SYS_MOUNT_SETATTR, program.Val(mnt), b.Str(""), program.Imm(unix.AT_EMPTY_PATH),
		program.Struct(step, &unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY, Attr_clr: unix.MOUNT_ATTR__ATIME, Propagation: unix.MS_PRIVATE}).Arg(), program.Imm(unsafe.Sizeof(unix.MountAttr{})))
	step = b.Step(program.T("open target"))
	retry, open := b.Label(), b.Label()
	how := program.Struct(step, &unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS})
	b.Bind(retry)
	target := b.RegOf(-1)
	step.Sys(unix.SYS_OPENAT2, program.Val(root), b.Str("proc"), how.Arg(), program.Imm(how.Len)).To(target).On(unix.ENOENT, open)
	step = b.Step(program.T("is it a directory"))
	st := b.Zero(int(unsafe.Sizeof(unix.Statx_t{})))
	step.Sys(unix.SYS_STATX, program.Val(target), b.Str(""), program.Imm(unix.AT_EMPTY_PATH), program.Imm(unix.STATX_TYPE), st.Arg())
	ok := b.Label()
	step.IfWord(program.Mem{Off: st.Off + 28, Len: 2}, unix.S_IFMT, program.Eq, unix.S_IFDIR, ok)
	step.Fail(unix.ENOTDIR)
	b.Bind(open)
	b.Step(program.T("make target")).Sys(unix.SYS_MKDIRAT, program.Val(root), b.Str("proc"), program.Imm(0o755)).On(0, retry)
	b.Jump(retry)
	b.Bind(ok)
	step = b.Step(program.T("attach"))
	step.Sys(unix.SYS_MOVE_MOUNT, program.Val(mnt), b.Str(""), program.Val(target), b.Str(""), program.Imm(unix.MOVE_MOUNT_F_EMPTY_PATH|unix.MOVE_MOUNT_T_EMPTY_PATH))
	step.Sys(unix.SYS_CLOSE, program.Val(mnt)).Ignore()
}

// runProcess has the other half: identity, limits, barriers, execve.
func runProcess(b *program.Builder) {
	b = b.Element(program.T("process.rlimits[0]"))
	b.Sys(unix.SYS_PRLIMIT64, program.Imm(0), program.Imm(unix.RLIMIT_NOFILE), program.Struct(b, &unix.Rlimit{Cur: 1024, Max: unix.RLIM_INFINITY}).Arg(), program.Imm(0))
	b = b.Element(program.T("process.user"))
	b.Sys(unix.SYS_SETGROUPS, program.Imm(2), b.Bytes(wordsOf[uint32](5, 1000)).Arg())
	b.Sys(unix.SYS_SETRESUID, program.Imm(-1), program.Imm(0), program.Imm(1000))
	b.Sys(unix.SYS_UMASK, program.Imm(0o22))
	b = b.Element(program.T("process.capabilities"))
	b.Sys(unix.SYS_PRCTL, program.Imm(unix.PR_CAPBSET_DROP), program.Imm(unix.CAP_SYS_ADMIN))
	b.Sys(unix.SYS_CAPSET, program.Struct(b, &unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}).Arg(),
		program.Struct(b, &[2]unix.CapUserData{{Effective: 1 << unix.CAP_KILL, Permitted: 1<<unix.CAP_KILL | 1<<unix.CAP_CHOWN}, {Permitted: 1 << (unix.CAP_BPF - 32)}}).Arg())
	b.Sys(unix.SYS_PRCTL, program.Imm(unix.PR_CAP_AMBIENT), program.Imm(unix.PR_CAP_AMBIENT_RAISE), program.Imm(unix.CAP_KILL), program.Imm(0), program.Imm(0))
	b.Sys(unix.SYS_PRCTL, program.Imm(unix.PR_SET_NO_NEW_PRIVS), program.Imm(1), program.Imm(0), program.Imm(0), program.Imm(0))
	b = b.Element(program.T("process.scheduler"))
	b.Sys(unix.SYS_SCHED_SETATTR, program.Imm(0), program.Struct(b, &unix.SchedAttr{Size: 48, Policy: unix.SCHED_FIFO, Priority: 5}).Arg(), program.Imm(0))
	b.Sys(unix.SYS_SCHED_SETAFFINITY, program.Imm(0), program.Imm(8), b.Bytes([]byte{0b10111, 1, 0, 0, 0, 0, 0, 0}).Arg())
	b.Sys(unix.SYS_IOPRIO_SET, program.Imm(1), program.Imm(0), program.Imm(2<<13|4))
	b = b.Element(program.T("linux.namespaces"))
	clone, child := b.Zero(64), b.Label()
	b.Set(clone.Reg(0), unix.CLONE_NEWPID)
	b.Set(clone.Reg(32), int64(unix.SIGCHLD))
	b.Sys(unix.SYS_CLONE3, clone.Arg(), program.Imm(clone.Len)).On(unix.EPERM, child)
	b.Clone(unix.CLONE_NEWPID, 1)
	b.Bind(child)
	b.Sys(unix.SYS_UNSHARE, program.Imm(unix.CLONE_NEWCGROUP))
	b = b.Element(program.T("process.terminal"))
	b.Sys(unix.SYS_IOCTL, program.Imm(0), program.Imm(unix.TIOCSCTTY), program.Imm(0))
	b.Sys(unix.SYS_IOCTL, program.Imm(0), program.Imm(unix.TIOCSWINSZ), program.Struct(b, &unix.Winsize{Row: 24, Col: 80}).Arg())
	b = b.Element(program.T("linux.devices"))
	b.Sys(unix.SYS_MKNODAT, program.Imm(unix.AT_FDCWD), b.Str("dev/null"), program.Imm(unix.S_IFCHR|0o666), program.Imm(unix.Mkdev(1, 3)))
	b = b.Element(program.T("fifo"))
	fifo := b.Sys(unix.SYS_OPENAT, program.Imm(unix.AT_FDCWD), b.Str("/run/x"), program.Imm(unix.O_WRONLY|unix.O_CREAT|unix.O_CLOEXEC), program.Imm(0o600)).Fd()
	b.Sys(unix.SYS_WRITE, program.Val(fifo), b.Bytes([]byte("a\x00b")).Arg(), program.Imm(3))
	b.Sys(unix.SYS_RT_SIGPROCMASK, program.Imm(unix.SIG_SETMASK), b.Bytes(wordsOf[uint64](1<<14|1)).Arg(), program.Imm(0), program.Imm(8))
	got := b.Zero(8)
	b.Wait(8, got)
	b.If(got.Reg(0), program.Ne, -int64(unix.EAGAIN), child)
	text, n := b.Zero(100), b.Reg()
	b.Sys(unix.SYS_READ, program.Val(fifo), text.Arg(), program.Imm(text.Len)).To(n)
	b.TellData(3, text, n)
	b.TellData(3, program.Mem{Off: text.Off + 10, Len: 90}, b.RegOf(5))
	b.TellFd(4, 0, fifo)
	b.Barrier(2, b.RegOf(40))
	r := b.Reg()
	b.Sys(unix.SYS_SOCKET, program.Imm(unix.AF_UNIX), program.Imm(unix.SOCK_DGRAM|unix.SOCK_CLOEXEC), program.Imm(0)).To(r)
	b = b.Element(program.T("process.args"))
	b.Sys(unix.SYS_EXECVE, b.Str("/bin/sh"), b.Strv([]string{"sh", "-c", `echo "$A"`}).Arg(), b.Strv(nil).Arg())
}

// wordsOf returns the memory of an array of numbers.
func wordsOf[N uint32 | uint64](v ...N) []byte {
	return bytes.Clone(unsafe.Slice((*byte)(unsafe.Pointer(&v[0])), len(v)*int(unsafe.Sizeof(v[0]))))
}

func tagNames(tag uint32) string { return map[uint32]string{1: "adopt", 8: "go"}[tag] }

func TestListingIsGolden(t *testing.T) {
	for _, c := range []struct {
		name string
		emit func(*program.Builder)
	}{{"mount", mountProc}, {"process", runProcess}} {
		t.Run(c.name, func(t *testing.T) {
			b := program.New()
			c.emit(b)
			lines := Lines(linked(t, b), &Options{TagName: tagNames})
			var got bytes.Buffer
			if err := WriteText(&got, lines); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join("testdata", c.name+".golden")
			if *update {
				if err := os.MkdirAll("testdata", 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, got.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if got.String() != string(want) {
				t.Errorf("got\n%s\nwant\n%s", &got, want)
			}
		})
	}
}

func TestJSONDecodesToTheSameLines(t *testing.T) {
	b := program.New()
	mountProc(b)
	runProcess(b)
	lines := Lines(linked(t, b), nil)
	var text bytes.Buffer
	if err := WriteJSON(&text, lines); err != nil {
		t.Fatal(err)
	}
	var got []Line
	d := json.NewDecoder(bytes.NewReader(text.Bytes()))
	d.DisallowUnknownFields()
	if err := d.Decode(&got); err != nil {
		t.Fatalf("%v in\n%s", err, &text)
	}
	if !reflect.DeepEqual(got, lines) {
		t.Errorf("got\n%+v\nwant\n%+v", got, lines)
	}
	var ins []map[string]any
	if err := json.Unmarshal(text.Bytes(), &ins); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"section", "pc", "call", "args"} {
		if _, ok := ins[0][name]; !ok {
			t.Errorf("%v has no %s", ins[0], name)
		}
	}
}

func TestEmptyListings(t *testing.T) {
	lines := Lines(linked(t, program.New()), nil)
	var text, js bytes.Buffer
	if err := WriteText(&text, lines); err != nil || text.Len() != 0 {
		t.Errorf("%q, %v; want nothing", &text, err)
	}
	if err := WriteJSON(&js, lines); err != nil || !json.Valid(js.Bytes()) {
		t.Errorf("%q, %v; want an empty array", &js, err)
	}
}

// Each kind of the table has something that writes it: a kind that nobody writes would be
// shown as a bare number, or as an address.
func TestEveryKindIsWritten(t *testing.T) {
	var src []byte
	for _, name := range []string{"args.go", "structs.go"} {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		src = append(src, text...)
	}
	names := kindNames(t)
	for k := calls.Any; k < calls.Kinds; k++ {
		if flagSet(k) != nil || enumSet(k) != nil || bytes.Contains(src, []byte("calls."+names[k])) {
			continue
		}
		switch k {
		case calls.OutNext, calls.OutRlimit, calls.OutRusage, calls.OutSigaction, calls.OutStatfs, calls.OutStatus, calls.OutStatx:
			continue // where they are says all
		}
		t.Errorf("nothing writes the kind %s", names[k])
	}
}

// kindNames returns the names of the constants of calls.Kind.
func kindNames(t *testing.T) []string {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), "../../calls/kind.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	ast.Inspect(f, func(n ast.Node) bool {
		if v, ok := n.(*ast.ValueSpec); ok {
			out = append(out, v.Names[0].Name)
		}
		return true
	})
	if len(out) != int(calls.Kinds)+1 {
		t.Fatalf("%d names of %d kinds", len(out), calls.Kinds)
	}
	return out
}

func TestFlagsByName(t *testing.T) {
	for _, c := range []struct {
		kind calls.Kind
		v    uint64
		want string
	}{
		{calls.Open, 0, "O_RDONLY"},
		{calls.Open, unix.O_PATH, "O_PATH"},
		{calls.Open, unix.O_RDWR | unix.O_NOCTTY, "O_RDWR|O_NOCTTY"},
		{calls.Open, unix.O_TMPFILE | unix.O_WRONLY, "O_WRONLY|O_TMPFILE"},
		{calls.Open, 1 << 40, "O_RDONLY|0x10000000000"},
		{calls.Mode, unix.S_IFIFO | 0o600, "S_IFIFO|0600"},
		{calls.Mode, 0, "0"},
		{calls.Fd, ^uint64(99), "AT_FDCWD"},
		{calls.Fd, ^uint64(0), "-1"},
		{calls.FdMax, 1<<31 - 1, "max"},
		{calls.CloneFlags, unix.CLONE_NEWUSER | unix.CLONE_NEWTIME, "CLONE_NEWUSER|CLONE_NEWTIME"},
		{calls.Mount, unix.MS_BIND | unix.MS_REC, "MS_BIND|MS_REC"},
		{calls.Mount, 0, "0"},
		{calls.Resource, unix.RLIMIT_CORE, "RLIMIT_CORE"},
		{calls.Resource, 99, "99"},
		{calls.Keyctl, unix.KEYCTL_SETPERM, "KEYCTL_SETPERM"},
		{calls.Keyring, ^uint64(2), "KEY_SPEC_SESSION_KEYRING"},
		{calls.Signal, uint64(unix.SIGKILL), "SIGKILL"},
		{calls.Signal, 1 << 40, "1099511627776"},
		{calls.Capability, unix.CAP_CHECKPOINT_RESTORE, "CAP_CHECKPOINT_RESTORE"},
		{calls.Capability, 77, "77"},
		{calls.Securebits, 0x15, "SECBIT_NOROOT|SECBIT_NO_SETUID_FIXUP|SECBIT_KEEP_CAPS"},
		{calls.Tree, unix.OPEN_TREE_CLONE | unix.O_CLOEXEC | unix.AT_RECURSIVE, "OPEN_TREE_CLONE|OPEN_TREE_CLOEXEC|AT_RECURSIVE"},
		{calls.MemPolicy, unix.MPOL_BIND | unix.MPOL_F_STATIC_NODES, "MPOL_BIND|MPOL_F_STATIC_NODES"},
		{calls.SockType, unix.SOCK_STREAM, "SOCK_STREAM"},
		{calls.How, 0, "NULL"},
		{calls.Int, ^uint64(0), "-1"},
		{calls.Hex, 0x80, "0x80"},
	} {
		if got := number(c.v, c.kind); got != c.want {
			t.Errorf("kind %d, %#x: got %s, want %s", c.kind, c.v, got, c.want)
		}
	}
}

func TestCapabilityNamesEndWithTheKernelsLast(t *testing.T) {
	if got := capabilityWord(unix.CAP_LAST_CAP); got == fmt.Sprint(unix.CAP_LAST_CAP) {
		t.Errorf("capability %d has no name", unix.CAP_LAST_CAP)
	}
	if got := capabilityWord(unix.CAP_LAST_CAP + 1); got != fmt.Sprint(unix.CAP_LAST_CAP+1) {
		t.Errorf("capability %d is called %s", unix.CAP_LAST_CAP+1, got)
	}
	if got := capabilityWord(unix.CAP_SYS_ADMIN); got != "CAP_SYS_ADMIN" {
		t.Errorf("CAP_SYS_ADMIN is called %s", got)
	}
}

// What an address outside of the arena, or without an end, makes of each kind of
// argument is an address: nothing is read there.
func TestAddressesOutsideTheArenaAreNotRead(t *testing.T) {
	for nr := range calls.Limit() + 10 {
		for _, off := range []uint32{0, 1 << 20, 1<<32 - 1, 1<<32 - 8} {
			p := linked(t, program.New())
			in := program.Instr{NR: nr, NArgs: 6}
			for i := range in.Args {
				in.Args[i] = program.Mem{Off: off}.Arg()
			}
			p.Child = []program.Instr{in}
			Lines(p, nil)
		}
	}
}
