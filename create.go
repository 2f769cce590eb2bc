package main

import (
	"os"

	"github.com/hutch-project/hutch/internal/cli"
	"github.com/hutch-project/hutch/internal/life"
)

var createCommand = cli.Command{
	Name:      "create",
	Usage:     "create a container, whose init waits for start",
	Arguments: "ID", Wants: oneID, Min: 1, Max: 1,
	Shared: createFlags,
	Help: "Makes the container from the bundle, runs the hooks prestart, createRuntime and " +
		"createContainer, and leaves its init waiting for start. A create that fails leaves " +
		"nothing behind.",
	Examples: []cli.Example{
		{Line: "hutch create --bundle bundle --pid-file web1.pid web1", Does: "make web1, and write down the process id of its init"},
		{Line: "hutch create -b bundle --console-socket tty.sock web1", Does: "the same with a terminal, which goes to a socket"},
	},
	Do: create,
}

// createFlags are the flags of create, which run has, too.
var createFlags = []cli.Flag{
	{Name: "bundle", Alias: "b", Word: cli.Dir, Usage: "`DIR` of config.json (default: the working directory)"},
	{Name: "config", Alias: "f", Word: cli.File, Usage: "`FILE` to read in place of the bundle's config.json"},
	{Name: "console-socket", Word: cli.File, Usage: "unix socket at `PATH` that takes the terminal's descriptor"},
	{Name: "pidfd-socket", Word: cli.File, Usage: "unix socket at `PATH` that takes the pidfd of init"},
	{Name: "pid-file", Word: cli.File, Usage: "`FILE` for the process id of init"},
	{Name: "no-pivot", Kind: cli.Bool, Usage: "change the root without pivot_root, for a root on a ramdisk"},
	{Name: "no-new-keyring", Kind: cli.Bool, Usage: "keep the caller's session keyring"},
	{Name: "preserve-fds", Kind: cli.Int, Usage: "hand `N` descriptors, from 3 on, to the container"},
	{Name: "trace", Word: cli.File, Usage: "write a Chrome trace to `FILE`"},
	{Name: "detach", Alias: "d", Kind: cli.Bool, Usage: "return when the process runs; create always does"},
}

func create(l *cli.Line) error {
	if err := protect(); err != nil {
		return err
	}
	o, err := newCreate(l)
	if err != nil {
		return err
	}
	r, err := newRuntime(l)
	if err != nil {
		return err
	}
	return r.Create(o)
}

// newCreate returns what the flags of create and run ask for.
func newCreate(l *cli.Line) (*life.CreateOptions, error) {
	bundle, err := bundleDir(l)
	if err != nil {
		return nil, err
	}
	return &life.CreateOptions{
		ID: l.Words[0], Bundle: bundle, ConfigFile: l.String("config"),
		ConsoleSocket: l.String("console-socket"), PidfdSocket: l.String("pidfd-socket"),
		PidFile: l.String("pid-file"), TraceFile: l.String("trace"),
		NoPivot: l.Bool("no-pivot"), NoNewKeyring: l.Bool("no-new-keyring"),
		PreserveFds: l.Int("preserve-fds"), ListenFds: listenFds(),
		NotifySocket: os.Getenv("NOTIFY_SOCKET"),
	}, nil
}

// bundleDir returns the value of --bundle, or the working directory.
func bundleDir(l *cli.Line) (string, error) {
	if dir := l.String("bundle"); dir != "" {
		return dir, nil
	}
	return os.Getwd()
}
