package call

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/calls"
	"github.com/hutch-project/hutch/internal/program"
)

// world has one argument of each type; what a call made of them can be told apart.
type world struct {
	b        *program.Builder
	fd       program.Reg
	num      program.Reg
	path     Path
	text     Text
	out      program.Mem // to be written
	in       program.Mem // to be read
	function string      // under test
}

func newWorld(name string) *world {
	b := program.New()
	w := &world{b: b, function: name, fd: b.RegOf(-1), num: b.Reg(), out: b.Zero(512), in: b.Bytes([]byte("memory"))}
	w.path, w.text = PathTo(b, "path"), TextOf(b, "text")
	return w
}

// every has a call of each function.
func every() map[string]func(*world) program.Call {
	out := files()
	maps.Copy(out, mounts())
	maps.Copy(out, processes())
	return out
}

func fd(w *world) Fd       { return In(w.fd) }
func num(w *world) Num     { return Value(w.num) }
func owner(w *world) Owner { return Owner{num(w), num(w)} }

func files() map[string]func(*world) program.Call {
	return map[string]func(*world) program.Call{
		"Read":        func(w *world) program.Call { return Read(w.b, fd(w), w.out) },
		"WriteString": func(w *world) program.Call { return WriteString(w.b, fd(w), "text") },
		"Write":       func(w *world) program.Call { return Write(w.b, fd(w), w.in, num(w)) },
		"Pwrite64":    func(w *world) program.Call { return Pwrite64(w.b, fd(w), []byte("memory"), 0) },
		"Lseek":       func(w *world) program.Call { return Lseek(w.b, fd(w), num(w), SeekEnd) },
		"Ftruncate":   func(w *world) program.Call { return Ftruncate(w.b, fd(w), num(w)) },
		"Sendfile":    func(w *world) program.Call { return Sendfile(w.b, fd(w), fd(w), num(w)) },
		"Getdents64":  func(w *world) program.Call { return Getdents64(w.b, fd(w), w.out) },
		"Fstatfs":     func(w *world) program.Call { return Fstatfs(w.b, fd(w), w.out) },
		"Statfs":      func(w *world) program.Call { return Statfs(w.b, w.path, w.out) },
		"Statx": func(w *world) program.Call {
			return Statx(w.b, fd(w), w.path, unix.AT_EMPTY_PATH, unix.STATX_TYPE, w.out)
		},
		"Close":        func(w *world) program.Call { return Close(w.b, fd(w)) },
		"Dup":          func(w *world) program.Call { return Dup(w.b, fd(w)) },
		"Dup3":         func(w *world) program.Call { return Dup3(w.b, fd(w), Over(w.fd), unix.O_CLOEXEC) },
		"MemfdCreate":  func(w *world) program.Call { return MemfdCreate(w.b, "text", unix.MFD_CLOEXEC) },
		"Socket":       func(w *world) program.Call { return Socket(w.b, unix.AF_UNIX, unix.SOCK_DGRAM, 0) },
		"IoctlUnlock":  func(w *world) program.Call { return IoctlUnlock(w.b, fd(w)) },
		"IoctlPeer":    func(w *world) program.Call { return IoctlPeer(w.b, fd(w), unix.O_RDWR) },
		"IoctlControl": func(w *world) program.Call { return IoctlControl(w.b, fd(w)) },
		"IoctlWinsize": func(w *world) program.Call { return IoctlWinsize(w.b, fd(w), unix.Winsize{Row: 24, Col: 80}) },
		"IoctlIfFlags": func(w *world) program.Call { return IoctlIfFlags(w.b, fd(w), w.in) },
		"IoctlNsType":  func(w *world) program.Call { return IoctlNsType(w.b, fd(w)) },
		"Openat":       func(w *world) program.Call { return Openat(w.b, fd(w), w.path, unix.O_PATH) },
		"Openat2":      func(w *world) program.Call { return Openat2(w.b, fd(w), w.path, How{Flags: unix.O_PATH}) },
		"Mkdirat":      func(w *world) program.Call { return Mkdirat(w.b, fd(w), w.path, 0o755) },
		"Mknodat":      func(w *world) program.Call { return Mknodat(w.b, fd(w), w.path, unix.S_IFREG|0o644, 0) },
		"Symlinkat":    func(w *world) program.Call { return Symlinkat(w.b, w.text, fd(w), w.path) },
		"Unlinkat":     func(w *world) program.Call { return Unlinkat(w.b, fd(w), w.path, unix.AT_REMOVEDIR) },
		"Readlinkat":   func(w *world) program.Call { return Readlinkat(w.b, fd(w), w.path, w.out) },
		"Fchmodat":     func(w *world) program.Call { return Fchmodat(w.b, fd(w), w.path, num(w)) },
		"Fchownat":     func(w *world) program.Call { return Fchownat(w.b, fd(w), w.path, owner(w), unix.AT_EMPTY_PATH) },
		"Fchown":       func(w *world) program.Call { return Fchown(w.b, fd(w), owner(w)) },
		"Faccessat":    func(w *world) program.Call { return Faccessat(w.b, fd(w), w.path, unix.X_OK) },
		"Faccessat2":   func(w *world) program.Call { return Faccessat2(w.b, fd(w), w.path, unix.X_OK, unix.AT_EACCESS) },
		"Fchdir":       func(w *world) program.Call { return Fchdir(w.b, fd(w)) },
		"Getcwd":       func(w *world) program.Call { return Getcwd(w.b, w.out) },
		"Chroot":       func(w *world) program.Call { return Chroot(w.b, w.path) },
		"Umask":        func(w *world) program.Call { return Umask(w.b, num(w)) },
	}
}

