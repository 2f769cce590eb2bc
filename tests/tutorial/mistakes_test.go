package tutorial

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestFirstMistakes makes the mistakes that beginners make; each message names
// the thing, and where it is not plain what to do.
func TestFirstMistakes(t *testing.T) {
	// Users other than root look in here.
	base, err := os.MkdirTemp("", "hutch-mistakes-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(base) })
	if err := os.Chmod(base, os.ModeSticky|0o777); err != nil {
		t.Fatal(err)
	}
	env := environment(t, base)
	const hutch = "hutch --root $PWD/state "
	const nobody = "setpriv --reuid 65534 --regid 65534 --clear-groups "
	for _, c := range [...]struct{ name, script, want string }{
		{"no root file system", "rm -r b/rootfs; " + hutch + "run -b b m1", "root.path: open the root file system "},
		{"no config.json", "rm b/config.json; " + hutch + "run -b b m1", "write one with the command spec"},
		{"the file for the directory", hutch + "run -b b/config.json m1", "name the directory that has a config.json with --bundle"},
		{"a comma is missing", `sed -i 's/"terminal": false,/"terminal": false/' b/config.json; ` + hutch + "run -b b m1", "config.json: process: want ',' or '}', found a string (line 5, column 3)"},
		{"a wrong type", `sed -i 's/"terminal": false/"terminal": "no"/' b/config.json; ` + hutch + "run -b b m1", "process.terminal: want true or false, found a string (line 4, "},
		{"no such container", hutch + "start m1", "start m1: container does not exist"},
		{"the container exists", hutch + "create -b b m1; " + hutch + "create -b b m1; s=$?; " + hutch + "delete -f m1; exit $s", "create m1: container with given ID already exists"},
		{"not root, root's state directory", "mkdir -m 700 state; " + nobody + hutch + "run -b b m1", "run as root, or name another one with --root"},
		{"not root, root's files", nobody + hutch + "run -b b m1", "make /dev in the container: permission denied: the root file system is somebody else's"},
		{"no such program", `sed -i 's/"sh"/"httpd"/' b/config.json; ` + hutch + "run -b b m1", `process.args[0]: exec: "httpd": executable file not found in $PATH`},
		{"not executable", `chmod -x b/rootfs/bin/sh; sed -i 's,"sh","/bin/sh",' b/config.json; ` + hutch + "run -b b m1", `process.args[0]: exec: "/bin/sh": permission denied`},
		{"a mount option that is none", `sed -i '0,/"nosuid"/s//"nosiud"/' b/config.json; ` + hutch + "run -b b m1", "mounts[1]: mount tmpfs on /dev: option nosiud: invalid argument"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir, err := os.MkdirTemp(base, "")
			if err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(dir, os.ModeSticky|0o777); err != nil {
				t.Fatal(err)
			}
			before := namesOnTheMachine(t)
			cmd := exec.Command("timeout", "20", "bash", "-c", `
				mkdir -p b/rootfs/bin b/rootfs/proc && cp /bin/busybox b/rootfs/bin/sh
				hutch spec -b b && sed -i 's/"terminal": true/"terminal": false/' b/config.json
				`+c.script)
			cmd.Dir, cmd.Env = dir, env
			out, err := cmd.CombinedOutput()
			if err == nil || !strings.Contains(string(out), c.want) {
				t.Errorf("%v\n%s\nwant %s", err, out, c.want)
			}
			if left, _ := filepath.Glob(dir + "/state/*"); len(left) > 0 {
				t.Errorf("left: %q", left)
			}
			if after := namesOnTheMachine(t); after != before {
				t.Errorf("left behind: before\n%s\nafter\n%s", before, after)
			}
		})
	}
}
