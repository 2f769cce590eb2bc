package rootfs

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/program"
	"github.com/hutch-project/hutch/internal/program/list"
)

// changes tries all that can be changed of an inode, to what it is.
const changes = `change() { for f; do chmod 666 $f; chown 0:0 $f; touch -c $f; touch -c -d 2001-01-01 $f; done 2>&1 | sed 's/.*: //' | sort | uniq -c | sed 's/^ *//'; }
`

// identity returns the device and the number of an inode, as the script's id has it.
func identity(t *testing.T, path string) string {
	t.Helper()
	var st unix.Stat_t
	must(t, unix.Stat(path, &st))
	return fmt.Sprintf("%x %d %d", st.Dev, st.Ino, st.Mtim.Nano())
}

// Root of a container without a user namespace changes nothing of the host's null
// device, which files are masked by; and it is the null device all the same.
func TestMaskIsNoWayToTheHostsNull(t *testing.T) {
	for name, n := range map[string]int{"few": 2, "many": manyFds + 1} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, proc(), dev())
			for i := range n {
				w.spec.Linux.MaskedPaths = append(w.spec.Linux.MaskedPaths, "/tmp/m"+strconv.Itoa(i))
				must(t, os.WriteFile(w.inRoot("tmp/m"+strconv.Itoa(i)), []byte("secret"), 0o600))
			}
			before := identity(t, "/dev/null")
			out := w.ok(changes + `change /tmp/m0; change /tmp/m1; cat /tmp/m0 /tmp/m1; echo x >/tmp/m0 && echo written`)
			if want := "4 Read-only file system\n4 Read-only file system\nwritten\n"; out != want {
				t.Errorf("got %q, want %q", out, want)
			}
			if after := identity(t, "/dev/null"); after != before {
				t.Errorf("the host's /dev/null was %s, is %s", before, after)
			}
		})
	}
}

// What is mounted on the host's null device later does not come to the masks.
func TestMaskIsNoSlaveOfTheHost(t *testing.T) {
	w := newWorld(t, proc(), dev())
	w.spec.Linux.MaskedPaths = []string{"/proc/timer_list", "/proc/keys"}
	out := w.ok("grep /proc/[tk] /proc/self/mountinfo")
	if strings.Count(out, "\n") != 2 || strings.Contains(out, "master:") || strings.Contains(out, "shared:") {
		t.Errorf("masks with peers:\n%s", out)
	}
}

// Engines merge lists: what stands there twice is one mount.
func TestPathsThatStandThereTwice(t *testing.T) {
	w := newWorld(t, proc())
	w.spec.Linux.MaskedPaths = []string{"/proc/keys", "/proc/keys", "/tmp", "/proc//keys/", "/tmp/.", "/proc/timer_list"}
	w.spec.Linux.ReadonlyPaths = []string{"/proc/sys", "/none", "/proc/sys", "/proc/../proc/sys"}
	out := w.ok(`cut -d" " -f5 /proc/self/mountinfo | sort`)
	if want := "/\n/proc\n/proc/keys\n/proc/sys\n/proc/timer_list\n/tmp\n"; out != want {
		t.Errorf("got %q, want %q", out, want)
	}
}

func TestHostsNullMustBeTheNullDevice(t *testing.T) {
	w := newWorld(t, proc(), dev())
	w.spec.Linux.MaskedPaths = []string{"/proc/keys"}
	must(t, unix.Mount("/dev/zero", "/dev/null", "", unix.MS_BIND, ""))
	defer func() { must(t, unix.Unmount("/dev/null", unix.MNT_DETACH)) }()
	w.fails("linux.maskedPaths: open the host's /dev/null: is not the null device 1:3")
}