func mounts() map[string]func(*world) program.Call {
	attr := &unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY}
	return map[string]func(*world) program.Call{
		"Mount": func(w *world) program.Call {
			return Mount(w.b, FileSystem{Source: "text", Type: "text", Data: "text"}, w.path, unix.MS_NODEV)
		},
		"MountPropagation": func(w *world) program.Call { return MountPropagation(w.b, w.path, unix.MS_SLAVE) },
		"Umount2":          func(w *world) program.Call { return Umount2(w.b, w.path, unix.MNT_DETACH) },
		"PivotRoot":        func(w *world) program.Call { return PivotRoot(w.b, w.path, w.path) },
		"OpenTree":         func(w *world) program.Call { return OpenTree(w.b, fd(w), w.path, unix.OPEN_TREE_CLONE) },
		"OpenTreeAttr":     func(w *world) program.Call { return OpenTreeAttr(w.b, fd(w), w.path, unix.OPEN_TREE_CLONE, attr) },
		"MoveMount":        func(w *world) program.Call { return MoveMount(w.b, fd(w), Place{fd(w), w.path}, 0) },
		"Fsopen":           func(w *world) program.Call { return Fsopen(w.b, "text", unix.FSOPEN_CLOEXEC) },
		"FsconfigFlag":     func(w *world) program.Call { return FsconfigFlag(w.b, fd(w), "text") },
		"FsconfigString":   func(w *world) program.Call { return FsconfigString(w.b, fd(w), "text", "text") },
		"FsconfigFd":       func(w *world) program.Call { return FsconfigFd(w.b, fd(w), "text", fd(w)) },
		"FsconfigCreate":   func(w *world) program.Call { return FsconfigCreate(w.b, fd(w)) },
		"Fsmount":          func(w *world) program.Call { return Fsmount(w.b, fd(w), unix.FSMOUNT_CLOEXEC, unix.MOUNT_ATTR_NODEV) },
		"MountSetattr":     func(w *world) program.Call { return MountSetattr(w.b, fd(w), w.path, unix.AT_EMPTY_PATH, attr) },
		"MountSetattrIn": func(w *world) program.Call {
			return MountSetattrIn(w.b, fd(w), w.path, unix.AT_EMPTY_PATH, program.Struct(w.b, attr))
		},
	}
}

