package life

import (
	"encoding/binary"
	"errors"
	"os/exec"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/compile"
	"github.com/hutch-project/hutch/internal/host/cgroup"
	"github.com/hutch-project/hutch/internal/host/state"
)

// TestStartHearsOfTheExecve: an init that is gone has executed its program only if it has
// said that it is about to. That it has ended before cannot be seen in /proc any more when
// it has been waited for, nor yet while it ends.
func TestStartHearsOfTheExecve(t *testing.T) {
	ended := exec.Command("true")
	must(t, ended.Run())
	for name, want := range map[string]error{"says so": nil, "says nothing": ErrStopped} {
		t.Run(name, func(t *testing.T) {
			root, err := state.Open(t.TempDir())
			must(t, err)
			defer root.Close()
			dir, err := root.Create("c")
			must(t, err)
			defer dir.Close()
			must(t, dir.CreateFifos())
			goFd, resultFd, err := dir.OpenFifos()
			must(t, err)
			go func() { // init
				_, _ = unix.Read(goFd, make([]byte, 1))
				if want == nil {
					m := make([]byte, reportLen)
					binary.NativeEndian.PutUint32(m, compile.Executing)
					_, _ = unix.Write(resultFd, m)
				}
				unix.Close(goFd)
				unix.Close(resultFd)
			}()
			cg, err := cgroup.Load(nil, nil)
			must(t, err)
			c := &container{r: &Runtime{}, dir: dir, cg: cg, rec: &state.Record{Pid: ended.Process.Pid, PidStart: 1}}
			if err := c.release(-1); !errors.Is(err, want) {
				t.Errorf("got %v, want %v", err, want)
			}
			if dir.Waiting() || dir.Locked() {
				t.Error("it counts as not started, or is locked")
			}
		})
	}
}
