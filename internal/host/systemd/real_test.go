package systemd

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/hutch-project/hutch/internal/dbus"
	"github.com/hutch-project/hutch/tests/testplain"
	"github.com/hutch-project/hutch/tests/testproc"
)

// real connects to the systemd that runs here: the user's for who is not root, or
// root in a user namespace alone.
func real(t *testing.T) (*Conn, Bus) {
	t.Helper()
	if _, err := os.Stat("/run/systemd/system"); err != nil {
		t.Skip("needs systemd as PID 1")
	}
	ids, err := os.ReadFile("/proc/self/uid_map")
	rootless := os.Geteuid() != 0 || err == nil && !strings.Contains(string(ids), "4294967295")
	bus := Bus{User: rootless, Session: os.Getenv("DBUS_SESSION_BUS_ADDRESS"), RuntimeDir: os.Getenv("XDG_RUNTIME_DIR")}
	if bus.User && bus.RuntimeDir == "" {
		t.Skip("needs XDG_RUNTIME_DIR, as in a login session")
	}
	c, err := bus.Dial()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c, bus
}

// sleeper starts a process, and returns its id.
func sleeper(t *testing.T) int {
	t.Helper()
	cmd, _ := testproc.Sleeper(t)
	return cmd.Process.Pid
}

// unitFor names a unit that this test alone has, and stops it at the end.
func unitFor(t *testing.T, c *Conn, user bool, name string) Unit {
	t.Helper()
	u, err := ParsePath(":hutch.test:"+testplain.Unique(name), "", user)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Stop(u); err != nil {
			t.Error(err)
		}
	})
	return u
}

// dir returns the unit's directory on cgroup v2.
func dir(t *testing.T, c *Conn, u Unit) string {
	t.Helper()
	if !unified() {
		t.Skip("needs cgroup v2")
	}
	root, err := c.Root()
	if err != nil {
		t.Fatal(err)
	}
	return "/sys/fs/cgroup" + root + u.Path()
}

// unified reports whether the host has cgroup v2.
func unified() bool {
	_, err := os.Stat("/sys/fs/cgroup/cgroup.controllers")
	return err == nil
}

func read1(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(b))
}

func wantFile(t *testing.T, path, want string) {
	t.Helper()
	if got := read1(t, path); got != want {
		t.Errorf("%s: got %q, want %q", filepath.Base(path), got, want)
	}
}

// TestRealScope goes through the life of a scope: limits in force when it is
// there, changed, kept over a daemon-reload, gone.
func TestRealScope(t *testing.T) {
	c, bus := real(t)
	if !unified() {
		t.Skip("needs cgroup v2")
	}
	version, err := c.Version()
	if err != nil || version < 200 {
		t.Fatalf("Version = %d, %v", version, err)
	}
	r := &specs.LinuxResources{
		Memory: &specs.LinuxMemory{Limit: new(int64(64 << 20)), Swap: new(int64(96 << 20))},
		CPU:    &specs.LinuxCPU{Shares: new(uint64(512)), Quota: new(int64(50000)), Period: new(uint64(200000)), Cpus: "0"},
		Pids:   &specs.LinuxPids{Limit: new(int64(33))},
	}
	props, err := Properties(r, nil, true, version)
	if err != nil {
		t.Fatal(err)
	}
	more, err := FromAnnotations(map[string]string{"org.systemd.property.TimeoutStopSec": "7"})
	if err != nil {
		t.Fatal(err)
	}
	u := unitFor(t, c, bus.User, "life")
	pid := sleeper(t)
	if err := c.StartScope(u, []int{pid}, true, append(props, more...)); err != nil {
		t.Fatal(err)
	}
	d := dir(t, c, u)
	own := read1(t, fmt.Sprintf("/proc/%d/cgroup", pid))
	if want := "0::" + strings.TrimPrefix(d, "/sys/fs/cgroup"); own != want {
		t.Errorf("the process is in %s, want %s", own, want)
	}
	if group, err := c.ControlGroup(u); "0::"+group != own || err != nil {
		t.Errorf("ControlGroup = %q, %v, want %s", group, err, own)
	}
	check := func(when string) {
		t.Helper()
		t.Log(when)
		wantFile(t, d+"/memory.max", strconv.Itoa(64<<20))
		if _, err := os.Stat(d + "/memory.swap.max"); err == nil {
			wantFile(t, d+"/memory.swap.max", strconv.Itoa(32<<20))
		}
		wantFile(t, d+"/cpu.weight", "59")
		wantFile(t, d+"/cpu.max", "50000 200000")
		wantFile(t, d+"/cpuset.cpus", "0")
	}
	check("started")
	wantFile(t, d+"/pids.max", "33")
	if err := c.SetProperties(u, true, []dbus.Property{{Name: "TasksMax", Value: dbus.Uint64(44)}}); err != nil {
		t.Error(err)
	}
	wantFile(t, d+"/pids.max", "44")
	args := []string{"daemon-reload"}
	if bus.User {
		args = []string{"--user", "daemon-reload"}
	}
	if out, err := exec.Command("systemctl", args...).CombinedOutput(); err != nil {
		t.Errorf("systemctl %s: %v: %s", args, err, out)
	}
	check("after a daemon-reload")
	wantFile(t, d+"/pids.max", "44")
	if err := c.StartScope(u, []int{sleeper(t)}, true, nil); !errors.Is(err, ErrUnitExists) || !strings.Contains(err.Error(), u.Name) {
		t.Errorf("a second unit of the same name: %v, want ErrUnitExists", err)
	}
	if err := c.Stop(u); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(d); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s is left: %v", d, err)
	}
	if err := c.Stop(u); err != nil {
		t.Errorf("a second Stop: %v", err)
	}
	if err := c.SetProperties(u, true, []dbus.Property{{Name: "TasksMax", Value: dbus.Uint64(4)}}); err == nil {
		t.Error("SetProperties of no unit succeeded")
	}
}

