package criu

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/sys/unix"
)

func TestExplain(t *testing.T) {
	for text, want := range map[string]string{
		"(00.1) Error (criu/tty.c:120): tty: Found slave peer index 0 without correspond master, is a leader of a foreign session\n": "give --shell-job",
		"(00.1) Error (criu/sk-unix.c:800): unix: External socket is used. Consider using --ext-unix-sk option.\n":                   "give --ext-unix-sk",
		"(00.1) Error (criu/sk-inet.c:188): inet: Connected TCP socket, consider using --tcp-established option.\n":                  "give --tcp-established",
		"(00.1) Error (criu/file-lock.c:1): Some file locks are hold by dumping tasks!\n":                                            "give --file-locks",
		"(00.1) Error (criu/mount.c:1234): mnt: No mapping for 44:(null) mountpoint\n":                                               "no source for",
		"(00.1) Warn  (x.c:1): The kernel doesn't support x\n(00.2) Error (y.c:2): odd\n":                                            "criu check",
	} {
		file := filepath.Join(t.TempDir(), "dump.log")
		must(t, os.WriteFile(file, []byte("(00.0) Version: 3.17.1\n"+text+"(00.3) Error (criu/cr-dump.c:2053): Dumping FAILED.\n"), 0o600))
		e := &Error{Kind: Dump}
		explainAt(t, e, file)
		s := e.Error()
		if !strings.HasPrefix(s, "CRIU's dump failed: ") || !strings.Contains(s, want) || !strings.Contains(s, "Dumping FAILED.") || !strings.HasSuffix(s, "(all of it is in "+file+")") {
			t.Errorf("got %s", s)
		}
	}
}

// explainAt is Explain in the directory of the path.
func explainAt(t *testing.T, e *Error, path string) {
	t.Helper()
	dir, err := unix.Open(filepath.Dir(path), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	must(t, err)
	defer unix.Close(dir)
	e.Explain(dir, path)
}

// TestHostileLog: names of the image's choice are in the log.
func TestHostileLog(t *testing.T) {
	lines, _ := telling([]byte("Error (a.c:1): \x1b[2J\x00\xff" + strings.Repeat("x", 1000) + "\n" + strings.Repeat("Error (b.c:2): y\n", 100)))
	if len(lines) != mostLines {
		t.Errorf("%d lines", len(lines))
	}
	for _, s := range lines {
		if len(s) > 310 || strings.ContainsAny(s, "\x1b\x00") || !utf8.ValidString(s) {
			t.Errorf("%q", s)
		}
	}
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "secret"), []byte("Error (a.c:1): secret\n"), 0o600))
	must(t, os.Symlink("secret", filepath.Join(dir, "dump.log")))
	must(t, unix.Mkfifo(filepath.Join(dir, "check.log"), 0o600))
	for _, name := range []string{"dump.log", "check.log"} {
		e := &Error{Kind: Dump}
		if explainAt(t, e, filepath.Join(dir, name)); len(e.Lines) > 0 {
			t.Errorf("%s: %q", name, e.Lines)
		}
	}
	e := &Error{Kind: Restore, Message: "said so", Stderr: "a\nb"}
	explainAt(t, e, filepath.Join(t.TempDir(), "none"))
	if got := e.Error(); got != "CRIU's restore failed: said so: a b" {
		t.Errorf("got %s", got)
	}
}