func processes() map[string]func(*world) program.Call {
	return map[string]func(*world) program.Call{
		"Execve": func(w *world) program.Call {
			return Execve(w.b, w.path, Argv(w.b.Strv([]string{"text"})), Envv(w.b.Strv(nil)))
		},
		"Clone":             func(w *world) program.Call { return Clone(w.b, uint64(unix.SIGCHLD)) },
		"Wait4":             func(w *world) program.Call { return Wait4(w.b, num(w), program.Mem{Off: w.out.Off, Len: 4}, 0) },
		"Unshare":           func(w *world) program.Call { return Unshare(w.b, unix.CLONE_NEWNS) },
		"Setns":             func(w *world) program.Call { return Setns(w.b, fd(w), unix.CLONE_NEWNS) },
		"Setsid":            func(w *world) program.Call { return Setsid(w.b) },
		"Setpgid":           func(w *world) program.Call { return Setpgid(w.b) },
		"Setresuid":         func(w *world) program.Call { return Setresuid(w.b, 5) },
		"Setresgid":         func(w *world) program.Call { return Setresgid(w.b, 5) },
		"Setgroups":         func(w *world) program.Call { return Setgroups(w.b, []uint32{5, 1 << 31}) },
		"Capset":            func(w *world) program.Call { return Capset(w.b, CapSets{1 << 40, 1<<40 | 2, 1}) },
		"PrctlDumpable":     func(w *world) program.Call { return PrctlDumpable(w.b) },
		"PrctlUndumpable":   func(w *world) program.Call { return PrctlUndumpable(w.b) },
		"PrctlNoNewPrivs":   func(w *world) program.Call { return PrctlNoNewPrivs(w.b) },
		"PrctlKeepCaps":     func(w *world) program.Call { return PrctlKeepCaps(w.b) },
		"PrctlCapbsetDrop":  func(w *world) program.Call { return PrctlCapbsetDrop(w.b, unix.CAP_KILL) },
		"PrctlAmbientClear": func(w *world) program.Call { return PrctlAmbientClear(w.b) },
		"PrctlAmbientRaise": func(w *world) program.Call { return PrctlAmbientRaise(w.b, unix.CAP_KILL) },
		"PrctlMmMap":        func(w *world) program.Call { return PrctlMmMap(w.b, w.in) },
		"SeccompFilter":     func(w *world) program.Call { return SeccompFilter(w.b, unix.SECCOMP_FILTER_FLAG_LOG, w.b.Zero(16)) },
		"KeyctlJoin":        func(w *world) program.Call { return KeyctlJoin(w.b, "text") },
		"KeyctlSetperm":     func(w *world) program.Call { return KeyctlSetperm(w.b, num(w), 0x3f) },
		"Prlimit64":         func(w *world) program.Call { return Prlimit64(w.b, unix.RLIMIT_CORE, unix.Rlimit{Cur: 1, Max: 2}) },
		"Personality":       func(w *world) program.Call { return Personality(w.b, 8) },
		"RtSigprocmask":     func(w *world) program.Call { return RtSigprocmask(w.b, unix.SIG_SETMASK, w.b.Zero(8)) },
		"RtSigaction":       func(w *world) program.Call { return RtSigaction(w.b, unix.SIGPIPE, w.b.Zero(64)) },
		"SchedSetaffinity":  func(w *world) program.Call { return SchedSetaffinity(w.b, []byte{7, 0, 0, 0, 0, 0, 0, 0}) },
		"SchedSetattr": func(w *world) program.Call {
			return SchedSetattr(w.b, &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: 1})
		},
		"SetMempolicy": func(w *world) program.Call {
			return SetMempolicy(w.b, unix.MPOL_BIND, []byte{1, 0, 0, 0, 0, 0, 0, 0}, 65)
		},
		"IoprioSet":     func(w *world) program.Call { return IoprioSet(w.b, 2<<13|4) },
		"Sethostname":   func(w *world) program.Call { return Sethostname(w.b, "text") },
		"Setdomainname": func(w *world) program.Call { return Setdomainname(w.b, "text") },
		"Mmap": func(w *world) program.Call {
			return Mmap(w.b, Mapping{Addr: 1 << 20, Length: 4096, Offset: 8192}, fd(w))
		},
	}
}

// functions returns the names of the exported functions of this package that emit a call.
func functions(t *testing.T) []string {
	t.Helper()
	var out []string
	for _, file := range []string{"call.go", "files.go", "mounts.go", "process.go"} {
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok || !fn.Name.IsExported() || fn.Type.Results == nil {
				continue
			}
			if sel, ok := fn.Type.Results.List[0].Type.(*ast.SelectorExpr); ok && sel.Sel.Name == "Call" {
				out = append(out, fn.Name.Name)
			}
		}
	}
	if len(out) < 70 {
		t.Fatalf("only %d functions found; the test would prove nothing", len(out))
	}
	return out
}

