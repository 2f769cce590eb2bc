package netdev

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/sys"
	"github.com/hutch-project/hutch/tests/testneed"
)

// spaces runs f on a thread that is in a new network namespace, the host's, with
// another one, the container's. Both go with the thread.
func spaces(t *testing.T, f func(t *testing.T, ns int)) {
	t.Helper()
	testneed.Root(t, "to make network namespaces")
	if _, err := exec.LookPath("ip"); err != nil {
		t.Skip("needs ip(8)")
	}
	_ = sys.Apart(func() error { // what fails is told
		own := func() int {
			if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
				t.Errorf("unshare: %v", err)
				return -1
			}
			fd, err := unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
			if err != nil {
				t.Error(err)
			}
			return fd
		}
		ns := own()
		host := own()
		if ns < 0 || host < 0 {
			return nil
		}
		defer unix.Close(ns)
		defer unix.Close(host)
		f(t, ns)
		return nil
	})
}

// ip runs ip(8) in this thread's namespace; ipIn in another one.
// All devices are veths, the one kind that each kernel of a container host has.
func ip(t *testing.T, args string) string {
	t.Helper()
	out, err := exec.Command("ip", strings.Fields(args)...).CombinedOutput()
	if err != nil {
		t.Errorf("ip %s: %v: %s", args, err, out)
	}
	return string(out)
}

func ipIn(t *testing.T, ns int, args string) string {
	t.Helper()
	cmd := exec.Command("nsenter", append([]string{"--net=/proc/self/fd/3", "ip"}, strings.Fields(args)...)...)
	f := os.NewFile(uintptr(ns), "ns")
	cmd.ExtraFiles = []*os.File{f}
	out, err := cmd.CombinedOutput()
	runtime.KeepAlive(f)
	if err != nil {
		t.Errorf("ip %s in the container: %v: %s", args, err, out)
	}
	return string(out)
}

type devs = map[string]specs.LinuxNetDevice

func TestMoveKeepsAddressesAndBringsUp(t *testing.T) {
	spaces(t, func(t *testing.T, ns int) {
		ns2, err := unix.Dup(ns) // ipIn's os.File closes what it is given
		if err != nil {
			t.Error(err)
			return
		}
		ip(t, "link add eth1 type veth peer name peer1")
		ip(t, "addr add 10.1.2.3/24 broadcast 10.1.2.255 dev eth1 label eth1:x")
		ip(t, "addr add 10.1.9.1 peer 10.1.9.2/32 dev eth1")
		ip(t, "addr add 169.254.7.7/16 scope link dev eth1")
		ip(t, "addr add 10.1.3.3/24 valid_lft 500 preferred_lft 400 dev eth1")
		ip(t, "-6 addr add fd00::5/64 nodad dev eth1")
		ip(t, "link set eth1 mtu 1400 address 02:00:00:00:00:77")
		ip(t, "link set eth1 up")
		ip(t, "link set peer1 up")
		if err := Move(devs{"eth1": {Name: "cont0"}}, ns); err != nil {
			t.Error(err)
			return
		}
		got := ipIn(t, ns2, "-d addr show dev cont0")
		for _, want := range []string{"UP", "mtu 1400", "02:00:00:00:00:77",
			"inet 10.1.2.3/24 brd 10.1.2.255 scope global cont0:x", "inet 10.1.9.1 peer 10.1.9.2/32 scope global cont0", "inet6 fd00::5/64 scope global"} {
			if !strings.Contains(got, want) {
				t.Errorf("the container's device has no %q:\n%s", want, got)
			}
		}
		for _, bad := range []string{"169.254.7.7", "10.1.3.3"} {
			if strings.Contains(got, bad) {
				t.Errorf("the container's device has %s, which is not permanent and global:\n%s", bad, got)
			}
		}
		if left := ip(t, "-o link"); strings.Contains(left, "eth1@") || strings.Contains(left, "cont0") {
			t.Errorf("the host still has it:\n%s", left)
		}
	})
}

