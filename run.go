package main

// runOptions are the flags of run. The first ones are create's too.
var runOptions = [...]option{
	{name: "bundle", alias: "b", usage: "`DIR` of config.json (default: the working directory)"},
	{name: "console-socket", usage: "unix socket at `PATH` that takes the terminal's descriptor"},
	{name: "pidfd-socket", usage: "unix socket at `PATH` that takes the pidfd of init"},
	{name: "pid-file", usage: "`FILE` for the process id of init"},
	{name: "no-pivot", kind: boolean, usage: "change the root without pivot_root, for a root on a ramdisk"},
	{name: "no-new-keyring", kind: boolean, usage: "keep the caller's session keyring"},
	{name: "preserve-fds", kind: number, usage: "hand `N` descriptors, from 3 on, to the container"},
	{name: "trace", usage: "write a Chrome trace to `FILE`"},
	{name: "detach", alias: "d", kind: boolean, usage: "return when the process runs; create always does"},
	{name: "keep", kind: boolean, usage: "do not delete the container when its process has ended"},
	{name: "no-subreaper", kind: boolean, usage: "do not become the reaper of orphaned processes"},
}

var runCommand = command{
	name:    "run",
	usage:   "create and start a container, wait for its end, delete it",
	words:   "ID",
	options: runOptions[:],
	do: func(f flags) error {
		if err := protect(); err != nil {
			return err
		}
		o, err := newCreate(f, "run")
		if err != nil {
			return err
		}
		o.Detach, o.Keep, o.NoReaper = f.Bool("detach"), f.Bool("keep"), f.Bool("no-subreaper")
		r, err := newRuntime(f)
		if err != nil {
			return err
		}
		status, err := r.Run(o)
		if err == nil && status != 0 {
			return exitStatus(status)
		}
		return err
	},
}
