package main

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/opencontainers/runtime-spec/specs-go"

	idcheck "github.com/hutch-project/hutch/internal/check"
	"github.com/hutch-project/hutch/internal/cli"
	"github.com/hutch-project/hutch/internal/config"
	"github.com/hutch-project/hutch/internal/life"
)

var execCommand = cli.Command{
	Name:      "exec",
	Usage:     "run a further process in a container",
	Arguments: "ID COMMAND [ARGUMENT...]", Min: 1, Max: cli.Many,
	Wants: "the container id and the command, or --process and the container id",
	Words: []cli.Word{cli.ID}, States: []string{"running", "created", "paused"},
	Verbatim: true,
	Flags: []cli.Flag{
		{Name: "process", Alias: "p", Word: cli.File, Usage: "`FILE` with the process object, in place of all flags that change it"},
		{Name: "cwd", Usage: "working `DIR` in the container"},
		{Name: "env", Alias: "e", Kind: cli.List, Usage: "set the environment variable `NAME=VALUE`"},
		{Name: "tty", Alias: "t", Kind: cli.Bool, Usage: "give the process a terminal"},
		{Name: "user", Alias: "u", Usage: "`USER[:GROUP]` of the process, numbers or names of the container"},
		{Name: "additional-gids", Alias: "g", Kind: cli.List, Usage: "additional `GID`"},
		{Name: "detach", Alias: "d", Kind: cli.Bool, Usage: "return when the process runs"},
		{Name: "pid-file", Word: cli.File, Usage: "`FILE` for the process id"},
		{Name: "console-socket", Word: cli.File, Usage: "unix socket at `PATH` that takes the terminal's descriptor"},
		{Name: "pidfd-socket", Word: cli.File, Usage: "unix socket at `PATH` that takes the pidfd of the process"},
		{Name: "process-label", Usage: "SELinux `LABEL` of the process"},
		{Name: "apparmor", Usage: "AppArmor `PROFILE` of the process"},
		{Name: "no-new-privs", Kind: cli.Bool, Usage: "the process gains no privileges by execve"},
		{Name: "cap", Alias: "c", Kind: cli.List, Usage: "add the `CAPABILITY`"},
		{Name: "preserve-fds", Kind: cli.Int, Usage: "hand `N` descriptors, from 3 on, to the process"},
		{Name: "cgroup", Kind: cli.List, Usage: "run in a sub-cgroup of the container, `[CONTROLLER,...:]PATH`"},
		{Name: "ignore-paused", Kind: cli.Bool, Usage: "also in a paused container"},
		{Name: "trace", Word: cli.File, Usage: "write a Chrome trace to `FILE`"},
	},
	Help: "Runs a further process in the namespaces, the cgroup and under the limits of a created or " +
		"running container. It is the container's own process with what the flags change, or, with " +
		"--process, the one of a file, and no command is given. Flags stand before the id: what " +
		"follows is the command's.",
	Examples: []cli.Example{
		{Line: "hutch exec --tty web1 sh", Does: "a shell in the container"},
		{Line: "hutch exec -e LANG=C --user www-data web1 id -u", Does: "another user, with a variable"},
	},
	Exits: []cli.Exit{
		{Status: "N", When: "the process ended with status N"},
		{Status: "128+N", When: "signal N ended the process"},
		{Status: "255", When: "exec itself failed; 1 for a mistake in its flags"},
	},
	Failed: 255,
	Do:     execute,
}

func execute(l *cli.Line) error {
	status, err := runExec(l)
	if err == nil && status != 0 {
		return exitStatus(status)
	}
	return err
}

