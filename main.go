// Hutch is an OCI low-level container runtime: it takes a bundle and runs it as
// a container. See README.md.
//
//go:debug containermaxprocs=0
//go:debug updatemaxprocs=0
package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/cli"
	"github.com/hutch-project/hutch/internal/host/selfexe"
	"github.com/hutch-project/hutch/internal/inherited"
	"github.com/hutch-project/hutch/internal/life"
	_ "github.com/hutch-project/hutch/internal/mainstack"
	"github.com/hutch-project/hutch/internal/seat"
)

// version is Hutch's own; commit is set by the linker.
const version = "0.1.0"

var commit = "unknown"

func main() {
	os.Exit(run(os.Args))
}

// protect makes sure that no container gets at this program's file; where only
// another copy of it helps, that is executed, and protect does not return.
func protect() error { return selfexe.Protect(os.Args, os.Environ()) }

// exitStatus ends the program with a status and without a message.
type exitStatus int

func (e exitStatus) Error() string { return "exit status " + strconv.Itoa(int(e)) }

// run runs one command line and returns the exit status.
func run(args []string) int {
	err := dispatch(args)
	var status exitStatus
	switch {
	case err == nil:
		return 0
	case errors.As(err, &status):
		return int(status)
	}
	report(err)
	return 1
}

// dispatch parses the command line and does what it says.
func dispatch(args []string) error {
	// Before anything is opened, and so before it is known what the flags mean.
	if err := inherited.Plug(handedOn(args)); err != nil {
		return fmt.Errorf("--preserve-fds: %w", err)
	}
	line, err := cli.Parse(&table, args[1:])
	// Also after a mistake, since engines read the error in the log that the line names.
	if logErr := prepareLog(line); err == nil {
		err = logErr
	}
	switch {
	case err != nil:
		return err
	case line.Global.Bool("version"):
		fmt.Print(versionText())
		return nil
	case line.Help || line.Command == nil:
		return cli.WriteHelp(os.Stdout, line.Table, line.Command)
	}
	return do(line)
}

// do runs the command of a line.
func do(l *cli.Line) error {
	err := l.CheckWords()
	if err == nil {
		err = l.Command.Do(l)
	}
	var status exitStatus
	if err == nil || l.Command.Failed == 0 || errors.As(err, &status) {
		return err
	}
	report(err)
	return exitStatus(l.Command.Failed)
}

// handedOn is the number of descriptors, from 3 on, that may have to be handed on,
// with what merely looks like the flag in a container's command line.
func handedOn(args []string) int {
	most := 0
	for i, a := range args {
		name, value, has := cli.Cut(a)
		if name != "preserve-fds" {
			continue
		}
		if !has && i+1 < len(args) {
			value = args[i+1]
		}
		if n, err := strconv.ParseInt(value, 0, 64); err == nil {
			most = int(max(int64(most), min(n, maxHandedOn)))
		}
	}
	return most + min(listenFds(), maxHandedOn)
}

// maxHandedOn is more than anybody hands on: what is above is refused later, by name.
const maxHandedOn = 1 << 20

// newRuntime returns the library's entry for the global flags.
func newRuntime(l *cli.Line) (*life.Runtime, error) {
	c := &l.Global
	root := c.String("root")
	if root == "" {
		root = defaultRoot()
	}
	root, err := filepath.Abs(root)
	if err != nil {
		return nil, err
	}
	rt := &life.Runtime{
		Root: root, Alone: true, HookEnv: os.Environ,
		SessionBus: os.Getenv("DBUS_SESSION_BUS_ADDRESS"), RuntimeDir: os.Getenv("XDG_RUNTIME_DIR"),
		Warn: warn, Note: note, Debug: debug,
	}
	if rt.CgroupManager, err = cgroupManager(c.String("cgroup-manager"), c.Bool("systemd-cgroup")); err != nil {
		return nil, err
	}
	switch v := c.String("rootless"); v {
	case "auto", "":
		rt.Rootless = seat.User() // root of a user namespace is found out about where it matters
	default:
		if rt.Rootless, err = strconv.ParseBool(v); err != nil {
			return nil, fmt.Errorf("--rootless: %q is not true, false or auto", v)
		}
		rt.NeedCgroups = !rt.Rootless
	}
	if mask := ownUmask(); mask != 0 {
		warn(fmt.Sprintf("the umask %04o is %04o: it keeps the files that are made from their owner, ignoring", mask, mask&^0o700))
	}
	return rt, nil
}

// ownUmask takes the owner's bits off the umask of a user, who else could not open what the
// runtime has made, and returns the umask if it had some. Root passes.
func ownUmask() int {
	if !seat.User() {
		return 0
	}
	mask := unix.Umask(0o077)
	unix.Umask(mask &^ 0o700)
	if mask&0o700 == 0 {
		return 0
	}
	return mask
}

// cgroupManager is what the two flags choose.
func cgroupManager(name string, systemd bool) (life.CgroupManager, error) {
	all := [...]life.CgroupManager{life.Cgroupfs, life.Systemd, life.Disabled}
	switch {
	case name == "" && systemd:
		return life.Systemd, nil
	case name == "":
		return life.Cgroupfs, nil
	}
	for _, m := range all {
		if name == m.String() {
			if systemd && m != life.Systemd {
				return 0, fmt.Errorf("--systemd-cgroup contradicts --cgroup-manager %s: give one of them", name)
			}
			return m, nil
		}
	}
	return 0, fmt.Errorf("--cgroup-manager: %q is not cgroupfs, systemd or disabled", name)
}

// listenFds is the number of descriptors that socket activation hands over:
// LISTEN_FDS counts only when LISTEN_PID is this process.
//
// Source: sd_listen_fds(3).
func listenFds() int {
	if pid, err := strconv.Atoi(os.Getenv("LISTEN_PID")); err != nil || pid != unix.Getpid() {
		return 0
	}
	n, err := strconv.Atoi(os.Getenv("LISTEN_FDS"))
	if err != nil || n < 0 {
		return 0
	}
	return n
}
