package main

import (
	"os"

	"github.com/urfave/cli/v2"

	"hutch/libcontainer"
)

func createCommand() *cli.Command {
	return &cli.Command{
		Name:      "create",
		Usage:     "create a container, whose init waits for start",
		ArgsUsage: "ID",
		Flags:     append(createFlags(), &cli.BoolFlag{Name: "detach", Aliases: []string{"d"}, Hidden: true}),
		Action: func(c *cli.Context) error {
			if err := protect(); err != nil {
				return err
			}
			o, err := createOptions(c)
			if err != nil {
				return err
			}
			r, err := newRuntime(c)
			if err != nil {
				return err
			}
			return r.Create(o)
		},
	}
}

func createFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "bundle", Aliases: []string{"b"}, Usage: "`DIR` of config.json (default: the working directory)"},
		&cli.StringFlag{Name: "console-socket", Usage: "unix socket at `PATH` that takes the terminal's descriptor"},
		&cli.StringFlag{Name: "pidfd-socket", Usage: "unix socket at `PATH` that takes the pidfd of init"},
		&cli.StringFlag{Name: "pid-file", Usage: "`FILE` for the process id of init"},
		&cli.BoolFlag{Name: "no-pivot", Usage: "change the root without pivot_root, for a root on a ramdisk"},
		&cli.BoolFlag{Name: "no-new-keyring", Usage: "keep the caller's session keyring"},
		&cli.IntFlag{Name: "preserve-fds", Usage: "hand `N` descriptors, from 3 on, to the container"},
		&cli.StringFlag{Name: "trace", Usage: "write a Chrome trace to `FILE`"},
	}
}

func createOptions(c *cli.Context) (*libcontainer.CreateOptions, error) {
	id, err := oneID(c)
	if err != nil {
		return nil, err
	}
	bundle := c.String("bundle")
	if bundle == "" {
		if bundle, err = os.Getwd(); err != nil {
			return nil, err
		}
	}
	return &libcontainer.CreateOptions{
		ID: id, Bundle: bundle,
		ConsoleSocket: c.String("console-socket"), PidfdSocket: c.String("pidfd-socket"), PidFile: c.String("pid-file"),
		NoPivot: c.Bool("no-pivot"), NoNewKeyring: c.Bool("no-new-keyring"), PreserveFds: c.Int("preserve-fds"),
		TraceFile: c.String("trace"),
		ListenFds: listenFds(), NotifySocket: os.Getenv("NOTIFY_SOCKET"),
	}, nil
}
