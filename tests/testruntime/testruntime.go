// Package testruntime finds the binary that tests drive as an engine would, and builds it.
//
// Only tests import it.
package testruntime

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// Tags are the build tags of the released binary.
const Tags = "urfave_cli_no_docs,urfave_cli_no_suggest"

// Find returns the absolute path of the binary that RUNTIME names, by a path or a name in
// the PATH, and what it prints with --version. Without RUNTIME it is the one at the top of
// the tree, for a test two folders below.
func Find() (path, version string, err error) {
	path = os.Getenv("RUNTIME")
	if path == "" {
		path = "../../hutch"
	}
	if path, err = exec.LookPath(path); err == nil {
		path, err = filepath.Abs(path)
	}
	if err != nil {
		return "", "", fmt.Errorf("RUNTIME: %w (make build, or set RUNTIME)", err)
	}
	out, err := exec.Command(path, "--version").Output()
	if err != nil {
		return "", "", fmt.Errorf("%s --version: %w (make build, or set RUNTIME)", path, err)
	}
	return path, string(out), nil
}

// Build compiles the package in a folder of this module without cgo, to a file, with more
// arguments of go build.
func Build(file, folder string, args ...string) error {
	cmd := exec.Command("go", append(append([]string{"build", "-o", file}, args...), ".")...)
	cmd.Dir = folder
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", cmd, err, out)
	}
	return nil
}
