package main

import (
	"os"

	"github.com/hutch-project/hutch/internal/cli"
	"github.com/hutch-project/hutch/internal/life"
)

var checkpointCommand = cli.Command{
	Name:      "checkpoint",
	Usage:     "write the processes of a container down in files",
	Arguments: "ID", Wants: oneID, Min: 1, Max: 1,
	Words: []cli.Word{cli.ID}, States: []string{"running", "paused"},
	Shared: criuFlags,
	Flags: []cli.Flag{
		{Name: "parent-path", Word: cli.Dir, Usage: "`DIR` of the former images of a chain, relative to --image-path"},
		{Name: "leave-running", Kind: cli.Bool, Usage: "let the container run on"},
		{Name: "pre-dump", Kind: cli.Bool, Usage: "write the memory alone, ahead of a later checkpoint, and let the container run on"},
		{Name: "tcp-skip-in-flight", Kind: cli.Bool, Usage: "leave out TCP connections that are being set up"},
		{Name: "link-remap", Kind: cli.Bool, Usage: "write deleted files that are open, by new names for them"},
		{Name: "page-server", Usage: "send the memory to the page server of CRIU at `ADDRESS:PORT`"},
		{Name: "status-fd", Kind: cli.Int, Usage: "write a zero byte to descriptor `N` when the server of lazy pages is ready"},
		{Name: "empty-ns", Kind: cli.List, Usage: "leave out the content of a namespace: network, which always is"},
	},
	Help: "Has CRIU write the processes, the memory and the open files of a container into a directory, from which " +
		"restore brings them back. The container is deleted then, unless it is told to --leave-running or to " +
		"--pre-dump; the hooks poststop run. A checkpoint that fails leaves the container as it was. The root file " +
		"system is not part of a checkpoint, nor is what is bound into the container.",
	Examples: []cli.Example{
		{Line: "hutch checkpoint --pre-dump --image-path pre web1", Does: "copy the memory ahead"},
		{Line: "hutch checkpoint --image-path last --parent-path ../pre web1", Does: "copy what has changed since, and delete it"},
	},
	Do: checkpoint,
}

// criuFlags are the flags that checkpoint and restore both have.
var criuFlags = []cli.Flag{
	{Name: "image-path", Word: cli.Dir, Usage: "`DIR` of the images (default: " + life.DefaultImages + ")"},
	{Name: "work-path", Word: cli.Dir, Usage: "`DIR` of CRIU's logs (default: that of the images)"},
	{Name: "tcp-established", Kind: cli.Bool, Usage: "keep TCP connections"},
	{Name: "ext-unix-sk", Kind: cli.Bool, Usage: "allow unix sockets that are connected with processes outside"},
	{Name: "shell-job", Kind: cli.Bool, Usage: "allow a terminal of the caller's"},
	{Name: "file-locks", Kind: cli.Bool, Usage: "keep file locks"},
	{Name: "lazy-pages", Kind: cli.Bool, Usage: "copy the memory when it is used"},
	{Name: "auto-dedup", Kind: cli.Bool, Usage: "remove memory from former images of the chain that is in later ones"},
	{
		Name: "manage-cgroups-mode", Choices: []string{"soft", "full", "strict", "ignore", "none", "props"}, // life.CgroupModes
		Usage: "what is done with cgroups and their properties: soft (default), full, strict, ignore, none or props",
	},
	{
		Name: "network-lock", Choices: []string{"iptables", "nftables", "skip"}, // life.NetworkLocks
		Usage: "how packets are kept out: iptables, nftables or skip (default: CRIU's)",
	},
}

func checkpoint(line *cli.Line) error {
	r, err := newRuntime(line)
	if err != nil {
		return err
	}
	status := -1
	if line.IsSet("status-fd") {
		status = line.Int("status-fd")
	}
	return r.Checkpoint(line.Words[0], &life.DumpOptions{
		CheckpointOptions: criuOptions(line),
		ParentPath:        line.String("parent-path"), PageServer: line.String("page-server"), StatusFd: status,
		PreDump: line.Bool("pre-dump"), LeaveRunning: line.Bool("leave-running"),
		TCPSkipInFlight: line.Bool("tcp-skip-in-flight"), LinkRemap: line.Bool("link-remap"),
	})
}

// criuOptions returns what the shared flags ask for.
func criuOptions(l *cli.Line) life.CheckpointOptions {
	return life.CheckpointOptions{
		ImagePath: l.String("image-path"), WorkPath: l.String("work-path"),
		TCPEstablished: l.Bool("tcp-established"), ExtUnixSockets: l.Bool("ext-unix-sk"), ShellJob: l.Bool("shell-job"),
		FileLocks: l.Bool("file-locks"), LazyPages: l.Bool("lazy-pages"), AutoDedup: l.Bool("auto-dedup"),
		ManageCgroups: l.String("manage-cgroups-mode"), NetworkLock: l.String("network-lock"), EmptyNS: l.List("empty-ns"),
		Path: os.Getenv("PATH"),
	}
}