// Each function passes what its row of the table says: as many arguments, and each of
// the kind.
func TestFunctionsAgreeWithTheTable(t *testing.T) {
	list := every()
	names := functions(t)
	for name := range list {
		if !slices.Contains(names, name) {
			t.Errorf("%s is no function of the package", name)
		}
	}
	made := map[uint32]bool{}
	for _, name := range names {
		if list[name] == nil {
			t.Errorf("%s is not called here", name)
			continue
		}
		w := newWorld(name)
		list[name](w)
		p, err := w.b.Program()
		if err != nil {
			t.Fatal(err)
		}
		if len(p.Child) != 1 {
			t.Errorf("%s emits %d instructions", name, len(p.Child))
			continue
		}
		made[p.Child[0].NR] = true
		w.check(t, p, &p.Child[0])
	}
	for nr := range calls.Limit() {
		// The two calls that program's own Builder emits have no function here.
		if c := calls.Of(nr); c != nil && !made[nr] && nr != unix.SYS_CLONE3 && nr != unix.SYS_CLOSE_RANGE {
			t.Errorf("%s has a row and no function", c.Name)
		}
	}
}

func (w *world) check(t *testing.T, p *program.Program, in *program.Instr) {
	t.Helper()
	c := calls.Of(in.NR)
	if c == nil {
		t.Errorf("%s: the call %d is not in the table", w.function, in.NR)
		return
	}
	if plain := strings.ToLower(strings.ReplaceAll(c.Name, "_", "")); !strings.HasPrefix(strings.ToLower(w.function), plain) {
		t.Errorf("%s emits %s", w.function, c.Name)
	}
	if n := int(in.NArgs); n != c.Len() && (c.Least == 0 || n < int(c.Least) || n > c.Len()) {
		t.Errorf("%s passes %d arguments, the table has %d", w.function, n, c.Len())
		return
	}
	for i := range int(in.NArgs) {
		if !w.is(p, in, i, c) {
			t.Errorf("%s: argument %d is not of the kind that the table says", w.function, i)
		}
	}
}

// is reports whether argument i of in can be what the table says. A null pointer can be
// any address.
func (w *world) is(p *program.Program, in *program.Instr, i int, c *calls.Call) bool {
	a, kind := in.Args[i], c.Arg(i)
	reg, isReg := a.Reg()
	off, isAddr := a.Addr()
	v, isImm := a.Imm()
	null := isImm && v == 0
	if n, from, ok := c.Out(i); ok {
		if from >= 0 && !null {
			length, _ := in.Args[from].Imm()
			n = uint32(length)
			ok = n == w.out.Len
		}
		return ok && (null || isAddr && off == w.out.Off && n <= w.out.Len)
	}
	text, _ := p.CString(off)
	switch kind {
	case calls.Fd, calls.Dir:
		return isReg && reg == w.fd
	case calls.Path:
		return isAddr && (text == "path" || text == "" && w.function == "MoveMount" && i == 1)
	case calls.Str:
		return null || isAddr && text == "text"
	case calls.In:
		length, known := in.Args[i+1].Imm()
		return isAddr && (text == "text" && known && length == 4 || string(p.Data(off, 6)) == "memory" && (!known || length == 6))
	case calls.Strv, calls.Bits, calls.CapData, calls.CapHead, calls.Fprog, calls.Groups, calls.How, calls.MountAttr,
		calls.Nodes, calls.Rlimit, calls.SchedAttr, calls.Sigaction, calls.Sigset:
		return isAddr && off != w.out.Off && off != w.in.Off
	case calls.Any, calls.IoctlArg, calls.FsValue, calls.PrctlArg, calls.KeyctlArg, calls.Ptr:
		return !isReg || reg == w.num
	case calls.Int, calls.Mode:
		return isImm || isReg && (reg == w.num || w.function == "FsconfigFd" && reg == w.fd)
	}
	return isImm // flags and the like
}

func TestMoveMountTakesADescriptorAlone(t *testing.T) {
	w := newWorld("MoveMount")
	MoveMount(w.b, In(w.fd), Place{Cwd(), w.path}, unix.MOVE_MOUNT_T_EMPTY_PATH)
	p, err := w.b.Program()
	if err != nil {
		t.Fatal(err)
	}
	in := &p.Child[0]
	off, _ := in.Args[1].Addr()
	name, ok := p.CString(off)
	if flags, _ := in.Args[4].Imm(); !ok || name != "" || flags != unix.MOVE_MOUNT_F_EMPTY_PATH|unix.MOVE_MOUNT_T_EMPTY_PATH {
		t.Errorf("it is attached by the path %q with flags %#x", name, flags)
	}
}