// TestRealScopeV1 reads the limits of a scope on cgroup v1.
func TestRealScopeV1(t *testing.T) {
	c, bus := real(t)
	if unified() || bus.User {
		t.Skip("needs cgroup v1 and root")
	}
	r := &specs.LinuxResources{
		Memory: &specs.LinuxMemory{Limit: new(int64(64 << 20))},
		CPU:    &specs.LinuxCPU{Shares: new(uint64(512)), Quota: new(int64(50000)), Period: new(uint64(200000))},
		Pids:   &specs.LinuxPids{Limit: new(int64(33))},
	}
	version, err := c.Version()
	if err != nil {
		t.Fatal(err)
	}
	props, err := Properties(r, nil, false, version)
	if err != nil {
		t.Fatal(err)
	}
	u := unitFor(t, c, false, "v1")
	if err := c.StartScope(u, []int{sleeper(t)}, false, props); err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]string{
		"memory/PATH/memory.limit_in_bytes": strconv.Itoa(64 << 20),
		"cpu/PATH/cpu.shares":               "512",
		"cpu/PATH/cpu.cfs_quota_us":         "50000",
		"cpu/PATH/cpu.cfs_period_us":        "200000",
		"pids/PATH/pids.max":                "33",
	} {
		wantFile(t, "/sys/fs/cgroup/"+strings.Replace(file, "/PATH", u.Path(), 1), want)
	}
}

// TestRealDevices opens devices in a scope that may use some.
func TestRealDevices(t *testing.T) {
	c, bus := real(t)
	if bus.User {
		t.Skip("needs the system's systemd: a user's has no device rules")
	}
	rules := []specs.LinuxDeviceCgroup{
		{Allow: true, Type: "c", Major: new(int64(1)), Minor: new(int64(3)), Access: "rwm"},
		{Allow: true, Type: "c", Major: new(int64(136)), Access: "rw"},
	}
	few, err := Properties(&specs.LinuxResources{Devices: rules}, nil, unified(), 252)
	if err != nil {
		t.Fatal(err)
	}
	u := unitFor(t, c, false, "devices")
	// It waits to be told, in the scope, to open the devices.
	cmd := exec.Command("sh", "-c", `while read x; do for d in null zero; do (: </dev/$d) 2>/dev/null && echo $d yes || echo $d no; done; done`)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	if err := c.StartScope(u, []int{cmd.Process.Pid}, unified(), few); err != nil {
		t.Fatal(err)
	}
	ask := func(when, want string) {
		t.Helper()
		fmt.Fprintln(in, "go")
		got := ""
		for b := make([]byte, 100); strings.Count(got, "\n") < 2; {
			n, err := out.Read(b)
			if err != nil {
				t.Fatalf("%s: %v after %q", when, err, got)
			}
			got += string(b[:n])
		}
		if got != want {
			t.Errorf("%s: got %q, want %q", when, got, want)
		}
	}
	ask("started", "null yes\nzero no\n")
	rules[0].Minor = nil // all of /dev/null's major, which /dev/zero has too
	more, err := Properties(&specs.LinuxResources{Devices: rules}, nil, unified(), 252)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.SetProperties(u, true, more); err != nil {
		t.Error(err)
	}
	ask("more allowed", "null yes\nzero yes\n")
	if err := c.SetProperties(u, true, few); err != nil {
		t.Error(err)
	}
	ask("few allowed again", "null yes\nzero no\n")
	if b, err := exec.Command("systemctl", "daemon-reload").CombinedOutput(); err != nil {
		t.Errorf("daemon-reload: %v: %s", err, b)
	}
	ask("after a daemon-reload", "null yes\nzero no\n")
}

