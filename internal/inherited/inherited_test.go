package inherited

import (
	"os"
	"os/exec"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/tests/testplain"
)

// TestMain is also the program that is started with descriptors: it fills the holes
// and prints what it has.
func TestMain(m *testing.M) {
	if os.Getenv("HUTCH_HANDED") == "" {
		testplain.Main(m)
	}
	// What the tests themselves were started with does not count.
	if err := unix.CloseRange(30, 1<<31-1, unix.CLOSE_RANGE_CLOEXEC); err != nil {
		panic(err)
	}
	say := func(what string, fd int, err error) {
		if err != nil {
			what = err.Error()
		}
		os.Stdout.WriteString(what + " " + itoa(fd) + "\n")
	}
	for _, n := range []int{0, 17, 18, 21, 64, 65, 1 << 20} {
		last, err := Last(n)
		say("last of "+itoa(n), last, err)
	}
	if err := Plug(21); err != nil {
		say("plug", -1, err)
	}
	fds, err := opened()
	for _, fd := range fds {
		link, _ := os.Readlink("/proc/self/fd/" + itoa(fd))
		if Is(fd) {
			link = "handed " + link
		}
		if fd > 17 && fd < 30 { // Go opens some itself
			say(link, fd, err)
		}
	}
}

func itoa(n int) string {
	if n < 0 {
		return "-" + itoa(-n)
	}
	if n < 10 {
		return string(rune('0' + n))
	}
	return itoa(n/10) + itoa(n%10)
}

func TestHolesAreFilled(t *testing.T) {
	file, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), "HUTCH_HANDED=1")
	cmd.ExtraFiles = make([]*os.File, 24-3+1)
	cmd.ExtraFiles[20-3], cmd.ExtraFiles[23-3], cmd.ExtraFiles[24-3] = file, file, file
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	want := `last of 0 2
last of 17 2
last of 18 20
last of 21 23
last of 64 24
last of 65 24
last of 1048576 24
anon_inode:[eventfd] 18
anon_inode:[eventfd] 19
handed /dev/null 20
anon_inode:[eventfd] 21
anon_inode:[eventfd] 22
handed /dev/null 23
handed /dev/null 24
`
	if got := string(out); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

func TestIs(t *testing.T) {
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if Is(fd) || Is(-1) || Is(1<<30) {
		t.Error("what is close-on-exec, or not open, was handed over")
	}
	if !Is(0) {
		t.Error("standard input was not")
	}
}
