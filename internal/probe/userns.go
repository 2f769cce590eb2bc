package probe

import (
	"os"
	"strings"
)

// UsernsBar is a kernel parameter that keeps processes from making user namespaces.
type UsernsBar struct {
	Why       string // the parameter and its value
	Remedy    string
	Everybody bool // root, too
	Profile   bool // users whose program has an AppArmor profile with the rule userns may
}

var usernsBars = [...]struct {
	parameter, value, remedy string
	everybody, profile       bool
}{
	{"user.max_user_namespaces", "0", "sysctl user.max_user_namespaces=15000", true, false},
	{"kernel.unprivileged_userns_clone", "0", "sysctl kernel.unprivileged_userns_clone=1", false, false},
	{"kernel.apparmor_restrict_unprivileged_userns", "1",
		"a profile for hutch with the rule userns, or sysctl kernel.apparmor_restrict_unprivileged_userns=0", false, true},
}

// UserNamespaces returns what keeps processes from making user namespaces, nil where nothing
// does. The second parameter is Debian's, the third Ubuntu's.
//
// Source: namespaces(7), "/proc/sys/user".
func UserNamespaces() *UsernsBar { return userNamespaces("/proc/sys/") }

func userNamespaces(dir string) *UsernsBar {
	for _, b := range &usernsBars {
		text, err := os.ReadFile(dir + strings.ReplaceAll(b.parameter, ".", "/"))
		if err == nil && strings.TrimSpace(string(text)) == b.value {
			return &UsernsBar{Why: "the kernel parameter " + b.parameter + " is " + b.value, Remedy: b.remedy, Everybody: b.everybody, Profile: b.profile}
		}
	}
	return nil
}
