package libcontainer

import (
	"os"
	"testing"
)

// TestNoOtherFileIsAListener: what a process has on the number that it tells is handed to
// the agent only when it is a seccomp listener.
func TestNoOtherFileIsAListener(t *testing.T) {
	file, err := os.Create(t.TempDir() + "/anon_inode:seccomp notify")
	must(t, err)
	defer file.Close()
	read, write, err := os.Pipe()
	must(t, err)
	defer read.Close()
	defer write.Close()
	for _, f := range [...]*os.File{file, read, write} {
		if isListener(int(f.Fd())) {
			t.Errorf("%s is taken for a listener", f.Name())
		}
	}
	if isListener(-1) {
		t.Error("no descriptor is taken for a listener")
	}
}
