package user

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

const (
	passwdFile = "root:x:0:0:root:/root:/bin/sh\nweb:x:33:34::/:\nweb:x:1:1::/:\nodd:x:-1:0::/:\nbig:x:1:4294967295::/:\nshort:x:5\n:x:0:0::/:\nlast:x:7:8::/:"
	groupFile  = "root:x:0:\nweb:x:34:\nadm:x:4:root,web\nlogs:x:5:webmaster,web\r\nbad:x:x:web\nodd:x:-1:\nshort:x\n65536:x:65536:web"
)

// TestFind: the first entry of a name counts, and the groups are those that the user is a
// member of, unless a group is given.
func TestFind(t *testing.T) {
	for _, c := range []struct{ user, group, want string }{
		{"root", "", "0 0 [4]"},
		{"web", "", "33 34 [4 5 65536]"},
		{"last", "", "7 8 []"},
		{"web", "adm", "33 4 []"},
		{"web", "7", "33 7 []"},
		{"99", "adm", "99 4 []"},
		{"web", "logs", "33 5 []"},
		{"nobody", "", `"nobody" is not in /etc/passwd`},
		{"short", "", `"short" is not in /etc/passwd`},
		{"web", "staff", `"staff" is not in /etc/group`},
		{"odd", "", `"odd" has no user and group in /etc/passwd`},
		{"big", "", `"big" has no user and group in /etc/passwd`},
		{"web", "odd", `"odd" has no number in /etc/group`},
		{"web", "-1", `"-1" is not in /etc/group`},
	} {
		a, err := Find(c.user, c.group, []byte(passwdFile), []byte(groupFile))
		got := fmt.Sprint(a.UID, a.GID, a.Groups)
		if err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%s:%s: got %s, want %s", c.user, c.group, got, c.want)
		}
	}
	unknown := new(Unknown)
	if _, err := Find("nobody", "", []byte(passwdFile), nil); !errors.As(err, &unknown) || strings.Join(unknown.Names, " ") != "root web web odd big last" {
		t.Errorf("%v, %q", err, unknown.Names)
	}
}

// TestFindTakesNoMoreGroupsThanTheKernel.
func TestFindTakesNoMoreGroupsThanTheKernel(t *testing.T) {
	var b strings.Builder
	for i := range maxGroups + 5 {
		fmt.Fprintf(&b, "g:x:%d:web\n", i)
	}
	if a, err := Find("web", "", []byte(passwdFile), []byte(b.String())); err != nil || len(a.Groups) != maxGroups {
		t.Errorf("%d groups, %v", len(a.Groups), err)
	}
}

// FuzzFind: an account of a file has ids that are none to the kernel in no case.
func FuzzFind(f *testing.F) {
	f.Add([]byte(passwdFile), []byte(groupFile), "web", "adm")
	f.Fuzz(func(t *testing.T, passwd, groups []byte, user, group string) {
		a, err := Find(user, group, passwd, groups)
		if err == nil && (a.UID == 1<<32-1 || a.GID == 1<<32-1) {
			t.Errorf("%+v", a)
		}
	})
}

func TestNameOf(t *testing.T) {
	const passwd = "root:x:0:0::/root:/bin/sh\nshort:x:7\nweb:x:33:33::/:/bin/sh\nalso:x:33:33::/:/bin/sh\n"
	for id, want := range map[uint32]string{0: "root", 33: "web", 7: "", 8: ""} {
		if got := NameOf([]byte(passwd), id); got != want {
			t.Errorf("%d: got %q, want %q", id, got, want)
		}
	}
}
