package main

import "github.com/hutch-project/hutch/internal/cli"

// table is the whole command line: the parser, the help texts, completion and the manual
// pages read it.
var table = cli.Table{
	Name:    "hutch",
	Version: version,
	Usage:   "run OCI bundles as containers",
	Help: "Hutch takes a bundle, a directory with config.json and a root file system as the runtime " +
		"specification of the Open Container Initiative defines them, and runs it as a container. " +
		"Its command line, formats and exit codes are those of runc.",
	Globals: globals,
	Signals: signalNames,
	Commands: []*cli.Command{
		&createCommand, &startCommand, &runCommand, &execCommand, &stateCommand, &killCommand, &deleteCommand,
		&pauseCommand, &resumeCommand, &checkpointCommand, &restoreCommand, &updateCommand, &mountsCommand, &eventsCommand, &topCommand, &listCommand, &psCommand,
		&specCommand, &featuresCommand, &planCommand, &checkCommand, &infoCommand, &completionCommand, &versionCommand, &helpCommand,
	},
}

var globals = []cli.Flag{
	{Name: "root", Word: cli.Dir, Usage: "`DIR` for the state of containers (default: /run/hutch)"},
	{Name: "log", Word: cli.File, Usage: "`FILE` to append messages to, or journald:NAME or syslog:NAME"},
	{Name: "log-format", Default: "text", Choices: []string{"text", "json"}, Usage: "text or json"},
	{
		Name: "log-level", Default: "warning", Choices: []string{"error", "warning", "debug"},
		Usage: "the least urgent messages to write: error, warning or debug",
	},
	{Name: "debug", Kind: cli.Bool, Usage: "write what helps to find a fault, as --log-level debug"},
	{
		Name: "cgroup-manager", Choices: []string{"cgroupfs", "systemd", "disabled"},
		Usage: "who makes cgroups: cgroupfs (default), systemd or disabled",
	},
	{Name: "systemd-cgroup", Kind: cli.Bool, Usage: "short for --cgroup-manager systemd"},
	{
		Name: "rootless", Default: "auto", Choices: []string{"true", "false", "auto"}, Open: true,
		Usage: "tolerate unusable cgroups: true, false or auto",
	},
	{Name: "version", Alias: "v", Kind: cli.Bool, Usage: "print the version"},
}

// oneID is what the commands want that take a container id alone.
const oneID = "exactly 1 argument, the container id"
