package selfexe

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/sys"
	"github.com/hutch-project/hutch/tests/testfuse"
	"github.com/hutch-project/hutch/tests/testneed"
	"github.com/hutch-project/hutch/tests/testplain"
)

// modeEnv makes the test binary do one thing in place of the tests.
const modeEnv = "SELFEXE_TEST_MODE"

func TestMain(m *testing.M) {
	var err error
	switch os.Getenv(modeEnv) {
	case "":
		testplain.Main(m)
	case "direct":
	case "prove":
	case "guard": // as a copy whose proof does not hold
		err = Protect(os.Args, append(os.Environ(), guard()))
	case "protect": // as where the link cannot be changed
		err = protect(os.Args, os.Environ(), slices.Contains(os.Environ(), guard()))
	case "whole":
		err = Protect(os.Args, os.Environ())
	case "overlay":
		if p, _ := Prove(); p == None {
			err = executeOverlay(os.Args, os.Environ())
		}
	case "memfd":
		if p, _ := Prove(); p == None {
			err = executeMemfd(os.Args, os.Environ())
		}
	case "link":
		err = linkChild(os.Args[1:])
	case "foreign": // in another mount namespace than its mount
		err = foreignMount()
	case "read-only":
		err = proveMounts()
	}
	if err != nil {
		fmt.Println("error:", err)
		os.Exit(1)
	}
	if len(os.Args) > 1 && os.Args[1] == "quick" {
		os.Exit(0)
	}
	proof, err := Prove()
	comm, _ := os.ReadFile("/proc/self/comm")
	fmt.Printf("%v|%v|%q|%q|%q|%d\n", proof, err, os.Args, os.Environ(), strings.TrimSpace(string(comm)), os.Getpid())
	_, _ = io.Copy(io.Discard, os.Stdin)
	os.Exit(0)
}

// foreignMount opens the executable by way of another mount, then where its name leads
// to another file.
func foreignMount() error {
	if _, err := detached(self); !errors.Is(err, unix.EINVAL) {
		return fmt.Errorf("its mount is of this namespace: %w", err)
	}
	fd, err := otherMount()
	if err != nil {
		return err
	}
	if !sys.IsFile(fd, self) {
		return errors.New("another file is opened")
	}
	name, err := os.Readlink(self)
	if err != nil {
		return err
	}
	if err := unix.Mount("/bin/sh", name, "", unix.MS_BIND, ""); err != nil {
		return err
	}
	if _, err := otherMount(); err == nil || !strings.Contains(err.Error(), name+": is another file; start it") {
		return fmt.Errorf("with another file at its name: %w", err)
	}
	return nil
}

