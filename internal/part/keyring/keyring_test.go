package keyring

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/part/parttest"
	"github.com/hutch-project/hutch/internal/program"
	"github.com/hutch-project/hutch/internal/sys"
)

// session returns a process that has run what emit appends, and its session keyring,
// which lives as long as the process.
func session(t *testing.T, emit func(b *program.Builder)) int {
	t.Helper()
	b := program.New()
	emit(b)
	ring := b.Reg()
	const sessionKeyring = -3 // KEY_SPEC_SESSION_KEYRING
	b.Sys(unix.SYS_KEYCTL, program.Imm(unix.KEYCTL_GET_KEYRING_ID), program.Imm(sessionKeyring), program.Imm(0)).To(ring)
	b.Barrier(1, ring)
	c := parttest.Spawn(t, b, 0)
	id, err := c.Expect(1)
	if err != nil {
		t.Fatal(err)
	}
	return int(int32(id))
}

// neighbour runs f as another container of the same user would: in a thread with
// a session keyring of its own, that ends with it.
func neighbour(t *testing.T, f func()) {
	t.Helper()
	err := sys.Apart(func() error {
		if _, err := unix.KeyctlInt(unix.KEYCTL_JOIN_SESSION_KEYRING, 0, 0, 0, 0); err != nil {
			return fmt.Errorf("a session keyring for the neighbour: %w", err)
		}
		f()
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

func newName(t *testing.T) string {
	t.Helper()
	if _, err := unix.KeyctlGetKeyringID(unix.KEY_SPEC_USER_KEYRING, true); err != nil {
		t.Skipf("the kernel has no keys for us: %v", err)
	}
	name, err := NewName()
	if err != nil {
		t.Fatal(err)
	}
	return name
}

func TestNamesCannotBeGuessed(t *testing.T) {
	a, b := newName(t), newName(t)
	if a == b || !regexp.MustCompile(`^_ses\.[0-9a-f]{32}$`).MatchString(a) {
		t.Errorf("%s, %s", a, b)
	}
}

// Another container of the same user neither sees the keyring nor takes hold of
// it; who knows the name joins it.
func TestOthersDoNotSeeTheKeyring(t *testing.T) {
	name := newName(t)
	id := session(t, func(b *program.Builder) { Make(b, name) })
	neighbour(t, func() {
		if text, err := unix.KeyctlString(unix.KEYCTL_DESCRIBE, id); !errors.Is(err, unix.EACCES) {
			t.Errorf("described: %q %v", text, err)
		}
		if keys, err := os.ReadFile("/proc/keys"); err != nil || strings.Contains(string(keys), name) {
			t.Errorf("/proc/keys has its name (%v)", err)
		}
		if _, err := unix.KeyctlInt(unix.KEYCTL_LINK, id, unix.KEY_SPEC_SESSION_KEYRING, 0, 0); !errors.Is(err, unix.EACCES) {
			t.Errorf("linked: %v", err)
		}
		if _, err := unix.KeyctlBuffer(unix.KEYCTL_READ, id, make([]byte, 64), 0); !errors.Is(err, unix.EACCES) {
			t.Errorf("read: %v", err)
		}
		if got, err := unix.KeyctlJoinSessionKeyring(name); err != nil || got != id {
			t.Errorf("joined by its name: %d %v, want %d", got, err, id)
		}
	})
}

func TestJoinTakesTheContainersKeyring(t *testing.T) {
	name := newName(t)
	id := session(t, func(b *program.Builder) { Make(b, name) })
	if got := session(t, func(b *program.Builder) { Join(b, name, int64(id)) }); got != id {
		t.Errorf("joined %d, want %d", got, id)
	}
}

// A further process gets a keyring of its own, and never somebody else's, when the
// container's is gone, when another has its name, or when nothing is known of it.
func TestJoinTakesNoOther(t *testing.T) {
	name := newName(t)
	const gone = 0x3fffffff // a serial number that nothing has
	join := func(name string, serial int64) func() int {
		return func() int { return session(t, func(b *program.Builder) { Join(b, name, serial) }) }
	}
	neighbour(t, func() {
		theirs, err := unix.KeyctlJoinSessionKeyring(name)
		if err != nil {
			t.Errorf("the neighbour's keyring: %v", err)
			return
		}
		const all = 0x3f3f3f3f
		if err := unix.KeyctlSetperm(theirs, all); err != nil {
			t.Errorf("open it to all: %v", err)
		}
		for what, get := range map[string]func() int{
			"another has the name": join(name, gone),
			"no serial number":     join(name, 0),
			"no name":              join("", int64(theirs)),
			"an old record":        join("", 0),
			"gone":                 join(name+"0", gone),
		} {
			id := get()
			if id == theirs || id <= 0 {
				t.Errorf("%s: the keyring is %d, the neighbour's %d", what, id, theirs)
			}
			if text, err := unix.KeyctlString(unix.KEYCTL_DESCRIBE, id); !errors.Is(err, unix.EACCES) {
				t.Errorf("%s: the neighbour sees %q %v", what, text, err)
			}
			if got, err := unix.KeyctlSearch(id, "user", "none", 0); !errors.Is(err, unix.EACCES) {
				t.Errorf("%s: the neighbour searches it: %d %v", what, got, err)
			}
		}
	})
}

// The caller's keyring is left in any case: with two processes, no two are alike.
func TestKeyringsAreSeparate(t *testing.T) {
	own, err := unix.KeyctlGetKeyringID(unix.KEY_SPEC_SESSION_KEYRING, true)
	if err != nil {
		t.Skipf("the kernel has no keys for us: %v", err)
	}
	a := session(t, func(b *program.Builder) { Make(b, newName(t)) })
	b := session(t, func(b *program.Builder) { Make(b, newName(t)) })
	if a == b || a == own || b == own {
		t.Errorf("the caller's %d, the containers' %d and %d", own, a, b)
	}
}
