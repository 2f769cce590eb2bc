package integration

import (
	"os"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"
)

// TestHostileTracerHoldsUpNobody: a neighbour in the pid namespace traces the process of run and
// of exec, and never waits for it, so that its parent cannot reap it. Both end with it, and say
// how it ended.
func TestHostileTracerHoldsUpNobody(t *testing.T) {
	t.Parallel()
	hutchOnly(t, "1.1 waits for the tracer")
	tracer := newBundle(t, args("probe", "seize", "/shared"))
	if err := os.Mkdir(tracer.rootfs("shared"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"prey", "go"} {
		if err := unix.Mkfifo(tracer.rootfs("shared", name), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	tracer.create().start()
	shared := bindMount(tracer.rootfs("shared"), "/shared")
	const prey = "echo $$ >/shared/prey; read seized </shared/go; "
	var zombies []string // files of their numbers
	for ending, want := range map[string]int{"exit 7": 7, "kill -9 $$": 137} {
		b := newBundle(t, sh(prey+ending), shared, joinPids(tracer))
		zombies = append(zombies, b.path("pid"))
		if res := b.run("--pid-file", b.path("pid")); res.code != want {
			t.Errorf("run, %s: %s", ending, res)
		}
	}
	b := newBundle(t, args("sleep", "1000"), shared, joinPids(tracer)).create().start()
	zombies = append(zombies, b.path("exec"))
	if res := b.rt("exec", "--pid-file", b.path("exec"), b.id, "sh", "-c", prey+"exit 7"); res.code != 7 {
		t.Errorf("exec: %s", res)
	}
	// Their tracer's end lets them go, to this process by now: its pid namespace waits for that.
	tracer.kill("KILL")
	for _, file := range zombies {
		pid, err := strconv.Atoi(readText(t, file))
		if err != nil {
			t.Fatal(err)
		}
		eventually(t, "a process that was traced can be reaped", func() bool {
			got, err := unix.Wait4(pid, nil, unix.WNOHANG, nil)
			return got == pid || err == unix.ECHILD
		})
	}
}
