package main

import (
	"os"

	"github.com/hutch-project/hutch/internal/cli"
	"github.com/hutch-project/hutch/internal/life"
)

var restoreCommand = cli.Command{
	Name:      "restore",
	Usage:     "bring the processes of a checkpoint back in a new container",
	Arguments: "ID", Wants: oneID, Min: 1, Max: 1,
	Shared: criuFlags,
	Flags: []cli.Flag{
		{Name: "bundle", Alias: "b", Word: cli.Dir, Usage: "`DIR` of config.json (default: the working directory)"},
		{Name: "config", Alias: "f", Word: cli.File, Usage: "`FILE` to read in place of the bundle's config.json"},
		{Name: "console-socket", Word: cli.File, Usage: "unix socket at `PATH` that takes the terminal's descriptor"},
		{Name: "pidfd-socket", Word: cli.File, Usage: "unix socket at `PATH` that takes the pidfd of init"},
		{Name: "pid-file", Word: cli.File, Usage: "`FILE` for the process id of init"},
		{Name: "detach", Alias: "d", Kind: cli.Bool, Usage: "return when the processes run"},
		{Name: "keep", Kind: cli.Bool, Usage: "do not delete the container when its process has ended"},
		{Name: "no-subreaper", Kind: cli.Bool, Usage: "do not become the reaper of orphaned processes"},
		{Name: "no-pivot", Kind: cli.Bool, Usage: "refused: CRIU changes the root by pivot_root alone"},
		{Name: "tcp-close", Kind: cli.Bool, Usage: "restore TCP connections as closed ones"},
		{Name: "empty-ns", Kind: cli.List, Usage: "leave out the content of a namespace: network, which always is"},
		{Name: "lsm-profile", Usage: "put `TYPE:NAME`, of apparmor or selinux, in the place of the former label"},
		{Name: "lsm-mount-context", Usage: "put the SELinux `LABEL` in the place of that of the mounts"},
		{Name: "trace", Word: cli.File, Usage: "write a Chrome trace to `FILE`"},
	},
	Help: "Makes a container from the bundle, as run does, with the processes that checkpoint has written down in the " +
		"place of a new one. The bundle has to have the mounts, the joined namespaces and the root file system that the " +
		"container had; limits, hooks and the place of the cgroups are the bundle's. A restore that fails leaves nothing behind.",
	Examples: []cli.Example{
		{Line: "hutch restore -d --bundle bundle --image-path web1.ckpt web1", Does: "bring web1 back, in the background"},
		{Line: "hutch restore -b bundle --image-path web1.ckpt web1", Does: "the same in the foreground, for its exit status"},
	},
	Exits: []cli.Exit{
		{Status: "N", When: "the process ended with status N"},
		{Status: "128+N", When: "signal N ended the process"},
	},
	Do: restore,
}

func restore(line *cli.Line) error {
	bundle, err := bundleDir(line)
	if err != nil {
		return err
	}
	r, err := newRuntime(line)
	if err != nil {
		return err
	}
	status, err := r.Restore(&life.RestoreOptions{
		CreateOptions: life.CreateOptions{
			ID: line.Words[0], Bundle: bundle, ConfigFile: line.String("config"),
			ConsoleSocket: line.String("console-socket"), PidfdSocket: line.String("pidfd-socket"),
			PidFile: line.String("pid-file"), TraceFile: line.String("trace"), NoPivot: line.Bool("no-pivot"),
			Detach: line.Bool("detach"), Keep: line.Bool("keep"), NoReaper: line.Bool("no-subreaper"),
			NotifySocket: os.Getenv("NOTIFY_SOCKET"),
		},
		CheckpointOptions: criuOptions(line),
		TCPClose:          line.Bool("tcp-close"), LSMProfile: line.String("lsm-profile"), LSMMountContext: line.String("lsm-mount-context"),
	})
	if err == nil && status != 0 {
		return exitStatus(status)
	}
	return err
}
