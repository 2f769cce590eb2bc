package main

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/urfave/cli/v2"

	"hutch/libcontainer"
	"hutch/libcontainer/config"
)

// execFailed is the exit status when exec itself fails.
const execFailed = 255

func execCommand() *cli.Command {
	return &cli.Command{
		Name:      "exec",
		Usage:     "run a further process in a container",
		ArgsUsage: "ID COMMAND [ARGUMENT...], or with --process ID",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "process", Aliases: []string{"p"}, Usage: "`FILE` with the process object, in place of all flags that change it"},
			&cli.StringFlag{Name: "cwd", Usage: "working `DIR` in the container"},
			&cli.StringSliceFlag{Name: "env", Aliases: []string{"e"}, Usage: "set the environment variable `NAME=VALUE`"},
			&cli.BoolFlag{Name: "tty", Aliases: []string{"t"}, Usage: "give the process a terminal"},
			&cli.StringFlag{Name: "user", Aliases: []string{"u"}, Usage: "`UID[:GID]` of the process, numbers"},
			&cli.StringSliceFlag{Name: "additional-gids", Aliases: []string{"g"}, Usage: "additional `GID`"},
			&cli.BoolFlag{Name: "detach", Aliases: []string{"d"}, Usage: "return when the process runs"},
			&cli.StringFlag{Name: "pid-file", Usage: "`FILE` for the process id"},
			&cli.StringFlag{Name: "console-socket", Usage: "unix socket at `PATH` that takes the terminal's descriptor"},
			&cli.StringFlag{Name: "pidfd-socket", Usage: "unix socket at `PATH` that takes the pidfd of the process"},
			&cli.StringFlag{Name: "process-label", Usage: "SELinux `LABEL` of the process"},
			&cli.StringFlag{Name: "apparmor", Usage: "AppArmor `PROFILE` of the process"},
			&cli.BoolFlag{Name: "no-new-privs", Usage: "the process gains no privileges by execve"},
			&cli.StringSliceFlag{Name: "cap", Aliases: []string{"c"}, Usage: "add the `CAPABILITY`"},
			&cli.IntFlag{Name: "preserve-fds", Usage: "hand `N` descriptors, from 3 on, to the process"},
			&cli.StringSliceFlag{Name: "cgroup", Usage: "run in a sub-cgroup of the container, `[CONTROLLER,...:]PATH`"},
			&cli.BoolFlag{Name: "ignore-paused", Usage: "also in a paused container"},
			&cli.StringFlag{Name: "trace", Usage: "write a Chrome trace to `FILE`"},
		},
		Action: func(c *cli.Context) error {
			status, err := runExec(c)
			if err != nil {
				report(err)
				return exitStatus(execFailed)
			}
			if status != 0 {
				return exitStatus(status)
			}
			return nil
		},
	}
}

func runExec(c *cli.Context) (int, error) {
	if err := protect(); err != nil {
		return 0, err
	}
	args := c.Args().Slice()
	if len(args) == 0 {
		return 0, errors.New("exec: requires the container id and the command, or --process and the container id")
	}
	o := &libcontainer.ExecOptions{
		ConsoleSocket: c.String("console-socket"), PidfdSocket: c.String("pidfd-socket"), PidFile: c.String("pid-file"),
		Detach: c.Bool("detach"), IgnorePaused: c.Bool("ignore-paused"), Cgroups: c.StringSlice("cgroup"),
		PreserveFds: c.Int("preserve-fds"), TraceFile: c.String("trace"),
	}
	id, command := args[0], args[1:]
	var err error
	if file := c.String("process"); file != "" {
		o.Process, err = readProcess(file)
	} else {
		o.Change, err = changes(c, command)
	}
	if err != nil {
		return 0, fmt.Errorf("exec %s: %w", id, err)
	}
	r, err := newRuntime(c)
	if err != nil {
		return 0, err
	}
	return r.Exec(id, o)
}

func readProcess(file string) (*specs.Process, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("--process: %w", err)
	}
	p, err := config.DecodeProcess(text)
	if err != nil {
		return nil, fmt.Errorf("--process %s: %w", file, err)
	}
	return p, nil
}

// changes is what the flags make of the container's own process.
func changes(c *cli.Context, command []string) (func(*specs.Process), error) {
	if len(command) == 0 {
		return nil, errors.New("requires a command, or --process")
	}
	user, err := parseUser(c.String("user"))
	if err != nil {
		return nil, err
	}
	var gids []uint32
	for _, text := range c.StringSlice("additional-gids") {
		gid, err := parseID(text)
		if err != nil {
			return nil, fmt.Errorf("--additional-gids: %w", err)
		}
		gids = append(gids, gid)
	}
	return func(p *specs.Process) {
		p.Args, p.Terminal = command, c.Bool("tty")
		p.Env = append(p.Env, c.StringSlice("env")...)
		if cwd := c.String("cwd"); cwd != "" {
			p.Cwd = cwd
		}
		user(p)
		p.User.AdditionalGids = append(p.User.AdditionalGids, gids...)
		if l := c.String("process-label"); l != "" {
			p.SelinuxLabel = l
		}
		if l := c.String("apparmor"); l != "" {
			p.ApparmorProfile = l
		}
		if c.IsSet("no-new-privs") {
			p.NoNewPrivileges = c.Bool("no-new-privs")
		}
		addCapabilities(p, c.StringSlice("cap"))
	}, nil
}

// addCapabilities adds to all sets but the inheritable one, which would give them
// to what the process executes later (CVE-2022-29162).
func addCapabilities(p *specs.Process, names []string) {
	if len(names) == 0 {
		return
	}
	if p.Capabilities == nil {
		p.Capabilities = &specs.LinuxCapabilities{}
	}
	s := p.Capabilities
	for _, set := range [...]*[]string{&s.Bounding, &s.Effective, &s.Permitted} {
		*set = append(*set, names...)
	}
}

// parseUser parses UID[:GID] and gives what sets it.
func parseUser(text string) (func(*specs.Process), error) {
	if text == "" {
		return func(*specs.Process) {}, nil
	}
	first, second, both := strings.Cut(text, ":")
	uid, err := parseID(first)
	if err != nil {
		return nil, fmt.Errorf("--user %q: %w", text, err)
	}
	var gid uint32
	if both {
		if gid, err = parseID(second); err != nil {
			return nil, fmt.Errorf("--user %q: %w", text, err)
		}
	}
	return func(p *specs.Process) {
		p.User.UID = uid
		if both {
			p.User.GID = gid
		}
	}, nil
}

// parseID takes decimal digits alone: no sign, no other base, no name, and not
// -1, which to the kernel means no change (CVE-2026-30892).
func parseID(text string) (uint32, error) {
	n, err := strconv.ParseUint(text, 10, 32)
	if err != nil || text[0] == '+' || uint32(n) == 1<<32-1 {
		return 0, fmt.Errorf("%q is not an id; give a number from 0 to 4294967294", text)
	}
	return uint32(n), nil
}
