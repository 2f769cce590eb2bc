package main

import (
	"bufio"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// seize traces each process that writes its number, a line, to the fifo prey in a folder, and
// says so by a line in the fifo go. It never waits for what it traces: when that ends, its
// parent cannot reap it.
func seize(args []string) (string, error) {
	if len(args) != 1 {
		return "", fmt.Errorf("usage: probe seize FOLDER")
	}
	prey, err := os.OpenFile(args[0]+"/prey", os.O_RDWR, 0)
	if err != nil {
		return "", err
	}
	goOn, err := os.OpenFile(args[0]+"/go", os.O_RDWR, 0)
	if err != nil {
		return "", err
	}
	for in := bufio.NewReader(prey); ; {
		line, err := in.ReadString('\n')
		if err != nil {
			return "", err
		}
		pid, err := strconv.Atoi(strings.TrimSpace(line))
		if err != nil {
			return "", err
		}
		if err := unix.PtraceSeize(pid); err != nil {
			return "", fmt.Errorf("ptrace PTRACE_SEIZE %d: %w", pid, err)
		}
		if _, err := fmt.Fprintln(goOn, "seized"); err != nil {
			return "", err
		}
	}
}
