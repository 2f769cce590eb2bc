// Package rdt puts a container into a resource control group of Intel RDT: it finds
// the resctrl file system, makes or checks the group that linux.intelRdt names,
// and removes what it made. It is the parent's side and has effects.
//
// It looks for resctrl only when the configuration has linux.intelRdt.
//
// Source: runtime-spec config-linux.md "IntelRdt"; kernel arch/x86/resctrl.rst.
package rdt

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

var (
	// ErrNoResctrl is returned when no resctrl file system is mounted.
	ErrNoResctrl = errors.New("no resctrl file system is mounted; mount -t resctrl resctrl /sys/fs/resctrl, if the processor has RDT")
	// ErrNoGroup is returned when a group that is to be there is not.
	ErrNoGroup = errors.New("there is no such group")
	// ErrOther is returned when a group has other schemata than the
	// configuration says.
	ErrOther = errors.New("the group is there with other values")
)

// Group is a container's resource control group.
type Group struct {
	// Dir is its directory.
	Dir string
	// Monitor is the directory of the container's monitoring group, or empty.
	Monitor string
	// Own says that the directory goes with the container: it has the container's
	// id for a name, and Create has made it.
	Own bool

	root    string   // of the file system
	exists  bool     // is to be there before
	lines   []string // of schemata
	made    bool     // Dir, by Create
	watched bool     // Monitor was made by Create
}

// made is called for each directory that has been made: a test fills it, as the
// kernel does.
var made = func(string) {}

// Plan returns the group that r asks for, of the container id, below the resctrl file
// system root.
func Plan(root, id string, r *specs.LinuxIntelRdt) (*Group, error) {
	group := &Group{root: root}
	for _, s := range [...]struct {
		field, text, prefix string
	}{{"l3CacheSchema", r.L3CacheSchema, ""}, {"memBwSchema", r.MemBwSchema, "MB:"}} {
		if s.text == "" {
			continue
		}
		if err := check(s.text, s.prefix); err != nil {
			return nil, fmt.Errorf("linux.intelRdt.%s: %q: %w", s.field, s.text, err)
		}
		group.lines = append(group.lines, s.text)
	}
	for i, text := range r.Schemata {
		if err := check(text, ""); err != nil {
			return nil, fmt.Errorf("linux.intelRdt.schemata[%d]: %q: %w", i, text, err)
		}
		group.lines = append(group.lines, text)
	}
	switch r.ClosID {
	case "":
		group.Dir, group.Own = root+"/"+id, true
	case "/":
		group.Dir, group.exists = root, true
	case ".", "..", "info", "mon_groups", "mon_data":
		return nil, fmt.Errorf("linux.intelRdt.closID: %q is a name of resctrl's own; give another", r.ClosID)
	default:
		if strings.ContainsAny(r.ClosID, "/\n\x00") {
			return nil, fmt.Errorf("linux.intelRdt.closID: %q: give the name of a directory, or \"/\" for the default group", r.ClosID)
		}
		group.Dir, group.exists = root+"/"+r.ClosID, len(group.lines) == 0
	}
	if r.EnableMonitoring {
		group.Monitor = group.Dir + "/mon_groups/" + id
	}
	return group, nil
}

func check(text, prefix string) error {
	switch {
	case strings.ContainsAny(text, "\n\x00"):
		return errors.New("has a newline; give a line each in schemata")
	case !strings.HasPrefix(text, prefix):
		return fmt.Errorf("does not begin with %q", prefix)
	case !strings.Contains(text, ":"):
		return errors.New(`has not the form "RESOURCE:ID=VALUE;ID=VALUE"`)
	}
	return nil
}

// Create makes the group, or checks the one that is there. After an error nothing
// that it made is left.
func (g *Group) Create() (retErr error) {
	defer func() {
		if retErr != nil {
			_ = g.undo()
		}
	}()
	err := unix.ENOENT
	if !g.exists {
		err, _ = unix.Mkdir(g.Dir, 0o755).(unix.Errno)
	}
	switch {
	case g.exists:
		var st unix.Stat_t
		if unix.Stat(g.Dir, &st) != nil {
			return fmt.Errorf("linux.intelRdt.closID: %s: %w; make it, or give the schemata for Hutch to make it", g.Dir, ErrNoGroup)
		}
	case err == unix.ENOSPC:
		return fmt.Errorf("linux.intelRdt: mkdir %s: %w (the processor has no more classes of service: see info/*/num_closids)", g.Dir, err)
	case err != 0 && err != unix.EEXIST:
		return fmt.Errorf("linux.intelRdt: mkdir %s: %w", g.Dir, err)
	case err == 0:
		g.made = true
		made(g.Dir)
		if err := g.set(g.lines); err != nil {
			return err
		}
		return g.monitor()
	}
	// "If ... the runtime has not created the sub-directory, the runtime MUST NOT
	// remove the sub-directory".
	g.Own = false
	if err := g.same(); err != nil {
		return err
	}
	return g.monitor()
}

