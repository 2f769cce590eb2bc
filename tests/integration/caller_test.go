package integration

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// userCaller says that a user without privilege calls the runtime, in the place of root:
// CALLER=user. Tests that choose their caller choose it still.
var userCaller bool

// userDir is the user's home directory.
func userDir() string { return filepath.Join(workDir, "user") }

// userRunDir is the user's XDG_RUNTIME_DIR: that of the session, where systemd makes the cgroups.
func userRunDir() string {
	if systemdCgroup() {
		return sessionDir
	}
	return userDir()
}

// layUser gives the user a name, subordinate ids, a home directory and cgroups. /etc is this mount
// namespace's own.
func layUser() error {
	var err error
	if excepted, err = readExcepted(); err != nil {
		return err
	}
	etc := filepath.Join(workDir, "etc")
	if err := layEtc(etc, userDir()); err != nil {
		return err
	}
	if err := unix.Mount(etc, "/etc", "", unix.MS_BIND, ""); err != nil {
		return err
	}
	if err := os.Mkdir(userDir(), 0o700); err != nil {
		return err
	}
	if err := os.Chown(userDir(), plainUser, plainUser); err != nil {
		return err
	}
	if systemdCgroup() { // its service manager has them delegated
		_, err := os.Stat(sessionDir + "/systemd/private")
		return err
	}
	return delegateCgroups()
}

// layEtc makes a copy of /etc in which the user has a name and subordinate ids.
func layEtc(dir, home string) error {
	passwd, err := os.ReadFile("/etc/passwd")
	if err != nil {
		return err
	}
	if out, err := exec.Command("cp", "-a", "/etc", dir).CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	id := strconv.Itoa(plainUser)
	for name, text := range map[string]string{
		// Before the name that the user may have already.
		"passwd": "ranger:x:" + id + ":" + id + "::" + home + ":/bin/sh\n" + string(passwd),
		"subuid": "ranger:200000:65536\n", "subgid": id + ":200000:65536\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// delegateCgroups gives the user the tests' own cgroups, as a service manager does, and those
// above them that are in the tests' cgroup namespace.
//
// Source: cgroups(7), "Cgroup delegation".
func delegateCgroups() error {
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(mounts)) {
		words := strings.Fields(line)
		if words[2] != "cgroup" && words[2] != "cgroup2" {
			continue
		}
		for _, group := range []string{"", "tests"} {
			// The mode of a hierarchy's root is 0555, which binds whoever is not root.
			if err := os.Chmod(filepath.Join(words[1], group), 0o755); err != nil && !os.IsNotExist(err) {
				return err
			}
			for _, name := range []string{"", "tasks", "cgroup.procs", "cgroup.threads", "cgroup.subtree_control"} {
				if err := os.Chown(filepath.Join(words[1], group, name), plainUser, plainUser); err != nil && !os.IsNotExist(err) {
					return err
				}
			}
		}
	}
	return nil
}

// notAsUser skips a test, or a part of one, that does not apply to a user, as not-as-user.txt says.
func notAsUser(t testing.TB) {
	t.Helper()
	for name := t.Name(); name != "."; name = path.Dir(name) {
		if reason, ok := excepted[name]; ok {
			t.Skip("not as a user: " + reason)
		}
	}
}

// excepted are the tests of not-as-user.txt with their reasons.
var excepted map[string]string

func readExcepted() (map[string]string, error) {
	data, err := os.ReadFile("not-as-user.txt")
	if err != nil {
		return nil, err
	}
	list := map[string]string{}
	reason := ""
	for line := range strings.Lines(string(data)) {
		line = strings.TrimSpace(line)
		switch {
		case line == "" || line[0] == '#':
		case strings.HasSuffix(line, ":"):
			reason = strings.TrimSuffix(line, ":")
		default:
			for _, test := range strings.Fields(line) {
				list[test] = reason
			}
		}
	}
	return list, nil
}

// byUser has the user make the call, if it is for the whole suite and the test has chosen
// no caller. What root has laid out for it in the test's directory becomes the user's.
func (c call) byUser(t testing.TB) call {
	t.Helper()
	if !userCaller || c.attr != nil && c.attr.Credential != nil || len(c.wrap) > 0 && strings.Contains(c.wrap[0], "nsenter") {
		return c
	}
	notAsUser(t)
	for _, word := range append([]string{c.root, c.dir}, c.args...) {
		if err := giveToUser(word); err != nil {
			t.Fatal(err)
		}
	}
	// A zombie has its session keyring, of which a user has few (kernel.keys.maxkeys), and the
	// tests reap not every init at once.
	if len(c.args) > 0 && (c.args[0] == "create" || c.args[0] == "run") {
		c.args = append([]string{c.args[0], "--no-new-keyring"}, c.args[1:]...)
	}
	attr := syscall.SysProcAttr{}
	if c.attr != nil {
		attr = *c.attr
	}
	attr.Credential = &syscall.Credential{Uid: uint32(plainUser), Gid: uint32(plainUser)}
	c.attr = &attr
	if c.env == nil {
		c.env = append(os.Environ(), "HOME="+userDir(), "XDG_RUNTIME_DIR="+userRunDir())
	}
	return c
}

// giveToUser makes the user the owner of what is root's in the directory of the test in which the
// file lies that a word of a command line names, but for the programs, whose inodes all
// containers share, and canaries, which are another's. Other words are let be.
func giveToUser(word string) error {
	if strings.HasPrefix(word, os.TempDir()+"/Test") { // testing.T.TempDir
		_ = os.Chown(word, plainUser, plainUser) // which may be a file to be made
		return os.Chown(filepath.Dir(word), plainUser, plainUser)
	}
	below, ok := strings.CutPrefix(word, workDir+"/")
	if top, _, _ := strings.Cut(below, "/"); ok && top != "assets" {
		return filepath.WalkDir(filepath.Join(workDir, top), giveEntry)
	}
	return nil
}

func giveEntry(path string, d fs.DirEntry, err error) error {
	switch {
	case os.IsNotExist(err):
		return nil
	case err != nil:
		return err
	case d.Name() == "canary":
		return fs.SkipDir
	case d.Name() == "busybox" || d.Name() == "probe":
		return nil
	}
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil || st.Uid != 0 || st.Gid != 0 {
		return nil // gone, or somebody's by the test's will
	}
	return os.Lchown(path, plainUser, plainUser)
}