func TestMoveTemplatesAndOwnNames(t *testing.T) {
	spaces(t, func(t *testing.T, ns int) {
		ns2, err := unix.Dup(ns)
		if err != nil {
			t.Error(err)
			return
		}
		for _, name := range []string{"a", "b", "c"} {
			ip(t, "link add name "+name+" type veth peer name peer-"+name)
			ip(t, "addr add 10.9.0."+fmt.Sprint(name[0])+"/32 dev "+name)
		}
		if err := Move(devs{"a": {Name: "net%d"}, "b": {Name: "net%d"}, "c": {}}, ns); err != nil {
			t.Error(err)
			return
		}
		got := ipIn(t, ns2, "-o -4 addr")
		for _, want := range []string{"net0    inet 10.9.0.97/32", "net1    inet 10.9.0.98/32", "c    inet 10.9.0.99/32"} {
			if !strings.Contains(got, want) {
				t.Errorf("no %q:\n%s", want, got)
			}
		}
	})
}

func TestMoveErrors(t *testing.T) {
	for _, c := range []struct {
		name string
		devs devs
		want string
		is   error
	}{
		{"absent", devs{"nix": {}}, `linux.netDevices["nix"]: find: the host has no such network device: no such device`, unix.ENODEV},
		{"loopback", devs{"lo": {Name: "x"}}, `linux.netDevices["lo"]: a loopback device cannot be moved`, nil},
		{"taken", devs{"d0": {Name: "taken"}}, `linux.netDevices["d0"]: the container's network namespace already has a network device "taken": file exists`, unix.EEXIST},
		{"own name taken", devs{"taken": {}}, `linux.netDevices["taken"]: the container's network namespace already has`, unix.EEXIST},
		{"long", devs{"d0": {Name: "abcdefghijklmnop"}}, `"abcdefghijklmnop" is no network device's name: longer than 15 bytes`, nil},
		{"slash", devs{"d0": {Name: "a/b"}}, `"a/b" is no network device's name`, nil},
		{"template", devs{"d0": {Name: "a%s"}}, `a template has one %d`, nil},
		{"empty host name", devs{"": {Name: "x"}}, `"" is no network device's name`, nil},
		{"cannot leave", devs{"br0": {Name: "x"}}, `linux.netDevices["br0"]: move to the container's network namespace as "x": invalid argument: its kind cannot leave`, unix.EINVAL},
	} {
		t.Run(c.name, func(t *testing.T) {
			spaces(t, func(t *testing.T, ns int) {
				ns2, err := unix.Dup(ns)
				if err != nil {
					t.Error(err)
					return
				}
				ip(t, "link add name d0 type veth peer name peer-d0")
				ip(t, "link add name taken type veth peer name peer-taken")
				ip(t, "link add br0 type bridge")
				ipIn(t, ns2, "link add name taken type veth peer name peer-taken")
				err = Move(c.devs, ns)
				if c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want) || c.is != nil && !errors.Is(err, c.is)) {
					t.Errorf("got  %v\nwant %s", err, c.want)
				}
				if got := ip(t, "-o link show dev d0"); !strings.Contains(got, "d0") {
					t.Errorf("d0 is gone: %s", got)
				}
			})
		})
	}
}

func TestFailureMovesBack(t *testing.T) {
	spaces(t, func(t *testing.T, ns int) {
		ns2, err := unix.Dup(ns)
		if err != nil {
			t.Error(err)
			return
		}
		ip(t, "link add name aa type veth peer name peer-aa")
		ip(t, "addr add 10.4.4.4/24 dev aa")
		ip(t, "-6 addr add fd00::9/64 nodad dev aa")
		ip(t, "link set aa up")
		ip(t, "link add name bb type veth peer name peer-bb") // stays down
		err = Move(devs{"aa": {Name: "xx"}, "bb": {Name: "yy"}, "cc": {}}, ns)
		if !errors.Is(err, unix.ENODEV) || strings.Contains(err.Error(), "move back") {
			t.Errorf("got %v", err)
		}
		got := ip(t, "-o addr show dev aa") + ip(t, "-o link")
		for _, want := range []string{"10.4.4.4/24", "fd00::9/64", "aa@peer-aa: <NO-CARRIER,BROADCAST,MULTICAST,UP", "bb@peer-bb: <BROADCAST,MULTICAST,M-DOWN>"} {
			if !strings.Contains(got, want) {
				t.Errorf("no %q on the host:\n%s", want, got)
			}
		}
		if got := ipIn(t, ns2, "-o link"); strings.Contains(got, "xx") || strings.Contains(got, "yy") {
			t.Errorf("left in the container:\n%s", got)
		}
	})
}

