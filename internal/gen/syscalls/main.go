// Command syscalls writes the table of system calls of package seccomp: a name
// list and, for each architecture, the numbers. It is run by go generate.
//
// It reads the text of golang.org/x/sys/unix's zsysnum_linux_*.go, and extra.txt
// for the architectures that have none there.
package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

func main() {
	out := flag.String("o", "", "file to write; empty is standard output")
	extra := flag.String("extra", "", "path of extra.txt")
	flag.Parse()
	if err := run(*out, *extra); err != nil {
		fmt.Fprintln(os.Stderr, "syscalls:", err)
		os.Exit(1)
	}
}

// run writes the table to the file out, or to standard output.
func run(out, extra string) error {
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "golang.org/x/sys").Output()
	if err != nil {
		return fmt.Errorf("go list -m golang.org/x/sys: %w", err)
	}
	t, err := load(filepath.Join(strings.TrimSpace(string(dir)), "unix"), extra)
	if err != nil {
		return err
	}
	source, err := t.source()
	if err != nil {
		return err
	}
	if out == "" {
		_, err := os.Stdout.Write(source)
		return err
	}
	return os.WriteFile(out, source, 0o644)
}