// TestRealStaleUnit makes a unit fail and then starts one of the same name.
func TestRealStaleUnit(t *testing.T) {
	c, bus := real(t)
	u := unitFor(t, c, bus.User, "stale")
	// A process that ignores SIGTERM makes the stop run into its time-out: the
	// unit fails.
	cmd := exec.Command("sh", "-c", "trap '' TERM; echo; sleep 1000 & wait; wait")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	out.Read(make([]byte, 1))
	if err := c.StartScope(u, []int{cmd.Process.Pid}, unified(), []dbus.Property{{Name: "TimeoutStopUSec", Value: dbus.Uint64(200000)}}); err != nil {
		t.Fatal(err)
	}
	args := []string{"stop", u.Name}
	if bus.User {
		args = append([]string{"--user"}, args...)
	}
	_ = exec.Command("systemctl", args...).Run() // fails or not, as the version has it
	state, err := c.property(objectPath+"/unit/"+escapePath(u.Name), service+".Unit", "ActiveState")
	if err != nil || state != "failed" {
		t.Skipf("needs a systemd whose scopes fail when a stop takes too long: state %q, %v", state, err)
	}
	if err := c.StartScope(u, []int{sleeper(t)}, unified(), nil); err != nil {
		t.Fatal(err)
	}
}

// TestRealManyScopes starts and stops scopes all at once, each on a connection of
// its own as each command of the runtime has.
func TestRealManyScopes(t *testing.T) {
	c, bus := real(t)
	const many = 16
	took := make([]time.Duration, many)
	errs := make([]error, many)
	var group sync.WaitGroup
	for i := range many {
		u, pid := unitFor(t, c, bus.User, fmt.Sprintf("many%d", i)), sleeper(t)
		group.Go(func() {
			begin := time.Now()
			own, err := bus.Dial()
			if err == nil {
				defer own.Close()
				err = own.StartScope(u, []int{pid}, unified(), nil)
				took[i] = time.Since(begin)
				if err == nil {
					err = own.Stop(u)
				}
			}
			errs[i] = err
		})
	}
	group.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	slices.Sort(took)
	t.Logf("start of %d scopes at once: median %v, longest %v", many, took[many/2], took[many-1])
}

// TestRealPrivateSocket speaks with systemd without a bus between.
func TestRealPrivateSocket(t *testing.T) {
	_, bus := real(t)
	list, _ := bus.addresses()
	a := list[len(list)-1]
	if !a.direct {
		t.Fatalf("%+v has no direct address", list)
	}
	c, err := a.dial(bus.User, timeout)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	u := unitFor(t, c, bus.User, "direct")
	begin := time.Now()
	if err := c.StartScope(u, []int{sleeper(t)}, unified(), nil); err != nil {
		t.Fatal(err)
	}
	t.Logf("took %v", time.Since(begin))
	d := dir(t, c, u)
	if _, err := os.Stat(d); err != nil {
		t.Error(err)
	}
}

// TestRealErrors wants systemd's own words.
func TestRealErrors(t *testing.T) {
	c, bus := real(t)
	u := unitFor(t, c, bus.User, "bad")
	err := c.StartScope(u, []int{sleeper(t)}, unified(), []dbus.Property{{Name: "Nonsense", Value: dbus.Bool(true)}})
	if err == nil || !strings.Contains(err.Error(), "Nonsense") {
		t.Errorf("an unknown property: %v", err)
	}
	if err := c.StartScope(u, nil, unified(), nil); err == nil {
		t.Error("a scope without processes was started")
	}
}
