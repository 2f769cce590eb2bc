package main

import (
	"os"

	"github.com/hutch-project/hutch/internal/life"
)

var startCommand = command{
	name:    "start",
	usage:   "execute the process of a created container",
	words:   "ID",
	options: []option{{name: "trace", usage: "write a Chrome trace to `FILE`"}},
	do: func(f flags) error {
		if err := protect(); err != nil {
			return err
		}
		id, err := oneWord(f, "start")
		if err != nil {
			return err
		}
		r, err := newRuntime(f)
		if err != nil {
			return err
		}
		return r.Start(id, &life.StartOptions{TraceFile: f.String("trace"), NotifySocket: os.Getenv("NOTIFY_SOCKET")})
	},
}
