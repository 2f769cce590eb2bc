package main

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/hutch-project/hutch/internal/config"
	"github.com/hutch-project/hutch/internal/life"
)

// execFailed is the exit status when exec itself fails.
const execFailed = 255

var execCommand = command{
	name:     "exec",
	usage:    "run a further process in a container",
	words:    "ID COMMAND [ARGUMENT...], or with --process ID",
	verbatim: true,
	options: []option{
		{name: "process", alias: "p", usage: "`FILE` with the process object, in place of all flags that change it"},
		{name: "cwd", usage: "working `DIR` in the container"},
		{name: "env", alias: "e", kind: list, usage: "set the environment variable `NAME=VALUE`"},
		{name: "tty", alias: "t", kind: boolean, usage: "give the process a terminal"},
		{name: "user", alias: "u", usage: "`UID[:GID]` of the process, numbers"},
		{name: "additional-gids", alias: "g", kind: list, usage: "additional `GID`"},
		{name: "detach", alias: "d", kind: boolean, usage: "return when the process runs"},
		{name: "pid-file", usage: "`FILE` for the process id"},
		{name: "console-socket", usage: "unix socket at `PATH` that takes the terminal's descriptor"},
		{name: "pidfd-socket", usage: "unix socket at `PATH` that takes the pidfd of the process"},
		{name: "process-label", usage: "SELinux `LABEL` of the process"},
		{name: "apparmor", usage: "AppArmor `PROFILE` of the process"},
		{name: "no-new-privs", kind: boolean, usage: "the process gains no privileges by execve"},
		{name: "cap", alias: "c", kind: list, usage: "add the `CAPABILITY`"},
		{name: "preserve-fds", kind: number, usage: "hand `N` descriptors, from 3 on, to the process"},
		{name: "cgroup", kind: list, usage: "run in a sub-cgroup of the container, `[CONTROLLER,...:]PATH`"},
		{name: "ignore-paused", kind: boolean, usage: "also in a paused container"},
		{name: "trace", usage: "write a Chrome trace to `FILE`"},
	},
	do: func(f flags) error {
		status, err := runExec(f)
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

func runExec(f flags) (int, error) {
	if err := protect(); err != nil {
		return 0, err
	}
	args, err := f.Words()
	if err != nil {
		return 0, err
	}
	if len(args) == 0 {
		return 0, errors.New("exec: requires the container id and the command, or --process and the container id")
	}
	o := &life.ExecOptions{
		ConsoleSocket: f.String("console-socket"), PidfdSocket: f.String("pidfd-socket"), PidFile: f.String("pid-file"),
		Detach: f.Bool("detach"), IgnorePaused: f.Bool("ignore-paused"), Cgroups: f.StringSlice("cgroup"),
		PreserveFds: f.Int("preserve-fds"), TraceFile: f.String("trace"),
	}
	id, command := args[0], args[1:]
	if file := f.String("process"); file != "" {
		o.Process, err = readProcess(file)
	} else {
		o.Change, err = changes(f, command)
	}
	if err != nil {
		return 0, fmt.Errorf("exec %s: %w", id, err)
	}
	r, err := newRuntime(f)
	if err != nil {
		return 0, err
	}
	return r.Exec(id, o)
}

func readProcess(file string) (*specs.Process, error) {
	text, err := config.ReadFile(file)
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
func changes(f flags, command []string) (func(*specs.Process), error) {
	if len(command) == 0 {
		return nil, errors.New("requires a command, or --process")
	}
	user, err := parseUser(f.String("user"))
	if err != nil {
		return nil, err
	}
	var gids []uint32
	for _, text := range f.StringSlice("additional-gids") {
		gid, err := parseID(text)
		if err != nil {
			return nil, fmt.Errorf("--additional-gids: %w", err)
		}
		gids = append(gids, gid)
	}
	return func(p *specs.Process) {
		p.Args, p.Terminal = command, f.Bool("tty")
		p.Env = append(p.Env, f.StringSlice("env")...)
		if cwd := f.String("cwd"); cwd != "" {
			p.Cwd = cwd
		}
		user(p)
		p.User.AdditionalGids = append(p.User.AdditionalGids, gids...)
		if l := f.String("process-label"); l != "" {
			p.SelinuxLabel = l
		}
		if l := f.String("apparmor"); l != "" {
			p.ApparmorProfile = l
		}
		if f.IsSet("no-new-privs") {
			p.NoNewPrivileges = f.Bool("no-new-privs")
		}
		addCapabilities(p, f.StringSlice("cap"))
	}, nil
}

// addCapabilities adds to all sets but the inheritable one, which would give them
// to what the process executes later (CVE-2022-29162). Those that the configuration has
// there already are ambient, too: so another user's process keeps them over execve.
//
// Source: what runc's exec does.
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
	for _, n := range names {
		if slices.Contains(s.Inheritable, n) {
			s.Ambient = append(s.Ambient, n)
		}
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
	if err != nil || uint32(n) == 1<<32-1 {
		return 0, fmt.Errorf("%q is not an id; give a number from 0 to 4294967294", text)
	}
	return uint32(n), nil
}
