// Bench measures Hutch beside other runtimes, all in one run and in turn, and the
// bare system calls of the same container (floor.c).
//
//	bench [-quick] [-only WORD] -hutch FILE -floor FILE -out DIR
//
// It needs root. It works in a mount namespace of its own, on cgroup v2 alone.
// Debian's crun needs CAP_SYS_RESOURCE for cgroups, so it is compared without
// them on both sides. BENCH_PEERS=PATH:PATH adds runtimes, which are called as
// runc is. The exit status is 1 when a runtime fails.
package main

import (
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

func main() {
	var c config
	flag.BoolVar(&c.quick, "quick", false, "the usual works alone, in less than a minute")
	flag.StringVar(&c.only, "only", "", "works whose names have `WORD`")
	hutch := flag.String("hutch", "hutch", "`FILE` of the runtime that is measured")
	flag.StringVar(&c.floor, "floor", "", "`FILE` of the built floor.c")
	out := flag.String("out", "", "`DIR` for latest.tsv and speed.svg; empty writes none")
	flag.Parse()
	if err := inside(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
	if err := run(&c, *hutch, *out); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

type config struct {
	quick bool
	only  string
	floor string
	dir   string // everything of this run
}

func run(c *config, hutch, out string) (err error) {
	if c.dir, err = os.MkdirTemp("", "hutch-bench-"); err != nil {
		return err
	}
	if err := enter(c.dir); err != nil {
		return err
	}
	subjects, err := find(hutch, c.dir)
	if err != nil {
		return err
	}
	b := &bench{config: c, subjects: subjects}
	defer func() {
		b.cleanup()
		_ = unix.Unmount(c.dir, unix.MNT_DETACH)
		_ = os.Remove(c.dir)
	}()
	// An interrupt ends the running command, whose failure ends the bench.
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, unix.SIGINT, unix.SIGTERM)
	go func() { <-stop; b.stopped.Store(true) }()
	if err := b.bundles(); err != nil {
		return err
	}
	if err := b.charged(); err != nil {
		return fmt.Errorf("bytes charged: %w", err)
	}
	if err := onlyV2(c.dir); err != nil {
		return err
	}
	for _, w := range works {
		if c.quick && !w.quick || c.only != "" && !strings.Contains(w.name, c.only) {
			continue
		}
		fmt.Fprintf(os.Stderr, "%s\n", w.name)
		if err := w.do(b, w.name); err != nil {
			return fmt.Errorf("%s: %w", w.name, err)
		}
	}
	b.printTable(os.Stdout)
	if out == "" {
		return nil
	}
	if err := b.writeTSV(filepath.Join(out, "latest.tsv")); err != nil {
		return err
	}
	return b.writeChart(filepath.Join(out, "speed.svg"))
}

// insideEnv is set in the program that has a mount namespace of its own.
const insideEnv = "HUTCH_BENCH_INSIDE"

// inside executes the program again in a mount namespace of its own, which all its
// threads then have.
func inside() error {
	if os.Getenv(insideEnv) != "" {
		return os.Unsetenv(insideEnv)
	}
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		return fmt.Errorf("unshare: %w (needs root)", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make / private: %w", err)
	}
	return unix.Exec("/proc/self/exe", os.Args, append(os.Environ(), insideEnv+"=1"))
}

// enter prepares the directory and becomes the parent of containers' orphans.
func enter(dir string) error {
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "mode=700"); err != nil {
		return fmt.Errorf("mount tmpfs on %s: %w", dir, err)
	}
	return unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
}

// onlyV2 leaves cgroup v2 alone on /sys/fs/cgroup. Where the kernel has a v1
// hierarchy of cpu, that stays mounted in dir: Go's runtime looks for its mount when
// a program starts, and where there is none reads the mount table to the end, which
// no machine of v2 alone makes it do.
func onlyV2(dir string) error {
	const cgroups = "/sys/fs/cgroup"
	var st unix.Statfs_t
	if err := unix.Statfs(cgroups, &st); err == nil && st.Type == unix.CGROUP2_SUPER_MAGIC {
		return nil
	}
	if v1 := filepath.Join(cgroups, "cpu"); unix.Access(v1, unix.F_OK) == nil {
		cpu := filepath.Join(dir, "cpu")
		if err := os.Mkdir(cpu, 0o700); err != nil {
			return err
		}
		if err := unix.Mount(v1, cpu, "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("bind %s on %s: %w", v1, cpu, err)
		}
	}
	if err := unix.Unmount(cgroups, unix.MNT_DETACH); err != nil {
		return fmt.Errorf("unmount %s: %w", cgroups, err)
	}
	if err := unix.Mount("cgroup2", cgroups, "cgroup2", 0, ""); err != nil {
		return fmt.Errorf("mount cgroup2 on %s: %w", cgroups, err)
	}
	return nil
}
