package systemd

import (
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hutch-project/hutch/tests/testwait"
)

var testUnit = Unit{"system.slice", "hutch-x.scope"}

const testJob = objectPath + "/job/7"

// started answers the calls of a start whose job ends with result.
func started(result string) func(m *message, serial uint32) []byte {
	return func(m *message, serial uint32) []byte {
		switch m.member {
		case "StartTransientUnit", "StopUnit":
			return append(answerBytes(serial, ":1.0", "o", Value{sig: "o", text: testJob}),
				removed(":1.0", testUnit.Name, testJob, result)...)
		default:
			return answerBytes(serial, ":1.0", "")
		}
	}
}

func TestStartScopeIsOneMessageToSystemd(t *testing.T) {
	p := newPeer(t, started("done"))
	c := p.dial()
	if err := c.StartScope(testUnit, []int{1}, true, nil); err != nil {
		t.Fatal(err)
	}
	if got, want := p.seen(), []string{"Hello", "AddMatch", "StartTransientUnit"}; !slices.Equal(got, want) {
		t.Errorf("calls %q, want %q", got, want)
	}
}

func TestStartScopeAnswers(t *testing.T) {
	exists := "org.freedesktop.systemd1.UnitExists"
	for name, c := range map[string]struct {
		answer func(m *message, serial uint32) []byte
		is     error
		text   string
	}{
		"silence": {
			func(*message, uint32) []byte { return nil }, ErrTimeout,
			"systemd: StartTransientUnit hutch-x.scope: no answer within 200ms; is systemd overloaded? see systemctl list-jobs",
		},
		"a job that never ends": {
			func(m *message, serial uint32) []byte {
				return answerBytes(serial, ":1.0", "o", Value{sig: "o", text: testJob})
			}, ErrTimeout, "no answer within 200ms",
		},
		"the end of another job, and one that another client makes up": {
			func(m *message, serial uint32) []byte {
				b := append(answerBytes(serial, ":1.0", "o", Value{sig: "o", text: testJob}), removed(":1.9", testUnit.Name, testJob, "done")...)
				return append(append(b, removed(":1.0", testUnit.Name, testJob+"8", "done")...), removed(":1.0", "y.scope", testJob, "done")...)
			}, ErrTimeout, "no answer",
		},
		"answers to other calls": {
			func(m *message, serial uint32) []byte { return answerBytes(serial+1000, ":1.0", "") }, ErrTimeout, "no answer",
		},
		"signals without end": {
			func(m *message, serial uint32) []byte {
				return slices.Repeat(removed(":1.0", testUnit.Name, testJob+"8", "done"), 5000)
			}, ErrTimeout, "no answer",
		},
		"garbage": {
			func(m *message, serial uint32) []byte { return slices.Repeat([]byte{0xff}, 100) }, errMalformed,
			"systemd: StartTransientUnit hutch-x.scope: malformed D-Bus message",
		},
		"a message of 2 GiB": {
			func(m *message, serial uint32) []byte {
				return []byte{'l', 2, 0, 1, 0, 0, 0, 0x7f, 1, 0, 0, 0, 0, 0, 0, 0}
			}, errTooLarge, "more than 1 MiB",
		},
		"an answer of another type": {
			func(m *message, serial uint32) []byte { return answerBytes(serial, ":1.0", "s", String("x")) }, errMalformed, "malformed",
		},
		"a refused match rule": {
			func(m *message, serial uint32) []byte {
				if m.member == "AddMatch" {
					return errorBytes(serial, "org.freedesktop.DBus.Error.LimitsExceeded", "too many rules")
				}
				return started("done")(m, serial)
			}, nil, "systemd: StartTransientUnit hutch-x.scope: AddMatch: too many rules (org.freedesktop.DBus.Error.LimitsExceeded)",
		},
		"no systemd on the bus": {
			func(m *message, serial uint32) []byte {
				if m.member == "StartTransientUnit" {
					return errorBytes(serial, "org.freedesktop.DBus.Error.ServiceUnknown", "not provided")
				}
				return answerBytes(serial, ":1.0", "")
			}, ErrNoBus, "not provided (org.freedesktop.DBus.Error.ServiceUnknown)",
		},
		"a unit that runs": {
			func(m *message, serial uint32) []byte {
				if m.member == "StartTransientUnit" {
					return errorBytes(serial, exists, "Unit hutch-x.scope was already loaded.")
				}
				return answerBytes(serial, ":1.0", "")
			}, ErrUnitExists, "systemd: StartTransientUnit hutch-x.scope: Unit hutch-x.scope was already loaded. (" + exists + ")",
		},
		"a job that fails": {started("failed"), ErrJob, `its result is "failed"; see systemctl status hutch-x.scope`},
	} {
		t.Run(name, func(t *testing.T) {
			conn := newPeer(t, c.answer).dial()
			if c.is == ErrTimeout {
				conn.timeout = 200 * time.Millisecond
			}
			err := conn.StartScope(testUnit, []int{1}, true, nil)
			if err == nil || c.is != nil && !errors.Is(err, c.is) || !strings.Contains(err.Error(), c.text) {
				t.Errorf("got %v, want %v with %q", err, c.is, c.text)
			}
		})
	}
}

