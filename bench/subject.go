package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// subject is a runtime and how it is called.
type subject struct {
	name   string
	prefix []string // program and global flags, with a state directory of its own
	// against names the subject that this one is compared with.
	against string
}

// find returns the runtimes of this machine.
func find(hutch, dir string) ([]subject, error) {
	path, err := filepath.Abs(hutch)
	if err != nil {
		return nil, err
	}
	// A file on a slow file system would be measured too.
	local := filepath.Join(dir, "hutch")
	if err := copyFile(path, local, 0o755); err != nil {
		return nil, err
	}
	of := func(name, path, against string, flags ...string) subject {
		return subject{name, append(append([]string{path}, flags...), "--root", filepath.Join(dir, "state-"+name)), against}
	}
	all := []subject{
		of("hutch", local, ""),
		of("hutch, no cgroups", local, "", "--cgroup-manager", "disabled"),
	}
	for _, p := range []struct {
		name    string
		against string
		flags   []string
	}{{"runc", "hutch", nil}, {"crun", "hutch, no cgroups", []string{"--cgroup-manager=disabled"}}} {
		path, err := exec.LookPath(p.name)
		if err != nil {
			return nil, fmt.Errorf("%w: install it (tests/install)", err)
		}
		all = append(all, of(p.name, path, p.against, p.flags...))
	}
	for _, path := range filepath.SplitList(os.Getenv("BENCH_PEERS")) {
		all = append(all, of(filepath.Base(path)+" ("+filepath.Base(filepath.Dir(path))+")", path, "hutch"))
	}
	return all, nil
}

func copyFile(from, to string, mode os.FileMode) error {
	text, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, text, mode)
}

// call is the command line of the subject with words.
func (s *subject) call(words ...string) []string {
	return append(append([]string{}, s.prefix...), words...)
}

func (s *subject) id(what string) string {
	return "bench-" + strings.NewReplacer(" ", "", ",", "-", "(", "", ")", "").Replace(s.name) + "-" + what
}