// TestExecutedFromAnotherMountNamespace is a program that is executed by a link of
// /proc after it has left for another mount namespace.
func TestExecutedFromAnotherMountNamespace(t *testing.T) {
	testneed.Root(t, "mounts")
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = []string{modeEnv + "=foreign"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

// proveMounts proves, in a mount namespace of its own, the copy of this binary
// on a tmpfs in the working directory.
func proveMounts() error {
	here, err := os.Getwd()
	if err != nil {
		return err
	}
	if err := unix.Mount("none", here, "tmpfs", 0, ""); err != nil {
		return err
	}
	if err := unix.Chdir(here); err != nil {
		return err
	}
	if err := copyFile("/proc/self/exe", "exe"); err != nil {
		return err
	}
	prove := func(what string) error {
		cmd := exec.Command("./exe")
		cmd.Env = []string{modeEnv + "=prove"}
		out, err := cmd.CombinedOutput()
		proof, _, _ := strings.Cut(string(out), "|")
		fmt.Printf("%s: %s\n", what, proof)
		return err
	}
	if err := prove("writable"); err != nil {
		return err
	}
	if err := unix.Mount("exe", "exe", "", unix.MS_BIND, ""); err != nil {
		return err
	}
	if err := unix.Mount("", "exe", "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		return err
	}
	if err := prove("read-only mount"); err != nil {
		return err
	}
	if err := unix.Unmount("exe", unix.MNT_DETACH); err != nil {
		return err
	}
	if err := unix.Mount("", here, "", unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		return err
	}
	return prove("read-only superblock")
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o755)
	if err != nil {
		return err
	}
	if _, err := io.Copy(out, in); err != nil {
		out.Close()
		return err
	}
	return out.Close()
}

// copyOfTest copies the test binary to a plain file, which may be destroyed.
func copyOfTest(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	for d := dir; d != os.TempDir() && d != "/"; d = filepath.Dir(d) {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(dir, "runtime")
	if err := copyFile("/proc/self/exe", path); err != nil {
		t.Fatal(err)
	}
	return path
}

// started is a test program that waits for the end of its input.
type started struct {
	*exec.Cmd
	input io.Closer
	shows []string // proof, its error, arguments, environment, name, process id
}

func start(t *testing.T, path, mode string, uid uint32) *started {
	t.Helper()
	cmd := exec.Command(path, "one two", "")
	cmd.Env = []string{modeEnv + "=" + mode, "A=b"}
	cmd.Stderr = os.Stderr
	if uid != 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
	}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	s := &started{Cmd: cmd, input: in}
	t.Cleanup(func() {
		in.Close()
		if cmd.ProcessState == nil {
			_ = cmd.Wait()
		}
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("read the program's line: %v, %q", err, line)
	}
	s.shows = strings.Split(strings.TrimSuffix(line, "\n"), "|")
	return s
}

// attack writes to what was the executable of the process, when it has ended.
// It returns how the attempt ends.
func (s *started) attack(t *testing.T) error {
	t.Helper()
	held, err := unix.Open(fmt.Sprintf("/proc/%d/exe", s.Process.Pid), unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(held)
	s.input.Close()
	if err := s.Wait(); err != nil {
		t.Fatal(err)
	}
	fd, err := unix.Open(fmt.Sprintf("/proc/self/fd/%d", held), unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := unix.Ftruncate(fd, 0); err == nil {
		return nil
	}
	_, err = unix.Write(fd, []byte("evil"))
	return err
}

func TestProtect(t *testing.T) {
	testneed.Root(t)
	for _, c := range []struct {
		mode   string
		uid    uint32
		proof  Proof
		attack error
	}{
		{"prove", 0, None, nil}, // unprotected, the attack succeeds
		{"protect", 0, ReadOnlySuperblock, unix.EROFS},
		{"memfd", 0, SealedMemfd, unix.EPERM},
		{"protect", 65534, SealedMemfd, unix.EPERM}, // falls back without CAP_SYS_ADMIN
	} {
		t.Run(fmt.Sprintf("%s by %d", c.mode, c.uid), func(t *testing.T) {
			path := copyOfTest(t)
			if err := os.Chown(path, int(c.uid), -1); err != nil {
				t.Fatal(err)
			}
			before, err := os.Stat(path)
			if err != nil {
				t.Fatal(err)
			}
			s := start(t, path, c.mode, c.uid)
			if len(s.shows) != 6 {
				t.Fatalf("the program says %q", s.shows)
			}
			if got := s.shows[0]; got != c.proof.String() {
				t.Errorf("proof %s, want %s", got, c.proof)
			}
			if got, want := s.shows[2], fmt.Sprintf("%q", []string{path, "one two", ""}); got != want {
				t.Errorf("arguments %s, want %s", got, want)
			}
			if c.mode == "protect" {
				if got, want := s.shows[3], fmt.Sprintf("%q", []string{modeEnv + "=" + c.mode, "A=b"}); got != want {
					t.Errorf("environment %s, want %s", got, want)
				}
				if got := s.shows[4]; got != `"runtime"` {
					t.Errorf("the process is called %s, want %q", got, "runtime")
				}
			}
			if got := s.shows[5]; got != strconv.Itoa(s.Process.Pid) {
				t.Errorf("process id %s, want %d", got, s.Process.Pid)
			}
			if err := s.attack(t); err != c.attack {
				t.Errorf("writing to the executable: %v, want %v", err, c.attack)
			}
			after, err := os.Stat(path)
			if err != nil {
				t.Fatal(err)
			}
			if intact := after.Size() == before.Size() && after.ModTime().Equal(before.ModTime()); intact != (c.attack != nil) {
				t.Errorf("the file on the host is intact: %v", intact)
			}
		})
	}
}

func TestProveTellsSuperblockFromMount(t *testing.T) {
	testneed.Root(t)
	cmd := exec.Command(copyOfTest(t), "quick")
	cmd.Dir = t.TempDir()
	cmd.Env = []string{modeEnv + "=read-only"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: unix.CLONE_NEWNS}
	out, err := cmd.CombinedOutput()
	want := "writable: none\nread-only mount: none\nread-only superblock: read-only superblock\n"
	if err != nil || string(out) != want {
		t.Errorf("got %v, %q, want %q", err, out, want)
	}
}

// A copy that is not proven ends with an error and is not executed for ever.
func TestNoLoop(t *testing.T) {
	cmd := exec.Command(copyOfTest(t), "quick")
	cmd.Env = []string{modeEnv + "=guard"}
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "is not proven unwritable") {
		t.Errorf("got %v, %q", err, out)
	}
}

// Where the link can be changed the program is not started twice, and otherwise it
// is.
func TestProtectPrefersLink(t *testing.T) {
	testneed.Root(t)
	want := ReadOnlySuperblock
	if _, err := readSegments(); err == nil && canLink() {
		want = None
	}
	s := start(t, copyOfTest(t), "whole", 0)
	if s.shows[0] != want.String() {
		t.Errorf("proof %s, want %s", s.shows[0], want)
	}
}

// A guard that the environment happens to have neither skips the proof nor stops
// the program.
func TestForgedGuardSkipsNothing(t *testing.T) {
	testneed.Root(t)
	cmd := exec.Command(copyOfTest(t))
	cmd.Env = []string{modeEnv + "=protect", guardEnv + "=1"}
	out, err := cmd.Output()
	if err != nil || !strings.HasPrefix(string(out), ReadOnlySuperblock.String()+"|") {
		t.Errorf("got %v, %q", err, out)
	}
}

func TestReplacedProgramIsNotTakenForItself(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "runtime"), nil, 0o755); err != nil {
		t.Fatal(err)
	}
	d, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if err := same(int(d.Fd()), "runtime"); err == nil {
		t.Error("another file is taken for the executable")
	}
}

func TestSeals(t *testing.T) {
	for _, c := range []struct {
		seals int
		want  bool
	}{
		{0, false},
		{unix.F_SEAL_WRITE, false},
		{unix.F_SEAL_WRITE | unix.F_SEAL_GROW | unix.F_SEAL_SHRINK, false},
		{unix.F_SEAL_FUTURE_WRITE | unix.F_SEAL_GROW | unix.F_SEAL_SHRINK | unix.F_SEAL_SEAL, false},
		{unix.F_SEAL_WRITE | unix.F_SEAL_GROW | unix.F_SEAL_SHRINK | unix.F_SEAL_SEAL, true},
	} {
		fd, err := unix.MemfdCreate("test", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, c.seals); err != nil {
			t.Fatal(err)
		}
		if got := sealed(fd); got != c.want {
			t.Errorf("seals %#x: got %v, want %v", c.seals, got, c.want)
		}
		unix.Close(fd)
	}
	plain, err := os.Open("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	if sealed(int(plain.Fd())) {
		t.Error("a plain file is taken for a sealed memfd")
	}
}

// BenchmarkStart compares starts of a program: directly, and by way of a copy.
func BenchmarkStart(b *testing.B) {
	for _, mode := range []string{"direct", "overlay", "memfd"} {
		b.Run(mode, func(b *testing.B) {
			if mode != "direct" {
				testneed.Root(b)
			}
			path := copyOfTest(b)
			for b.Loop() {
				cmd := exec.Command(path, "quick")
				cmd.Env = []string{modeEnv + "=" + mode}
				if err := cmd.Run(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkProve(b *testing.B) {
	for b.Loop() {
		if _, err := Prove(); err != nil {
			b.Fatal(err)
		}
	}
}

// TestForeignNeedsNoCopy has a user without privilege run root's executable.
func TestForeignNeedsNoCopy(t *testing.T) {
	testneed.Root(t)
	s := start(t, copyOfTest(t), "protect", 65534)
	if got := s.shows[0]; got != Foreign.String() {
		t.Errorf("proof %s, want %s", got, Foreign)
	}
	s.input.Close()
}

func TestForeign(t *testing.T) {
	for _, c := range []struct {
		uid  uint32
		mode uint16
		want bool
	}{{0, 0o100755, true}, {0, 0o100700, true}, {0, 0o100775, false}, {0, 0o100757, false}, {1000, 0o100755, false}} {
		if got := foreign(c.uid, c.mode); got != c.want {
			t.Errorf("owner %d, mode %o: %v, want %v", c.uid, c.mode, got, c.want)
		}
	}
}

// TestFUSEProvesNothing: its server says whose the executable is, and lets whom it likes write.
func TestFUSEProvesNothing(t *testing.T) {
	if mount := testfuse.Mount(t, 0, "hutch"); !served(mount+"/hutch") || served(self) {
		t.Errorf("FUSE %v, another file system %v", served(mount+"/hutch"), served(self))
	}
}