func TestMoveOfNothingNeedsNothing(t *testing.T) {
	if err := Move(nil, -1); err != nil {
		t.Error(err)
	}
	if err := Move(devs{"x": {}}, -1); !errors.Is(err, unix.EBADF) {
		t.Errorf("no namespace: got %v", err)
	}
}

func TestMoveLeavesNoDescriptor(t *testing.T) {
	spaces(t, func(t *testing.T, ns int) {
		// Those of the kinds that Move opens, by their names: what else there is the Go runtime
		// opens and closes when it likes.
		open := func() map[string]bool {
			fds, err := filepath.Glob("/proc/self/fd/*")
			if err != nil {
				t.Error(err)
			}
			list := map[string]bool{}
			for _, fd := range fds {
				if of, err := os.Readlink(fd); err == nil && (strings.HasPrefix(of, "socket:") || strings.HasPrefix(of, "net:")) {
					list[fd+" "+of] = true
				}
			}
			return list
		}
		ip(t, "link add name d0 type veth peer name peer-d0")
		before := open()
		if err := Move(devs{"d0": {}}, ns); err != nil {
			t.Error(err)
		}
		if err := Move(devs{"d0": {}}, ns); err == nil {
			t.Error("moved twice")
		}
		for fd := range open() {
			if !before[fd] {
				t.Errorf("left open: %s", fd)
			}
		}
	})
}

func TestNames(t *testing.T) {
	for _, c := range []struct {
		template, name string
		want           bool
	}{
		{"eth%d", "eth0", true}, {"eth%d", "eth17", true}, {"eth%d", "eth", false}, {"eth%d", "ethx", false},
		{"a%db", "a3b", true}, {"a%db", "a3", false}, {"%d", "5", true},
	} {
		if got := matches(c.template, c.name); got != c.want {
			t.Errorf("matches(%q, %q): got %v", c.template, c.name, got)
		}
	}
	a := addr{family: unix.AF_INET6, prefix: 64, attrs: []attr{{unix.IFA_ADDRESS, slices.Concat([]byte{0xfd, 0}, make([]byte, 13), []byte{1})}}}
	if got := a.text(); got != "fd00:0:0:0:0:0:0:1/64" {
		t.Errorf("got %s", got)
	}
	a = addr{family: unix.AF_INET, prefix: 24, attrs: []attr{{unix.IFA_ADDRESS, []byte{1, 1, 1, 1}}, {unix.IFA_LOCAL, []byte{10, 0, 0, 1}}}}
	if got := a.text(); got != "10.0.0.1/24" {
		t.Errorf("got %s", got)
	}
}

func FuzzAttrs(f *testing.F) {
	f.Add([]byte(newMessage(unix.RTM_NEWLINK, 0, ifinfo(1, 0, 0)).attrString(unix.IFLA_IFNAME, "eth0")))
	f.Add([]byte{4, 0, 1, 0, 255, 255})
	f.Fuzz(func(t *testing.T, b []byte) {
		total := 0
		attrs(b, func(_ uint16, v []byte) { total += len(v) + 4 })
		if total > len(b) {
			t.Errorf("attributes of %d bytes in %d", total, len(b))
		}
		if l, err := parseLink(b); err == nil && len(b) >= 8 && l.index != int32(binary.NativeEndian.Uint32(b[4:])) {
			t.Error("index")
		}
	})
}
