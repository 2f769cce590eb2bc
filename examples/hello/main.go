// Hello is the program inside Hutch's default bundle. It prints what a
// container is, as the process in it sees itself: identity, namespaces,
// mounts, limits, capabilities, devices, descriptors, environment.
//
//	hello          print the report
//	hello true     exit 0 at once (a benchmark's empty process)
//	hello sleep N  sleep N seconds, then exit 0
//
// It is built static and imports little, so that its own start costs next to
// nothing beside the container's. Do not use it to judge the soft limit of
// open files: Go's own start-up raises that one to the hard limit.
package main

import (
	"os"
	"strconv"
	"syscall"
	"time"
)

func main() {
	if len(os.Args) > 1 {
		os.Exit(command(os.Args[1], os.Args[2:]))
	}
	var r report
	r.identity()
	r.namespaces()
	r.cgroup()
	r.privileges()
	r.capabilities()
	r.limits()
	r.mounts()
	r.devices()
	r.descriptors()
	r.environment()
	if _, err := os.Stdout.Write(r.text); err != nil {
		os.Exit(1)
	}
}

// command runs a subcommand and returns the exit status.
func command(name string, args []string) int {
	switch {
	case name == "true" && len(args) == 0:
		return 0
	case name == "sleep" && len(args) == 1:
		n, err := strconv.ParseFloat(args[0], 64)
		if err != nil {
			return usage("sleep " + args[0] + ": not a number of seconds")
		}
		time.Sleep(time.Duration(n * float64(time.Second)))
		return 0
	}
	return usage("unknown command " + name)
}

func usage(reason string) int {
	syscall.Write(2, []byte("hello: "+reason+"\nusage: hello [true | sleep SECONDS]\n"))
	return 2
}