// In a user namespace whoever may mount there makes a read-only mount writable. So
// no node is an inode of the host; and each is as config.json says.
func TestUserNamespaceNodes(t *testing.T) {
	w := newUserWorld(t, defaults()...)
	mode, uid, gid := os.FileMode(0o640), uint32(10), uint32(11)
	w.spec.Linux.UIDMappings = []specs.LinuxIDMapping{{ContainerID: 0, HostID: mapped, Size: 65536}}
	w.spec.Linux.GIDMappings = w.spec.Linux.UIDMappings
	unmapped := uint32(70000)
	w.spec.Linux.Devices = []specs.LinuxDevice{
		{Path: "/dev/none/such", Type: "b", Major: 7, Minor: 250, FileMode: &mode, UID: &uid, GID: &gid},
		{Path: "/dev/ptmx", Type: "c", Major: 5, Minor: 2},
		{Path: "/dev/unmapped", Type: "c", Major: 1, Minor: 5, UID: &unmapped},
		{Path: "/dev/pipe", Type: "p", UID: &uid},
	}
	w.spec.Linux.MaskedPaths = []string{"/proc/keys", "/proc/timer_list", "/sys/firmware"}
	defer unix.Umask(unix.Umask(0o077))
	var st unix.Stat_t
	must(t, unix.Stat("/dev/null", &st))
	out := w.ok(changes + `change /proc/keys; cd /dev; stat -c "%n %t:%T %a %u:%g" null tty none/such unmapped pipe; readlink ptmx; head -c 3 zero | wc -c; echo x >null; (echo x >full) 2>&1 | sed 's/.*: //'
		for f in null zero tty urandom /proc/keys /proc/timer_list; do mount -o remount,bind,rw $f; touch -c $f; stat -c %d $f; done 2>/dev/null | sort -u
		chmod 600 /dev/null; stat -c %a /dev/null /proc/keys; wc -c </proc/keys; grep -c ' /null ' /proc/self/mountinfo`)
	lines := strings.Split(out, "\n")
	want := "4 Read-only file system\nnull 1:3 666 0:0\ntty 5:0 666 0:0\nnone/such 7:fa 640 10:11\nunmapped 1:5 666 65534:0\npipe 0:0 666 10:0\npts/ptmx\n3\nNo space left on device\n"
	if !strings.HasPrefix(out, want) || len(lines) < 14 {
		t.Fatalf("got\n%s\nwant\n%s", out, want)
	}
	if dev := lines[9]; dev == strconv.FormatUint(uint64(st.Dev), 10) || lines[10] != "600" || lines[11] != "666" || lines[12] != "0" {
		t.Errorf("the nodes are on device %s, the host's /dev is %d:\n%s", dev, st.Dev, out)
	}
}

// Without the right to make nodes the host's are bound, and read-only.
func TestUserNamespaceNodesOfTheHost(t *testing.T) {
	check := func(t *testing.T, w *world) {
		t.Helper()
		w.spec.Linux.MaskedPaths = []string{"/proc/keys"}
		before := identity(t, "/dev/null")
		out := w.ok(changes + `change /dev/null /dev/tty /proc/keys; echo x >/dev/null; head -c 3 /dev/zero | wc -c; wc -c </proc/keys`)
		if want := "12 Read-only file system\n3\n0\n"; out != want {
			t.Errorf("got %q, want %q", out, want)
		}
		if after := identity(t, "/dev/null"); after != before {
			t.Errorf("the host's /dev/null was %s, is %s", before, after)
		}
	}
	t.Run("caller without privileges", func(t *testing.T) {
		w := newUserWorld(t, defaults()...)
		w.c.SourcesInParent, w.c.ParentNodes = false, false
		w.reachable()
		check(t, w)
	})
	t.Run("mknod denied", func(t *testing.T) {
		w := newUserWorld(t, defaults()...)
		denied := 0
		w.fault = func(p *program.Program) *program.Fault {
			for _, l := range list.Lines(p, &list.Options{}) {
				if l.Section == "parent" && l.Call == "mknodat" && strings.Contains(fmt.Sprint(l.Args), "null") {
					denied++
					return &program.Fault{Parent: true, PC: l.PC, Errno: unix.EPERM}
				}
			}
			return nil
		}
		w.spec.Linux.MaskedPaths = []string{"/proc/keys"}
		out := w.ok(changes + "change /proc/keys; wc -c </proc/keys")
		if want := "4 Read-only file system\n0\n"; out != want || denied != 1 {
			t.Errorf("got %q, want %q; %d calls denied", out, want, denied)
		}
	})
}

// The notification directory is the host's.
func TestNotifyDirectoryCannotBeChanged(t *testing.T) {
	w := newWorld(t, proc())
	must(t, os.Mkdir(w.path("n"), 0o755))
	must(t, os.WriteFile(w.path("n/notify.sock"), nil, 0o666))
	w.c.NotifyDir, w.c.NotifyTarget = w.path("n"), "/run/notify"
	out := w.ok(changes + "change /run/notify /run/notify/notify.sock; touch /run/notify/new 2>&1 | sed 's/.*: //'")
	if want := "8 Read-only file system\nRead-only file system\n"; out != want {
		t.Errorf("got %q, want %q", out, want)
	}
}
