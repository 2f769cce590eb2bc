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
	"runtime"
	"slices"
	"strconv"

	"github.com/urfave/cli/v2"
	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/handed"
	"github.com/hutch-project/hutch/internal/host/selfexe"
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

// run runs one command line and gives the exit status.
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
	if err := handed.Plug(handedOn(args)); err != nil {
		return fmt.Errorf("--preserve-fds: %w", err)
	}
	l, ok := hot(args)
	if !ok {
		return app().Run(oneForm(args))
	}
	if err := prepareLog(l); err != nil {
		return err
	}
	return l.command.do(l)
}

// handedOn is the number of descriptors, from 3 on, that may have to be handed on,
// with what merely looks like the flag in a container's command line.
func handedOn(args []string) int {
	most := 0
	for i, a := range args {
		name, value, has := cut(a)
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

func app() *cli.App {
	a := cli.NewApp()
	a.Name = "hutch"
	a.Usage = "run OCI bundles as containers"
	a.Flags = cliFlags(globals[:])
	a.Commands = commands()
	a.HideVersion = false
	a.DisableSliceFlagSeparator = true // a comma may stand in a variable
	a.Version = version
	a.ExitErrHandler = func(*cli.Context, error) {}
	a.OnUsageError, a.Action = usageError, noCommand
	for _, c := range a.Commands {
		c.OnUsageError = usageError
	}
	a.Before = func(c *cli.Context) error { return prepareLog(c) }
	cli.VersionPrinter = func(*cli.Context) { fmt.Print(versionText()) }
	return a
}

func versionCommand() *cli.Command {
	return &cli.Command{Name: "version", Usage: "print the version, as --version does", Action: func(*cli.Context) error {
		fmt.Print(versionText())
		return nil
	}}
}

func versionText() string {
	return "hutch version " + version + "\ncommit: " + commit + "\nspec: 1.3.0\ngo: " + runtime.Version() + "\n"
}

func commands() []*cli.Command {
	all := make([]*cli.Command, 0, 16)
	for _, c := range hotCommands {
		all = append(all, c.cli())
	}
	return append(all, pauseCommand(), resumeCommand(), updateCommand(), eventsCommand(),
		listCommand(), psCommand(), specCommand(), featuresCommand(), planCommand(), versionCommand())
}

// globalValues are the values of the flags before the command.
type globalValues interface {
	String(name string) string
	Bool(name string) bool
}

// newRuntime is the library's entry for the global flags.
func newRuntime(c globalValues) (*life.Runtime, error) {
	root := c.String("root")
	if root == "" {
		root = defaultRoot()
	}
	root, err := filepath.Abs(root)
	if err != nil {
		return nil, err
	}
	r := &life.Runtime{
		Root: root, Alone: true, HookEnv: os.Environ, SessionBus: os.Getenv("DBUS_SESSION_BUS_ADDRESS"), RuntimeDir: os.Getenv("XDG_RUNTIME_DIR"), Warn: warn, Note: note, Debug: debug,
	}
	if r.CgroupManager, err = cgroupManager(c.String("cgroup-manager"), c.Bool("systemd-cgroup")); err != nil {
		return nil, err
	}
	switch v := c.String("rootless"); v {
	case "auto", "":
		r.Rootless = seat.User() // root of a user namespace is found out about where it matters
	default:
		if r.Rootless, err = strconv.ParseBool(v); err != nil {
			return nil, fmt.Errorf("--rootless: %q is not true, false or auto", v)
		}
	}
	return r, nil
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

// oneID is the command's only argument, a container id.
func oneID(c *cli.Context) (string, error) {
	args, err := reparse(c)
	if err != nil {
		return "", err
	}
	if len(args) != 1 {
		return "", fmt.Errorf("%s: requires exactly 1 argument, the container id; got %d", c.Command.Name, len(args))
	}
	return args[0], nil
}

// reparse takes flags that stand after the id, which the flag package does not.
func reparse(c *cli.Context) ([]string, error) {
	var args []string
	rest := c.Args().Slice()
	for i := 0; i < len(rest); i++ {
		a := rest[i]
		if len(a) < 2 || a[0] != '-' {
			args = append(args, a)
			continue
		}
		if a == "--" {
			return append(args, rest[i+1:]...), nil
		}
		n, err := setFlag(c, rest[i:])
		if err != nil {
			return nil, err
		}
		i += n - 1
	}
	return args, nil
}

// setFlag sets the flag at words[0] and says how many words it took.
func setFlag(c *cli.Context, words []string) (int, error) {
	name, value, has := cut(words[0])
	for _, f := range c.Command.Flags {
		if !slices.Contains(f.Names(), name) {
			continue
		}
		first := f.Names()[0] // by which it is asked for
		if _, isBool := f.(*cli.BoolFlag); isBool {
			if !has {
				value = "true"
			}
			return 1, c.Set(first, value)
		}
		if has {
			return 1, c.Set(first, value)
		}
		if len(words) < 2 {
			return 0, fmt.Errorf("flag needs an argument: -%s", name)
		}
		return 2, c.Set(first, words[1])
	}
	return 0, fmt.Errorf("flag provided but not defined: -%s", name)
}

func cut(word string) (name, value string, has bool) {
	for len(word) > 0 && word[0] == '-' {
		word = word[1:]
	}
	for i := range len(word) {
		if word[i] == '=' {
			return word[:i], word[i+1:], true
		}
	}
	return word, "", false
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
