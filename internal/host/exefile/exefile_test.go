package exefile

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/tests/testplain"
)

func TestMain(m *testing.M) { testplain.Main(m) }

// elf returns an ELF file of 64 bits, little-endian, for a machine, with a loader.
func elf(machine uint16, loader string) []byte {
	b := make([]byte, 64, 200)
	copy(b, "\x7fELF\x02\x01\x01")
	binary.LittleEndian.PutUint16(b[18:], machine)
	binary.LittleEndian.PutUint64(b[32:], 64)
	binary.LittleEndian.PutUint16(b[54:], 56)
	binary.LittleEndian.PutUint16(b[56:], 1)
	header := make([]byte, 56)
	binary.LittleEndian.PutUint32(header, 3)
	binary.LittleEndian.PutUint64(header[8:], 120)
	binary.LittleEndian.PutUint64(header[32:], uint64(len(loader)+1))
	return append(append(append(b, header...), loader...), 0)
}

func TestExplain(t *testing.T) {
	root := t.TempDir()
	for name, data := range map[string][]byte{
		"script": []byte("#! /bin/none -x\n"), "found": []byte("#!/script\n"), "plain": []byte("echo\n"), "empty": nil, "ends": []byte("#!"),
		"dynamic": elf(62, "/lib64/ld\x1b.so"), "arm": elf(183, ""), "odd": elf(999, ""), "short": []byte("\x7fELF\x02\x01"),
		"wild": append(elf(62, "/x")[:64], 3, 0, 0, 0, 0, 0, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255),
	} {
		if err := os.WriteFile(filepath.Join(root, name), data, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for link, to := range map[string]string{"link": "/arm", "out": "../../../arm", "loop": "loop"} {
		if err := os.Symlink(to, filepath.Join(root, link)); err != nil {
			t.Fatal(err)
		}
	}
	if err := unix.Mkfifo(filepath.Join(root, "fifo"), 0o600); err != nil {
		t.Fatal(err)
	}
	arm := "the file is for arm64, this machine is " + runtime.GOARCH
	if runtime.GOARCH == "arm64" {
		arm = ""
	}
	at := func(path string) string {
		return `which is missing in the root file system (nothing is at "` + filepath.Join(root, path) + `")`
	}
	for _, tt := range []struct {
		name  string
		errno unix.Errno
		want  string
	}{
		{"/script", unix.ENOENT, `its first line names the interpreter "/bin/none", ` + at("bin/none")},
		{"/found", unix.ENOENT, ""},
		{"/ends", unix.ENOENT, ""},
		{"/dynamic", unix.ENOENT, `its dynamic loader is "/lib64/ld\x1b.so", which is missing in the root file system (nothing is at "` + root + `/lib64/ld\x1b.so")`},
		{"/wild", unix.ENOENT, ""},
		{"/plain", unix.ENOEXEC, "the file is no ELF file, and a script without a first line as #!/bin/sh"},
		{"/short", unix.ENOEXEC, "the file is no ELF file, and a script without a first line as #!/bin/sh"},
		{"/empty", unix.ENOEXEC, "the file is empty"},
		{"/arm", unix.ENOEXEC, arm},
		{"/link", unix.ENOEXEC, arm},
		{"/out", unix.ENOEXEC, arm},
		{"/odd", unix.ENOEXEC, "the file is for the machine 999 of elf.h, this machine is " + runtime.GOARCH},
		{"/loop", unix.ENOEXEC, ""},
		{"/fifo", unix.ENOEXEC, ""},
		{"/none", unix.ENOENT, ""},
		{"script", unix.ENOENT, ""},
		{"/script", unix.EACCES, ""},
	} {
		if got := Explain(root, tt.name, tt.errno); got != tt.want {
			t.Errorf("%s, %v: got %q, want %q", tt.name, tt.errno, got, tt.want)
		}
	}
}

func TestInspect(t *testing.T) {
	root := t.TempDir()
	const own = 62
	other := uint16(183)
	if runtime.GOARCH == "arm64" {
		other = own
	}
	for name, data := range map[string][]byte{
		"script": []byte("#!/bin/none\n"), "found": []byte("#!/script\n"), "plain": []byte("echo\n"), "empty": nil, "other": elf(other, ""),
	} {
		if err := os.WriteFile(filepath.Join(root, name), data, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]string{
		"/script": "/bin/none", "/found": "", "/plain": "no ELF file", "/empty": "is empty", "/other": "this machine is " + runtime.GOARCH, "/none": "",
	} {
		got, foreign := Inspect(root, name)
		if !strings.Contains(got, want) || (got == "") != (want == "") || foreign != (name == "/other") {
			t.Errorf("%s: got %q, %v, want %q", name, got, foreign, want)
		}
	}
}

func FuzzLoader(f *testing.F) {
	f.Add(elf(62, "/lib/ld.so"))
	f.Add([]byte("#!/bin/sh\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if isELF(data) {
			_ = otherMachine(data)
		}
		_, _ = loader(data), script(data)
	})
}
