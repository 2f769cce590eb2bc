package main

import (
	"os"

	"github.com/hutch-project/hutch/internal/life"
)

var createCommand = command{
	name:    "create",
	usage:   "create a container, whose init waits for start",
	words:   "ID",
	options: runOptions[:9],
	do: func(f flags) error {
		if err := protect(); err != nil {
			return err
		}
		o, err := newCreate(f, "create")
		if err != nil {
			return err
		}
		r, err := newRuntime(f)
		if err != nil {
			return err
		}
		return r.Create(o)
	},
}

// newCreate is what the flags of create and run say.
func newCreate(f flags, name string) (*life.CreateOptions, error) {
	id, err := oneWord(f, name)
	if err != nil {
		return nil, err
	}
	bundle := f.String("bundle")
	if bundle == "" {
		if bundle, err = os.Getwd(); err != nil {
			return nil, err
		}
	}
	return &life.CreateOptions{
		ID: id, Bundle: bundle,
		ConsoleSocket: f.String("console-socket"), PidfdSocket: f.String("pidfd-socket"), PidFile: f.String("pid-file"),
		NoPivot: f.Bool("no-pivot"), NoNewKeyring: f.Bool("no-new-keyring"), PreserveFds: f.Int("preserve-fds"),
		TraceFile: f.String("trace"),
		ListenFds: listenFds(), NotifySocket: os.Getenv("NOTIFY_SOCKET"),
	}, nil
}
