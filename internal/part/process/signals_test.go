package process

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/program"
	"github.com/hutch-project/hutch/internal/sigaction"
)

// ignore emits that the signals are ignored.
func ignore(b *program.Builder, signals []unix.Signal) {
	a := b.Zero(sigaction.Size)
	b.Set(a.Reg(0), 1) // SIG_IGN; no Go architecture of 32 bits is big-endian
	for _, s := range signals {
		b.Sys(unix.SYS_RT_SIGACTION, program.Imm(int(s)), a.Arg(), program.Imm(0), program.Imm(sigaction.SetSize))
	}
}

// ignorable returns all signals but two, which cannot be ignored.
func ignorable() []unix.Signal {
	var all []unix.Signal
	for s := unix.Signal(1); s <= 64; s++ {
		if s != unix.SIGKILL && s != unix.SIGSTOP {
			all = append(all, s)
		}
	}
	return all
}

func TestSignalsResetsWhatWasIgnored(t *testing.T) {
	all := ignorable()
	got := status(t, 0, func(b *program.Builder) { ignore(b, all) })["SigIgn"]
	if got != "fffffffffffbfeff" {
		t.Fatalf("without Signals: SigIgn %s; the test tests nothing", got)
	}
	lines := status(t, 0, func(b *program.Builder) {
		ignore(b, all)
		Signals(b, all)
	})
	for _, set := range []string{"SigIgn", "SigBlk", "SigCgt"} {
		if lines[set] != "0000000000000000" {
			t.Errorf("%s is %s, want none", set, lines[set])
		}
	}
}

// TestIgnoredSignalsMissesNone starts this program with every signal ignored: what
// a child of it made with CLONE_CLEAR_SIGHAND would still ignore is on the list.
func TestIgnoredSignalsMissesNone(t *testing.T) {
	env := []string{"HUTCH_TEST_PRINT=ignored"}
	out, err := runEnv(t, 0, []string{self(t)}, func(b *program.Builder) program.Mem {
		ignore(b, ignorable())
		return b.Strv(env)
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	// All others get a handler of Go's.
	want := fmt.Sprint([]unix.Signal{unix.SIGHUP, unix.SIGINT, unix.SIGCONT, unix.SIGTSTP, unix.SIGTTIN, unix.SIGTTOU, 32, 34})
	if out != want {
		t.Errorf("ignored: %s\nwant %s", out, want)
	}
	// Whoever started the tests may ignore signals of its own.
	want = fmt.Sprint(ignoredHere(t))
	out, err = runEnv(t, 0, []string{self(t)}, func(b *program.Builder) program.Mem { return b.Strv(env) }, nil)
	if out != want || err != nil {
		t.Errorf("with what the tests' parent ignores: %s, %v; want %s", out, err, want)
	}
}

// ignoredHere returns what the kernel says this process ignores.
func ignoredHere(t *testing.T) []unix.Signal {
	t.Helper()
	data, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(data), "\nSigIgn:\t")
	line, _, _ := strings.Cut(rest, "\n")
	set, err := strconv.ParseUint(line, 16, 64)
	if err != nil {
		t.Fatal(err)
	}
	out := []unix.Signal{}
	for s := unix.Signal(1); s <= sigaction.Last; s++ {
		if set>>(s-1)&1 != 0 {
			out = append(out, s)
		}
	}
	return out
}

func TestSetsidMakesASession(t *testing.T) {
	lines := status(t, unix.CLONE_NEWPID, func(b *program.Builder) { Setsid(b) })
	if lines["NSsid"] == "" || lines["NSsid"] != lines["NSpgid"] || lines["NSsid"] != lines["NSpid"] {
		t.Errorf("session %q, group %q of process %q", lines["NSsid"], lines["NSpgid"], lines["NSpid"])
	}
}
