package testplain

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// stage tells apart what this binary is: the tests, an odd caller, the program that it
// starts.
const stage = "HUTCH_TEST_PLAIN_STAGE"

func TestMain(m *testing.M) {
	switch os.Getenv(stage) {
	case "":
		os.Exit(m.Run())
	case "odd":
		oddCaller()
	case "plain":
		Start()
		report()
	}
}

// oddCaller makes its state as odd as it can, and executes the program.
func oddCaller() {
	runtime.LockOSThread()
	fail := func(err error) {
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
	}
	var all []unix.Signal
	for s := unix.Signal(1); s <= lastSignal; s++ {
		if s == unix.SIGKILL || s == unix.SIGSTOP {
			continue
		}
		all = append(all, s)
		fail(Ignore(s))
	}
	fail(Block(all...))
	unix.Umask(0o777)
	null, err := unix.Open("/dev/null", unix.O_RDONLY, 0)
	fail(err)
	_, err = unix.FcntlInt(uintptr(null), unix.F_DUPFD, 20)
	fail(err)
	fail(unix.Exec("/proc/self/exe", []string{os.Args[0], "an argument"}, []string{stage + "=plain", "PATH=.:relative:/etc/passwd", "HOME=here", "TMPDIR=/no/such", "LC_ALL=tr_TR", "LANG=x", "NOTIFY_SOCKET=/x", "KEPT=yes"}))
}

// report prints what is left, as a program sees it that is started next.
func report() {
	out, err := exec.Command("/bin/sh", "-c", `umask; echo "$PATH $HOME $TMPDIR $LC_ALL$LANG$NOTIFY_SOCKET $KEPT"; grep -E 'Sig(Ign|Blk)' /proc/self/status; ls /proc/self/fd | wc -l`).CombinedOutput()
	fmt.Printf("%s%v %q\n", out, err, os.Args[1:])
}

func TestAnyStateBecomesPlain(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = []string{stage + "=odd"}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	var usual []string
	for _, dir := range []string{"/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"} {
		if directory(dir) {
			usual = append(usual, dir)
		}
	}
	// Descriptors 0, 1, 2 and that of the directory.
	want := "0022\n" + strings.Join(usual, ":") + " /root   yes\nSigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n4\n<nil> [\"an argument\"]\n"
	if string(out) != want {
		t.Errorf("got\n%swant\n%s", out, want)
	}
}