func runExec(line *cli.Line) (int, error) {
	if err := protect(); err != nil {
		return 0, err
	}
	o := &life.ExecOptions{
		ConsoleSocket: line.String("console-socket"), PidfdSocket: line.String("pidfd-socket"),
		PidFile: line.String("pid-file"), TraceFile: line.String("trace"),
		Detach: line.Bool("detach"), IgnorePaused: line.Bool("ignore-paused"),
		Cgroups: line.List("cgroup"), PreserveFds: line.Int("preserve-fds"),
	}
	id, command := line.Words[0], line.Words[1:]
	var err error
	if file := line.String("process"); file != "" {
		o.Process, err = readProcess(file)
	} else {
		o.Change, o.User, err = changes(&line.Values, command)
	}
	if err != nil {
		return 0, fmt.Errorf("exec %s: %w", id, err)
	}
	r, err := newRuntime(line)
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

// changes returns what the flags make of the container's own process, and the user where it
// has a name.
func changes(f *cli.Values, command []string) (func(*specs.Process), *life.UserName, error) {
	if len(command) == 0 {
		return nil, nil, errors.New("requires a command, or --process")
	}
	user, name, err := parseUser(f.String("user"))
	if err != nil {
		return nil, nil, err
	}
	if err := checkWords(f); err != nil {
		return nil, nil, err
	}
	var gids []uint32
	for _, text := range f.List("additional-gids") {
		gid, err := parseID(text)
		if err != nil {
			return nil, nil, fmt.Errorf("--additional-gids: %w", err)
		}
		gids = append(gids, gid)
	}
	if name != nil {
		name.KeepGroups = len(gids) > 0
	}
	return func(proc *specs.Process) {
		proc.Args, proc.Terminal = command, f.Bool("tty")
		proc.Env = append(proc.Env, f.List("env")...)
		if cwd := f.String("cwd"); cwd != "" {
			proc.Cwd = cwd
		}
		user(proc)
		if name != nil {
			proc.User.AdditionalGids = nil // another user's
		}
		proc.User.AdditionalGids = append(proc.User.AdditionalGids, gids...)
		if l := f.String("process-label"); l != "" {
			proc.SelinuxLabel = l
		}
		if l := f.String("apparmor"); l != "" {
			proc.ApparmorProfile = l
		}
		if f.IsSet("no-new-privs") {
			proc.NoNewPrivileges = f.Bool("no-new-privs")
		}
		addCapabilities(proc, f.List("cap"))
	}, name, nil
}

// checkWords refuses values by their flags, which the checks of config.json would name members
// of it for.
func checkWords(f *cli.Values) error {
	if cwd := f.String("cwd"); cwd != "" && cwd[0] != '/' {
		return fmt.Errorf("--cwd: %q is not an absolute path; begin it with /", cwd)
	}
	for i, entry := range f.List("env") {
		switch strings.IndexByte(entry, '=') { // it may be a secret, and is not shown
		case -1:
			return fmt.Errorf("--env: number %d of them has no '='; write it as NAME=VALUE", i+1)
		case 0:
			return fmt.Errorf("--env: number %d of them has no name before the '='; write it as NAME=VALUE", i+1)
		}
	}
	return nil
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

// parseUser parses USER[:GROUP] and returns what sets it, where both are numbers, or the
// names.
func parseUser(text string) (func(*specs.Process), *life.UserName, error) {
	none := func(*specs.Process) {}
	if text == "" {
		return none, nil, nil
	}
	first, second, both := strings.Cut(text, ":")
	var uid, gid uint32
	var err error
	if !isName(first) {
		uid, err = parseID(first)
	}
	if err == nil && both && !isName(second) {
		gid, err = parseID(second)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("--user %q: %w", text, err)
	}
	if isName(first) || both && isName(second) {
		return none, &life.UserName{User: first, Group: second}, nil
	}
	return func(p *specs.Process) {
		p.User.UID = uid
		if both {
			p.User.GID = gid
		}
	}, nil, nil
}

// isName reports whether text may be the name of a user or a group. What could be meant for
// a number is none, whatever a file of the container calls so.
func isName(text string) bool {
	first, _ := utf8.DecodeRuneInString(text)
	odd := func(r rune) bool { return r == ':' || unicode.IsSpace(r) || unicode.IsControl(r) }
	return text != "" && !unicode.IsDigit(first) && first != '-' && first != '+' && !strings.ContainsFunc(text, odd)
}

// parseID takes decimal digits alone: no sign, no other base, no name, and not
// -1, which to the kernel means no change (CVE-2026-30892).
func parseID(text string) (uint32, error) {
	n, err := strconv.ParseUint(text, 10, 32)
	if err != nil || uint32(n) > idcheck.MaxID {
		return 0, fmt.Errorf("%q %w", text, idcheck.ErrID)
	}
	return uint32(n), nil
}