// same compares a group that was there with the configuration.
func (g *Group) same() error {
	if len(g.lines) == 0 {
		return nil
	}
	text, err := os.ReadFile(g.Dir + "/schemata")
	if err != nil {
		return fmt.Errorf("linux.intelRdt: %w", err)
	}
	has := values(strings.Split(string(text), "\n"))
	for key, want := range values(g.lines) {
		if got, ok := has[key]; !ok || got != want {
			return fmt.Errorf("linux.intelRdt.closID: %s: %w: %s is %s, not %s", g.Dir, ErrOther, key, pick(ok, got, "absent"), want)
		}
	}
	return nil
}

// values takes lines of schemata apart: "L3:0" to "7ff". A later one wins.
func values(lines []string) map[string]string {
	m := map[string]string{}
	for _, l := range lines {
		resource, rest, ok := strings.Cut(strings.TrimSpace(l), ":")
		if !ok {
			continue
		}
		for pair := range strings.SplitSeq(rest, ";") {
			id, value, _ := strings.Cut(strings.TrimSpace(pair), "=")
			value = strings.ToLower(strings.TrimLeft(strings.TrimSpace(value), "0"))
			m[resource+":"+strings.TrimSpace(id)] = pick(value != "", value, "0")
		}
	}
	return m
}

func pick(first bool, a, b string) string {
	if first {
		return a
	}
	return b
}

// set writes lines to the schemata file, all at once.
func (g *Group) set(lines []string) error {
	if len(lines) == 0 {
		return nil
	}
	text := strings.Join(lines, "\n") + "\n"
	if err := write(g.Dir+"/schemata", text); err != nil {
		reason := ""
		if s, err := os.ReadFile(g.root + "/info/last_cmd_status"); err == nil {
			reason = " (the kernel says: " + strings.TrimSpace(string(s)) + ")"
		}
		return fmt.Errorf("linux.intelRdt: %w%s", err, reason)
	}
	return nil
}

// Set changes the values of the group dir, for an update; empty ones stay. undo
// writes the former values of the resources that it has changed.
func Set(dir, l3CacheSchema, memBwSchema string) (undo func() error, err error) {
	group, err := Plan(filepath.Dir(dir), "", &specs.LinuxIntelRdt{L3CacheSchema: l3CacheSchema, MemBwSchema: memBwSchema})
	if err != nil {
		return nil, err
	}
	group.Dir = dir
	text, err := os.ReadFile(dir + "/schemata")
	if err != nil {
		return nil, fmt.Errorf("linux.intelRdt: %w", err)
	}
	var former []string
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		resource, _, _ := strings.Cut(line, ":")
		if strings.HasPrefix(l3CacheSchema, resource+":") || strings.HasPrefix(memBwSchema, resource+":") {
			former = append(former, line)
		}
	}
	// The kernel takes the lines one by one: those before a wrong one are set.
	if err := group.set(group.lines); err != nil {
		return nil, errors.Join(err, group.set(former))
	}
	return func() error { return group.set(former) }, nil
}

func (g *Group) monitor() error {
	if g.Monitor == "" {
		return nil
	}
	if err := unix.Mkdir(g.Monitor, 0o755); err != nil {
		return fmt.Errorf("linux.intelRdt.enableMonitoring: mkdir %s: %w", g.Monitor, err)
	}
	g.watched = true
	made(g.Monitor)
	return nil
}

// Join puts the process pid into the group.
func (g *Group) Join(pid int) error {
	for _, dir := range g.dirs() {
		if err := write(dir+"/tasks", strconv.Itoa(pid)); err != nil {
			return fmt.Errorf("linux.intelRdt: %w", err)
		}
	}
	return nil
}

// Tasks returns descriptors of the files to which a thread writes "0" to have its children
// born in the group. The caller closes them.
func (g *Group) Tasks() ([]int, error) {
	var out []int
	for _, dir := range g.dirs() {
		fd, err := unix.Open(dir+"/tasks", unix.O_WRONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			for _, fd := range out {
				unix.Close(fd)
			}
			return nil, fmt.Errorf("linux.intelRdt: open %s/tasks: %w", dir, err)
		}
		out = append(out, fd)
	}
	return out, nil
}

func (g *Group) dirs() []string {
	if g.Monitor == "" {
		return []string{g.Dir}
	}
	return []string{g.Dir, g.Monitor}
}

// undo takes Create back. A monitoring group of that name that was there before
// is someone else's.
func (g *Group) undo() error {
	own := Group{Dir: g.Dir, Own: g.made}
	if g.watched {
		own.Monitor = g.Monitor
	}
	return own.Remove()
}

// Remove removes what goes with the container. What is gone is no error.
//
// Source: resctrl.rst: the tasks of a group that is removed go to the one above.
func (g *Group) Remove() error {
	dirs := []string{g.Monitor}
	if g.Own {
		dirs = append(dirs, g.Dir)
	}
	for _, dir := range dirs {
		if dir == "" {
			continue
		}
		if err := unix.Rmdir(dir); err != nil && err != unix.ENOENT {
			return fmt.Errorf("linux.intelRdt: rmdir %s: %w", dir, err)
		}
	}
	return nil
}
