package testwait

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// recorder is a test that is to fail.
type recorder struct {
	testing.TB
	text string
}

func (*recorder) Helper()        {}
func (*recorder) Cleanup(func()) {}
func (r *recorder) Fatalf(format string, args ...any) {
	r.text = fmt.Sprintf(format, args...)
	runtime.Goexit()
}

// failure returns how a wait for what never comes fails.
func failure(t *testing.T, wait func(t testing.TB)) string {
	t.Helper()
	t.Setenv(variable, "20ms")
	r := &recorder{TB: t}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		wait(r)
	}()
	<-ended
	return r.text
}

func TestTheBoundSaysWhatWasWaitedForAndWhoStandsWhere(t *testing.T) {
	cat := exec.Command("cat")
	in, err := cat.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	if err := cat.Start(); err != nil {
		t.Fatal(err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	for name, wait := range map[string]func(t testing.TB){
		"Until":    func(t testing.TB) { Until(t, "the moon", func() bool { return false }) },
		"Value":    func(t testing.TB) { Value(t, "the moon", make(chan int)) },
		"Readable": func(t testing.TB) { Readable(t, "the moon", int(r.Fd())) },
		"Event":    func(t testing.TB) { Event(t, "the moon", int(r.Fd()), unix.POLLIN) },
	} {
		text := failure(t, wait)
		for _, want := range []string{"waited 20ms in vain: the moon", "goroutine ", "testwait_test.go:"} {
			if !strings.Contains(text, want) {
				t.Errorf("%s: failed with %q, want %q in it", name, text, want)
			}
		}
	}
	text := failure(t, func(t testing.TB) { End(t, "the cat's end", cat.Process.Pid) })
	if want := fmt.Sprintf("in vain: the cat's end (process %d)\n", cat.Process.Pid); !strings.Contains(text, want) {
		t.Errorf("End: failed with %q, want %q in it", text, want)
	}
	if err := cat.Wait(); err == nil || err.Error() != "signal: killed" {
		t.Errorf("the process that has not ended was left: %v", err)
	}
}

func TestACommandThatDoesNotEndIsKilled(t *testing.T) {
	cat := exec.Command("cat")
	in, err := cat.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	if err := cat.Start(); err != nil {
		t.Fatal(err)
	}
	if text := failure(t, func(t testing.TB) { _ = Command(t, cat) }); !strings.Contains(text, "in vain: the end of ") {
		t.Errorf("failed with %q", text)
	}
	End(t, "the killed command", cat.Process.Pid)
}

func TestWhatComesEndsTheWait(t *testing.T) {
	n := 0
	Until(t, "the third look", func() bool { n++; return n == 3 })
	c := make(chan int)
	go func() { c <- 7 }()
	if v := Value(t, "a number", c); v != 7 {
		t.Errorf("got %d", v)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if Now(t, int(r.Fd())) {
		t.Error("an empty pipe can be read")
	}
	w.Close()
	if got := Event(t, "the end of a pipe", int(r.Fd()), unix.POLLIN); got&unix.POLLHUP == 0 {
		t.Errorf("got %#x", got)
	}
	cmd := exec.Command("true")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	End(t, "true", cmd.Process.Pid)
	if err := Command(t, cmd); err != nil {
		t.Error(err)
	}
	End(t, "one that is gone", cmd.Process.Pid)
}

func TestTheBoundIsOneForAll(t *testing.T) {
	t.Setenv(variable, "")
	if Bound() != bound {
		t.Errorf("got %v", Bound())
	}
	t.Setenv(variable, "7m")
	if Bound() != 7*time.Minute {
		t.Errorf("got %v", Bound())
	}
	if d, ok := Context(t).Deadline(); !ok || time.Until(d) <= 0 {
		t.Errorf("the context ends at %v", d)
	}
}
