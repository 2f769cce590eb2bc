package main

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// leaf is the cgroup of the tests on v2, where a cgroup with processes can give its
// children no controllers. It is in the one that they see as the root.
const leaf = "tests"

// group is the box's cgroup in one hierarchy.
type group struct {
	Mount string // where the hierarchy is mounted
	Dir   string // the cgroup, below it
	V2    bool
}

// planGroups chooses the place for the box's cgroup in each mounted hierarchy: below
// the caller's, whose limits so hold.
func planGroups(name string) ([]group, error) {
	table, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	own, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return nil, err
	}
	var groups []group
	for line := range strings.Lines(string(table)) {
		m, ok := parseMount(line)
		if !ok || m.fs != "cgroup" && m.fs != "cgroup2" {
			continue
		}
		parent := filepath.Join(m.at, below(m.root, ownPath(string(own), m)))
		if _, err := os.Stat(filepath.Join(parent, "cgroup.procs")); err != nil {
			parent = m.at
		}
		if m.fs == "cgroup2" {
			parent = giving(m.at, parent)
		}
		groups = append(groups, group{m.at, filepath.Join(parent, name), m.fs == "cgroup2"})
	}
	return groups, nil
}

// mount is a line of mountinfo.
type mount struct{ id, root, at, fs, source, options string }

// parseMount reads a line. Source: proc_pid_mountinfo(5).
func parseMount(line string) (mount, bool) {
	head, tail, ok := strings.Cut(line, " - ")
	h, t := strings.Fields(head), strings.Fields(tail)
	if !ok || len(h) < 6 || len(t) < 3 {
		return mount{}, false
	}
	return mount{h[0], h[3], h[4], t[0], t[1], t[2]}, true
}

// ownPath is this process's cgroup in the hierarchy of a mount.
func ownPath(table string, m mount) string {
	options := strings.Split(m.options, ",")
	for line := range strings.Lines(table) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) != 3 {
			continue
		}
		if m.fs == "cgroup2" && parts[1] == "" {
			return parts[2]
		}
		if m.fs == "cgroup" && parts[1] != "" && !slices.ContainsFunc(strings.Split(parts[1], ","), func(name string) bool {
			return !slices.Contains(options, name)
		}) {
			return parts[2]
		}
	}
	return "/"
}

// below is a path of the hierarchy as it is below a mount of root.
func below(root, path string) string {
	if rel, err := filepath.Rel(root, path); err == nil && filepath.IsLocal(rel) {
		return rel
	}
	return "."
}

// giving finds the cgroup, from the caller's up, that gives its children all the
// controllers that it has: where processes are it cannot.
func giving(top, dir string) string {
	for at := dir; ; at = filepath.Dir(at) {
		has, _ := os.ReadFile(at + "/cgroup.controllers")
		gives, _ := os.ReadFile(at + "/cgroup.subtree_control")
		var words []string
		for _, name := range strings.Fields(string(has)) {
			if !slices.Contains(strings.Fields(string(gives)), name) {
				words = append(words, "+"+name)
			}
		}
		if len(words) == 0 || os.WriteFile(at+"/cgroup.subtree_control", []byte(strings.Join(words, " ")), 0) == nil {
			return at
		}
		if at == top || len(at) <= 1 {
			return dir
		}
	}
}

func (g group) make() error {
	err := os.Mkdir(g.Dir, 0o755)
	if errors.Is(err, fs.ErrExist) {
		return nil // by another mount of the hierarchy
	}
	if err != nil {
		return err
	}
	if g.V2 {
		return os.Mkdir(filepath.Join(g.Dir, leaf), 0o755)
	}
	// A new cpuset is empty, and takes no process.
	for _, file := range [...]string{"cpuset.cpus", "cpuset.mems"} {
		of := strings.Replace(file, ".", ".effective_", 1)
		text, err := os.ReadFile(filepath.Join(filepath.Dir(g.Dir), of))
		if err != nil {
			continue
		}
		if err := os.WriteFile(filepath.Join(g.Dir, file), text, 0); err != nil {
			return fmt.Errorf("%s: %w", g.Dir, err)
		}
	}
	// A part of the time for real-time processes, which a new cgroup has none of; where
	// the parent has none either the tests have none.
	os.WriteFile(filepath.Join(g.Dir, "cpu.rt_runtime_us"), []byte("100000"), 0)
	return nil
}

// subtree lists a cgroup and all below it, parents first.
func subtree(dir string) []string {
	var dirs []string
	filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			dirs = append(dirs, path)
		}
		return nil // it may be gone
	})
	return dirs
}

// thaw lets all below a cgroup go on: what is frozen does not die.
func thaw(dir string) {
	for _, d := range subtree(dir) {
		setIfThere(d+"/freezer.state", "THAWED")
		setIfThere(d+"/cgroup.freeze", "0")
	}
}

func setIfThere(file, text string) {
	if f, err := os.OpenFile(file, os.O_WRONLY, 0); err == nil {
		f.WriteString(text)
		f.Close()
	}
}

// kill kills all processes below a cgroup. Source: cgroup.kill is of Linux 5.14.
func kill(dir string) {
	setIfThere(dir+"/cgroup.kill", "1")
	for _, d := range subtree(dir) {
		f, err := os.Open(d + "/cgroup.procs")
		if err != nil {
			continue
		}
		for lines := bufio.NewScanner(f); lines.Scan(); {
			// Not 0, which stands for a process of another pid namespace.
			if pid, err := strconv.Atoi(lines.Text()); err == nil && pid > 1 {
				unix.Kill(pid, unix.SIGKILL)
			}
		}
		f.Close()
	}
}

// patience is how long the kernel is given to end what was killed.
const patience = 20 * time.Second

// removeGroups ends all that is in the cgroups, and removes them.
func removeGroups(groups []group) error {
	var err error
	for end := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		// All hierarchies in each round: a process is in all, and may be frozen in one.
		for _, g := range groups {
			thaw(g.Dir)
			kill(g.Dir)
		}
		err = nil
		for _, g := range groups {
			for _, dir := range slices.Backward(subtree(g.Dir)) {
				if e := unix.Rmdir(dir); e != nil && e != unix.ENOENT {
					err = errors.Join(err, fmt.Errorf("remove cgroup %s: %w", dir, e))
				}
			}
		}
		if err == nil || time.Now().After(end) {
			return err
		}
	}
}