func TestStaleUnitIsReset(t *testing.T) {
	stale := true
	p := newPeer(t, func(m *message, serial uint32) []byte {
		if m.member == "ResetFailedUnit" {
			stale = false
		}
		if m.member == "StartTransientUnit" && stale {
			return errorBytes(serial, "org.freedesktop.systemd1.UnitExists", "")
		}
		return started("done")(m, serial)
	})
	if err := p.dial().StartScope(testUnit, []int{1}, true, nil); err != nil {
		t.Fatal(err)
	}
	want := []string{"Hello", "AddMatch", "StartTransientUnit", "ResetFailedUnit", "StartTransientUnit"}
	if got := p.seen(); !slices.Equal(got, want) {
		t.Errorf("calls %q, want %q", got, want)
	}
}

func TestStopTakesAMissingUnitForStopped(t *testing.T) {
	p := newPeer(t, func(m *message, serial uint32) []byte {
		if m.member == "StopUnit" || m.member == "ResetFailedUnit" {
			return errorBytes(serial, "org.freedesktop.systemd1.NoSuchUnit", "Unit hutch-x.scope not loaded.")
		}
		return answerBytes(serial, ":1.0", "")
	})
	c := p.dial()
	if err := c.Stop(testUnit); err != nil {
		t.Error(err)
	}
	// The same connection serves another operation.
	if err := c.Stop(testUnit); err != nil {
		t.Error(err)
	}
}

func TestVersionAndRoot(t *testing.T) {
	text := "252.39-1~deb12u2"
	p := newPeer(t, func(m *message, serial uint32) []byte {
		if m.member != "Get" {
			return nil
		}
		return answerBytes(serial, ":1.0", "v", Value{sig: "v", items: []Value{String(text)}})
	})
	c := p.dial()
	if n, err := c.Version(); n != 252 || err != nil {
		t.Errorf("Version = %d, %v", n, err)
	}
	text = "/user.slice/x/"
	if s, err := c.Root(); s != "/user.slice/x" || err != nil {
		t.Errorf("Root = %q, %v", s, err)
	}
	for s, want := range map[string]int{"v245.4-1.fc32": 245, "257~rc1": 257, "": 0, "v": 0, "x252": 0, "99999999999999999999": 0} {
		if n, err := parseVersion(s); n != want || (err == nil) != (want != 0) {
			t.Errorf("parseVersion(%q) = %d, %v, want %d", s, n, err, want)
		}
	}
}

// TestHandshake has peers that say each of replies in turn, in the parts that "|" divides.
func TestHandshake(t *testing.T) {
	for name, c := range map[string]struct {
		replies []string
		ok      bool
	}{
		"by credentials":            {[]string{"DATA\r\n", "OK 1\r\n"}, true},
		"at once":                   {[]string{"OK 1\r\n"}, true},
		"by the user id":            {[]string{"REJECTED EXTERNAL\r\n", "OK 1\r\n"}, true},
		"refused":                   {[]string{"REJECTED\r\n", "REJECTED\r\n"}, false},
		"asks for ever":             {slices.Repeat([]string{"DATA\r\n"}, 10), false},
		"another protocol":          {[]string{strings.Repeat("x", 5000)}, false},
		"a line in parts":           {[]string{"DA|TA\r|\n", "OK 1\r\n"}, true},
		"silence":                   {nil, false},
		"closed before it has said": {[]string{""}, false},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "s")
			l, err := net.Listen("unix", path)
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			go func() {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				defer conn.Close()
				buf := make([]byte, 512)
				for _, r := range c.replies {
					conn.Read(buf)
					for part := range strings.SplitSeq(r, "|") {
						if _, err := io.WriteString(conn, part); err != nil || r == "" {
							return
						}
						time.Sleep(5 * time.Millisecond)
					}
				}
				io.Copy(io.Discard, conn)
			}()
			limit := testwait.Bound()
			if c.replies == nil {
				limit = 300 * time.Millisecond
			}
			conn, err := address{path, true}.dial(false, limit)
			if (err == nil) != c.ok {
				t.Errorf("dial: %v, want success %v", err, c.ok)
			}
			if err == nil {
				conn.Close()
			}
		})
	}
}

