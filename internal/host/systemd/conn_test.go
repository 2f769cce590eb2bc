package systemd

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hutch-project/hutch/internal/dbus"
)

var testUnit = Unit{"system.slice", "hutch-x.scope"}

const testJob = objectPath + "/job/7"

// started answers the calls of a start whose job ends with result.
func started(result string) func(m *dbus.Message) []byte {
	return func(m *dbus.Message) []byte {
		switch m.Member {
		case "StartTransientUnit", "StopUnit":
			return append(answerBytes(m.Serial, ":1.0", dbus.ObjectPath(testJob)),
				removed(":1.0", testUnit.Name, testJob, result)...)
		default:
			return answerBytes(m.Serial, ":1.0")
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
		answer func(m *dbus.Message) []byte
		is     error
		text   string
	}{
		"silence": {
			func(*dbus.Message) []byte { return nil }, dbus.ErrTimeout,
			"systemd: StartTransientUnit hutch-x.scope: no answer within 200ms; is systemd overloaded? see systemctl list-jobs",
		},
		"a job that never ends": {
			func(m *dbus.Message) []byte {
				return answerBytes(m.Serial, ":1.0", dbus.ObjectPath(testJob))
			}, dbus.ErrTimeout, "no answer within 200ms",
		},
		"the end of another job, and one that another client makes up": {
			func(m *dbus.Message) []byte {
				b := append(answerBytes(m.Serial, ":1.0", dbus.ObjectPath(testJob)), removed(":1.9", testUnit.Name, testJob, "done")...)
				return append(append(b, removed(":1.0", testUnit.Name, testJob+"8", "done")...), removed(":1.0", "y.scope", testJob, "done")...)
			}, dbus.ErrTimeout, "no answer",
		},
		"answers to other calls": {
			func(m *dbus.Message) []byte { return answerBytes(m.Serial+1000, ":1.0") }, dbus.ErrTimeout, "no answer",
		},
		"signals without end": {
			func(m *dbus.Message) []byte {
				return slices.Repeat(removed(":1.0", testUnit.Name, testJob+"8", "done"), 5000)
			}, dbus.ErrTimeout, "no answer",
		},
		"garbage": {
			func(m *dbus.Message) []byte { return slices.Repeat([]byte{0xff}, 100) }, dbus.ErrMalformed,
			"systemd: StartTransientUnit hutch-x.scope: malformed D-Bus message",
		},
		"a message of 2 GiB": {
			func(m *dbus.Message) []byte {
				return []byte{'l', 2, 0, 1, 0, 0, 0, 0x7f, 1, 0, 0, 0, 0, 0, 0, 0}
			}, dbus.ErrTooLarge, "more than 1 MiB",
		},
		"an answer of another type": {
			func(m *dbus.Message) []byte { return answerBytes(m.Serial, ":1.0", dbus.String("x")) }, dbus.ErrMalformed, "malformed",
		},
		"a refused match rule": {
			func(m *dbus.Message) []byte {
				if m.Member == "AddMatch" {
					return errorBytes(m.Serial, "org.freedesktop.DBus.Error.LimitsExceeded", "too many rules")
				}
				return started("done")(m)
			}, nil, "systemd: StartTransientUnit hutch-x.scope: AddMatch: too many rules (org.freedesktop.DBus.Error.LimitsExceeded)",
		},
		"no systemd on the bus": {
			func(m *dbus.Message) []byte {
				if m.Member == "StartTransientUnit" {
					return errorBytes(m.Serial, "org.freedesktop.DBus.Error.ServiceUnknown", "not provided")
				}
				return answerBytes(m.Serial, ":1.0")
			}, ErrNoBus, "not provided (org.freedesktop.DBus.Error.ServiceUnknown)",
		},
		"a unit that runs": {
			func(m *dbus.Message) []byte {
				if m.Member == "StartTransientUnit" {
					return errorBytes(m.Serial, exists, "Unit hutch-x.scope was already loaded.")
				}
				return answerBytes(m.Serial, ":1.0")
			}, ErrUnitExists, "systemd: StartTransientUnit hutch-x.scope: Unit hutch-x.scope was already loaded. (" + exists + ")",
		},
		"a job that fails": {started("failed"), ErrJob, `its result is "failed"; see systemctl status hutch-x.scope`},
	} {
		t.Run(name, func(t *testing.T) {
			conn := newPeer(t, c.answer).dial()
			if c.is == dbus.ErrTimeout {
				conn.bus.SetTimeout(200 * time.Millisecond)
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
	p := newPeer(t, func(m *dbus.Message) []byte {
		if m.Member == "ResetFailedUnit" {
			stale = false
		}
		if m.Member == "StartTransientUnit" && stale {
			return errorBytes(m.Serial, "org.freedesktop.systemd1.UnitExists", "")
		}
		return started("done")(m)
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
	p := newPeer(t, func(m *dbus.Message) []byte {
		if m.Member == "StopUnit" || m.Member == "ResetFailedUnit" {
			return errorBytes(m.Serial, "org.freedesktop.systemd1.NoSuchUnit", "Unit hutch-x.scope not loaded.")
		}
		return answerBytes(m.Serial, ":1.0")
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
	p := newPeer(t, func(m *dbus.Message) []byte {
		if m.Member != "Get" {
			return nil
		}
		return answerBytes(m.Serial, ":1.0", dbus.Variant(dbus.String(text)))
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
	bus := newPeer(t, func(m *dbus.Message) []byte {
		return errorBytes(m.Serial, "org.freedesktop.DBus.Error.NameHasNoOwner", "not there")
	})
	other := newPeer(t, func(m *dbus.Message) []byte {
		return answerBytes(m.Serial, "", dbus.Variant(dbus.String("255")))
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

// TestAttachIsOneCall: a path below the unit begins with a slash, as systemd wants it.
func TestAttachIsOneCall(t *testing.T) {
	for path, want := range map[string]string{"": "", "init/x": "/init/x"} {
		p := newPeer(t, func(m *dbus.Message) []byte {
			unit, at := m.Body.String(), m.Body.String()
			if m.Member == "AttachProcessesToUnit" && (m.Signature != "ssau" || unit != testUnit.Name || at != want) {
				return errorBytes(m.Serial, "org.freedesktop.DBus.Error.InvalidArgs", m.Signature+" "+unit+" "+at)
			}
			return answerBytes(m.Serial, ":1.0")
		})
		if err := p.dial().Attach(testUnit, path, 7); err != nil {
			t.Error(err)
		}
		if got := p.seen(); !slices.Equal(got, []string{"Hello", "AttachProcessesToUnit"}) {
			t.Errorf("calls %q", got)
		}
	}
}
