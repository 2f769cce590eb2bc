package idmap

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// helperDirs are where the host's helpers are looked for. PATH is not: it may
// come from a container's configuration, or from an unprivileged caller.
func helperDirs() []string {
	return []string{"/usr/bin", "/bin", "/usr/sbin", "/sbin", "/usr/local/bin", "/run/wrappers/bin"}
}

// find looks for a helper.
func find(dirs []string, tool string) (path string, err error) {
	for _, dir := range dirs {
		if st, err := os.Stat(dir + "/" + tool); err == nil && st.Mode().IsRegular() && st.Mode()&0o111 != 0 {
			return dir + "/" + tool, nil
		}
	}
	return "", fmt.Errorf("%s is not installed in any of %s; install the package uidmap (shadow-utils)", tool, strings.Join(dirs, ", "))
}

// helper is newuidmap or newgidmap, which writes a map.
type helper struct {
	path    string
	process *os.Process
	output  *os.File
}

// startHelper starts a helper of one of these folders.
//
// Source: newuidmap(1): newuidmap pid uid loweruid count …
func startHelper(dirs []string, tool string, pid int, ids []specs.LinuxIDMapping) (*helper, error) {
	path, err := find(dirs, tool)
	if err != nil {
		return nil, err
	}
	argv := []string{tool, strconv.Itoa(pid)}
	for _, m := range ids {
		for _, n := range [...]uint32{m.ContainerID, m.HostID, m.Size} {
			argv = append(argv, strconv.FormatUint(uint64(n), 10))
		}
	}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	// The pipe for all three: it reads nothing, and the host may have no /dev/null.
	p, err := os.StartProcess(path, argv, &os.ProcAttr{Dir: "/", Env: []string{}, Files: []*os.File{w, w, w}})
	w.Close()
	if err != nil {
		r.Close()
		return nil, err
	}
	return &helper{path: path, process: p, output: r}, nil
}

// wait waits for the helper's end, and returns what it says of a failure.
func (h *helper) wait() error {
	defer h.output.Close()
	text, _ := io.ReadAll(io.LimitReader(h.output, 1024)) // the exit status tells enough without it
	st, err := h.process.Wait()
	if err != nil {
		return fmt.Errorf("%s: wait: %w", h.path, err)
	}
	if !st.Success() {
		return fmt.Errorf("%s: %s: %s", h.path, st, strings.Join(strings.Fields(string(text)), " "))
	}
	return nil
}
