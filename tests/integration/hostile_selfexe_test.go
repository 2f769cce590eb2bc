package integration

import (
	"bytes"
	"crypto/sha256"
	"debug/elf"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// ownRuntime is a copy of the runtime, which a container that breaks out may
// spoil. It lies on the host's writable file system, as an installed one does.
type ownRuntime struct {
	path string
	sum  [sha256.Size]byte
	id   string // device:inode in decimal, as the containers' stat prints it
}

func newOwnRuntime(b *bundle) ownRuntime {
	b.t.Helper()
	data, err := os.ReadFile(runtimePath)
	if err != nil {
		b.t.Fatal(err)
	}
	own := ownRuntime{path: b.path("runtime"), sum: sha256.Sum256(data)}
	// By another process: a copy that this one has open for writing can get into
	// a child that another test forks, and is then busy.
	if out, err := exec.Command("cp", runtimePath, own.path).CombinedOutput(); err != nil {
		b.t.Fatalf("cp: %v\n%s", err, out)
	}
	own.id = fileID(b.t, own.path)
	return own
}

func fileID(t testing.TB, path string) string {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%d:%d", st.Dev, st.Ino)
}

// check shows that the copy is what it was.
func (r ownRuntime) check(t testing.TB) {
	t.Helper()
	data, err := os.ReadFile(r.path)
	if err != nil {
		t.Fatal(err)
	}
	if sha256.Sum256(data) != r.sum {
		t.Error("the runtime's executable on the host was overwritten")
	}
}

// by lets the copy do a call.
func (r ownRuntime) by(c call) call {
	// The harness puts the other runtime's path next, which shift drops.
	c.wrap = []string{"/bin/sh", "-c", `shift; exec "` + r.path + `" "$@"`, "sh"}
	return c
}

// entries lay a program that makes the kernel execute, or load, the runtime,
// and give the arguments that run it.
func entries(b *bundle) map[string]func() []string {
	file := func(name string, data []byte) {
		b.t.Helper()
		if err := writeProgram(b.rootfs(name), data); err != nil {
			b.t.Fatal(err)
		}
	}
	return map[string]func() []string{
		"script":          func() []string { file("entry", []byte("#!/proc/self/exe\n")); return []string{"/entry"} },
		"script with arg": func() []string { file("entry", []byte("#!/proc/self/exe list\n")); return []string{"/entry"} },
		"script, thread":  func() []string { file("entry", []byte("#!/proc/thread-self/exe\n")); return []string{"/entry"} },
		"interpreter":     func() []string { file("entry", interpretedBy(b.t, "/proc/self/exe")); return []string{"/entry"} },
		"link":            func() []string { b.replace("entry", "/proc/self/exe"); return []string{"/entry", "--version"} },
		"link in PATH":    func() []string { b.replace("bin/entry", "/proc/self/exe"); return []string{"entry", "--version"} },
		"script by link": func() []string {
			b.replace("self", "/proc/self/exe")
			file("entry", []byte("#!/self\n"))
			return []string{"/entry"}
		},
		"directly": func() []string { return []string{"/proc/self/exe", "--version"} },
		"init's":   func() []string { return []string{"/proc/1/exe", "--version"} },
		"descriptors": func() []string {
			file("entry", []byte("#!/proc/self/fd/3\n"))
			return []string{"/entry"}
		},
	}
}

// interpretedBy is a small ELF program for this machine with an interpreter.
//
// Source: elf(5).
func interpretedBy(t testing.TB, interpreter string) []byte {
	t.Helper()
	f, err := elf.Open(filepath.Join(workDir, "assets", "probe"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if f.Class != elf.ELFCLASS64 {
		t.Skip("needs a 64 bit machine: the program is laid out for one")
	}
	const base, headers = 0x10000000, 64 + 2*56
	text := append([]byte(interpreter), 0)
	size := uint64(headers + len(text))
	var out bytes.Buffer
	header := elf.Header64{Type: uint16(elf.ET_EXEC), Machine: uint16(f.Machine), Version: 1, Entry: base, Phoff: 64,
		Ehsize: 64, Phentsize: 56, Phnum: 2}
	copy(header.Ident[:], elf.ELFMAG)
	header.Ident[elf.EI_CLASS], header.Ident[elf.EI_DATA], header.Ident[elf.EI_VERSION] = byte(f.Class), byte(f.Data), 1
	for _, part := range []any{
		header,
		elf.Prog64{Type: uint32(elf.PT_INTERP), Flags: 4, Off: headers, Vaddr: base + headers, Paddr: base + headers,
			Filesz: uint64(len(text)), Memsz: uint64(len(text)), Align: 1},
		elf.Prog64{Type: uint32(elf.PT_LOAD), Flags: 5, Vaddr: base, Paddr: base, Filesz: size, Memsz: size, Align: 0x10000},
		text,
	} {
		if err := binary.Write(&out, f.ByteOrder, part); err != nil {
			t.Fatal(err)
		}
	}
	return out.Bytes()
}

// everyCapability lets a container look into every process that it can see.
var everyCapability = withCapabilities("CAP_SYS_PTRACE", "CAP_SYS_ADMIN", "CAP_DAC_READ_SEARCH", "CAP_LINUX_IMMUTABLE")

// TestCVE2019_5736_ProcSelfExeAsEntrypoint has a hunter: another container with
// the same pid namespace and every capability, which holds the executable of the
// created container's init open, and writes to it once it is not executed any more.
func TestCVE2019_5736_ProcSelfExeAsEntrypoint(t *testing.T) {
	t.Parallel()
	const hunt = `
until [ -s /tmp/prey ]; do sleep 0.01; done
exe=/proc/$(cat /tmp/prey)/exe
hold() {
	echo holds $(stat -L -c %d:%i /proc/self/fd/9)
	until [ -e /tmp/over ]; do (echo spoilt >>/proc/self/fd/9) 2>/dev/null && echo wrote; sleep 0.02; done
	for i in 1 2 3; do (echo spoilt >>/proc/self/fd/9) 2>/dev/null && echo wrote; sleep 0.02; done
}
{ hold; } 9<$exe
echo verdict
exec sleep 1000`
	for name := range entries(&bundle{}) {
		t.Run(name, func(t *testing.T) {
			hunter := newBundle(t, sh(hunt), everyCapability)
			own := newOwnRuntime(hunter)
			own.by(hunter.createCall()).do(t).ok(t)
			hunter.readPid()
			hunter.start()
			prey := newBundle(t, everyCapability, joinPids(hunter))
			c := prey.newCanary()
			prey.spec.Process.Args = entries(prey)[name]()
			prey.writeSpec()

			res := own.by(prey.createCall()).do(t)
			if res.code != 0 {
				t.Logf("refused: %s", strings.TrimSpace(res.stderr))
				res.failed(t)
				prey.nothingLeft()
				own.check(t)
				return
			}
			prey.readPid()
			if err := os.WriteFile(hunter.rootfs("tmp/prey"), []byte(pidInside(t, prey.pid)), 0o644); err != nil {
				t.Fatal(err)
			}
			held := hunter.waitOutput("holds ")
			started := own.by(call{root: prey.root, args: []string{"start", prey.id}}).do(t)
			if strings.Contains(started.stderr, "has stopped") {
				t.Fatalf("start of a waiting init:\n%s", started)
			}
			code := prey.wait()
			t.Logf("start: %d %s; exit code %d, %s", started.code, strings.TrimSpace(started.stderr), code, strings.TrimSpace(prey.output()))
			writeText(t, hunter.rootfs("tmp/over"), "")
			seen := hunter.waitOutput("verdict")
			if strings.Contains(seen, "wrote") {
				t.Errorf("the executable of init (%s) can be written", held)
			}
			if strings.Contains(held, own.id) {
				t.Errorf("the container holds the runtime's executable on the host, %s", held)
			}
			own.check(t)
			c.check("the attack")
		})
	}
}

// TestCVE2019_5736_HuntProcExe looks at the executables of all processes in
// sight while containers come and go: none is the host's runtime.
func TestCVE2019_5736_HuntProcExe(t *testing.T) {
	t.Parallel()
	const hunt = `
while [ ! -e /tmp/over ]; do stat -L -c %d:%i /proc/[0-9]*/exe; done 2>/dev/null >>/tmp/seen
echo verdict
exec sleep 1000`
	hunter := newBundle(t, sh(hunt), everyCapability)
	own := newOwnRuntime(hunter)
	own.by(hunter.createCall()).do(t).ok(t)
	hunter.readPid()
	hunter.start()
	prey := newBundle(t, everyCapability, joinPids(hunter))
	for range 10 {
		own.by(prey.createCall()).do(t).ok(t)
		prey.readPid()
		own.by(call{root: prey.root, args: []string{"start", prey.id}}).do(t).ok(t)
		prey.wait()
		own.by(call{root: prey.root, args: []string{"delete", prey.id}}).do(t).ok(t)
	}
	writeText(t, hunter.rootfs("tmp/over"), "")
	hunter.waitOutput("verdict")
	seen := map[string]int{}
	for _, id := range strings.Fields(readText(t, hunter.rootfs("tmp/seen"))) {
		seen[id]++
	}
	if seen[fileID(t, hunter.rootfs("bin/busybox"))] == 0 {
		t.Errorf("the hunter did not see itself: %v", seen)
	}
	if len(seen) < 2 {
		t.Errorf("the hunter did not see the runtime's process: %v", seen)
	}
	if n := seen[own.id]; n > 0 {
		t.Errorf("the hunter saw the runtime's executable on the host %d times: %v", n, seen)
	}
	own.check(t)
}

// TestCVE2019_5736_OwnExecutable has no other container to help: the program is
// the runtime itself, and the host looks at what it executes.
func TestCVE2019_5736_OwnExecutable(t *testing.T) {
	t.Parallel()
	for name := range entries(&bundle{}) {
		t.Run(name, func(t *testing.T) {
			b := newBundle(t, everyCapability, func(s *specs.Spec) { s.Process.NoNewPrivileges = false })
			c, own := b.newCanary(), newOwnRuntime(b)
			b.spec.Process.Args = entries(b)[name]()
			b.writeSpec()
			res := own.by(b.createCall()).do(t)
			c.check("create")
			if res.code != 0 {
				t.Logf("refused: %s", strings.TrimSpace(res.stderr))
				res.failed(t)
				own.check(t)
				return
			}
			b.readPid()
			// Root of the host, who may do more than any container.
			held, err := os.Open(fmt.Sprintf("/proc/%d/exe", b.pid))
			if err != nil {
				t.Fatal(err)
			}
			defer held.Close()
			if id := fileID(t, held.Name()); id == own.id {
				t.Errorf("init executes the runtime's file on the host")
			}
			own.by(call{root: b.root, args: []string{"start", b.id}}).do(t)
			b.wait()
			b.delete("--force")
			if w, err := os.OpenFile(fmt.Sprintf("/proc/self/fd/%d", held.Fd()), os.O_WRONLY|os.O_APPEND, 0); err == nil {
				if _, err := io.WriteString(w, "spoilt"); err == nil {
					t.Error("what init executed can be written")
				}
				w.Close()
			}
			own.check(t)
			c.check("the life")
		})
	}
}