func TestDialTellsWhatWasTried(t *testing.T) {
	dir := t.TempDir()
	_, err := Bus{User: true, Session: "tcp:host=x;unix:path=" + dir + "/no%20bus,guid=1", RuntimeDir: dir}.Dial()
	if !errors.Is(err, ErrNoBus) {
		t.Fatalf("got %v, want ErrNoBus", err)
	}
	for _, part := range []string{
		`"tcp:host=x": not a unix socket`, dir + "/no bus: no such file", dir + "/bus: no such file",
		dir + "/systemd/private: ", "XDG_RUNTIME_DIR", "--cgroup-manager cgroupfs",
	} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q lacks %q", err, part)
		}
	}
	_, err = Bus{User: true}.Dial()
	if err == nil || !strings.Contains(err.Error(), "neither DBUS_SESSION_BUS_ADDRESS nor XDG_RUNTIME_DIR is set") {
		t.Errorf("got %v", err)
	}
}

// TestDialPassesABusWithoutSystemd has one bus without systemd and one with it.
func TestDialPassesABusWithoutSystemd(t *testing.T) {
	bus := newPeer(t, func(m *message, serial uint32) []byte {
		return errorBytes(serial, "org.freedesktop.DBus.Error.NameHasNoOwner", "not there")
	})
	other := newPeer(t, func(m *message, serial uint32) []byte {
		return answerBytes(serial, "", "v", Value{sig: "v", items: []Value{String("255")}})
	})
	c, err := Bus{User: true, Session: "unix:path=" + bus.path + ";unix:path=" + other.path}.Dial()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if n, err := c.Version(); n != 255 || err != nil {
		t.Errorf("Version = %d, %v, want 255", n, err)
	}
	_, err = Bus{User: true, Session: "unix:path=" + bus.path}.Dial()
	if !errors.Is(err, ErrNoBus) || !strings.Contains(err.Error(), bus.path+": ") || !strings.Contains(err.Error(), "not there") {
		t.Errorf("got %v, want ErrNoBus", err)
	}
}

func TestUserBusAddresses(t *testing.T) {
	for _, c := range []struct {
		bus  Bus
		want []address
	}{
		{Bus{User: true, RuntimeDir: "/run/user/1"}, []address{{"/run/user/1/bus", false}, {"/run/user/1/systemd/private", true}}},
		{Bus{User: true, Session: "unix:abstract=/tmp/x,guid=2"}, []address{{"@/tmp/x", false}}},
		{Bus{User: true, Session: "unix:path=/run/user/1/bus", RuntimeDir: "/run/user/1/"},
			[]address{{"/run/user/1/bus", false}, {"/run/user/1/systemd/private", true}}},
		{Bus{User: true, Session: "unix:path=%2Fa%zz"}, nil},
		{Bus{User: true, Session: "unix:path=%2"}, nil},
		{Bus{User: true, Session: "unix:runtime=yes"}, nil},
	} {
		if got, _ := c.bus.addresses(); !slices.Equal(got, c.want) {
			t.Errorf("%+v: got %v, want %v", c.bus, got, c.want)
		}
	}
}

// TestFullQueue connects to a peer that takes no connections.
func TestFullQueue(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	listenWithoutRoom(t, path)
	_, err := address{path, false}.dial(false, 200*time.Millisecond)
	if !errors.Is(err, ErrTimeout) {
		t.Errorf("got %v, want ErrTimeout", err)
	}
}

func TestNothingStaysOpen(t *testing.T) {
	count := func() int {
		list, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(list)
	}
	before := count()
	for range 20 {
		if c, err := (address{"/nowhere/bus", false}).dial(false, time.Second); err == nil {
			c.Close()
			t.Fatal("connected to nothing")
		}
	}
	if after := count(); after > before+5 {
		t.Errorf("%d descriptors, %d before", after, before)
	}
}
