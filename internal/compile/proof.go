package compile

import (
	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/part/rootfs"
	"github.com/hutch-project/hutch/internal/part/terminal"
	"github.com/hutch-project/hutch/internal/part/user"
	"github.com/hutch-project/hutch/internal/program"
	"github.com/hutch-project/hutch/internal/verify"
)

// Expect returns what the program out, compiled from in, is to be proven against.
func (in *Input) Expect(out *Output) *verify.Expect {
	expect := &verify.Expect{
		Kind: verify.Init, Spec: in.Spec, Rootfs: in.Rootfs, NoPivot: in.NoPivot,
		Chrooted: in.Host.Chrooted && out.Namespaces.Made(unix.CLONE_NEWNS),
		Userns:   out.Namespaces.Own(unix.CLONE_NEWUSER), InParent: in.Host.Privileged, Nested: in.Host.Nested,
		Opens: in.Host.User && out.Namespaces.Made(unix.CLONE_NEWUSER) && !out.Namespaces.Joins(), CloneFlags: out.CloneFlags,
		LastCap: in.Host.LastCap, HeldCaps: in.Host.HeldCaps, Preserved: in.Preserved,
		ProcOfPidNS: in.Host.procFromOutside(), NotifyDir: in.NotifyDir, KeepGroups: in.KeepGroups, Attended: !in.Unattended, Keyring: in.Keyring != "", KeyringName: in.Keyring, ListenFds: in.ListenFds,
		Links: in.Links, LinkTags: out.Root.LinkTags(),
		Go: out.Go, Result: out.Result, Tasks: out.Tasks, Tags: tags(!in.Unattended),
	}
	for _, m := range in.HostMounts {
		reveals := m.Root == "/" && (m.Type == "proc" || m.Type == "sysfs")
		expect.HostMounts = append(expect.HostMounts, verify.HostMount{ID: m.ID, Parent: m.Parent, Point: m.Point, Reveals: reveals})
	}
	expectHost(expect, &in.Host, linux(in.Spec), in.RawFilter)
	if c := in.Host.Cgroup; c != nil {
		if c.Dir != "" {
			expect.Cgroups = append(expect.Cgroups, c.Dir)
		}
		for i := range c.Hierarchies {
			if dir := c.Hierarchies[i].Dir; dir != "" {
				expect.Cgroups = append(expect.Cgroups, dir)
			}
		}
	}
	return expect
}

// Expect returns what the program that was compiled from in, with the registers for in.Tasks,
// is to be proven against.
func (in *ExecInput) Expect(tasks []program.Reg) *verify.Expect {
	e := &verify.Expect{
		Kind: verify.Exec, Spec: &specs.Spec{Process: in.Process, Linux: in.Linux},
		Userns:  in.Init.Flags&unix.CLONE_NEWUSER != 0,
		LastCap: in.Host.LastCap, HeldCaps: in.Host.HeldCaps, Preserved: in.Preserved, Tasks: tasks,
		Reads: in.Names, Join: in.joined().Flags, Pid: in.Init.Pid, Pidfd: in.Init.Pidfd, Keyring: in.OwnKeyring, KeyringName: in.Keyring, Serial: in.Serial, KeepGroups: in.KeepGroups, OwnRoot: in.Init.OwnRoot, InitCwd: in.Init.InitCwd, Tags: tags(true),
	}
	expectHost(e, &in.Host, in.Linux, in.RawFilter)
	return e
}

func expectHost(e *verify.Expect, h *Host, l *specs.Linux, raw string) {
	e.Ignored = h.Ignored
	for i, std := range h.Std {
		e.Std[i] = verify.Std{Open: std.Open, Null: std.Null}
	}
	if f, err := filter(membersOf(l).Seccomp, raw); err == nil && f != nil {
		e.Filter, e.Code, e.Flags, e.Notify = true, sockFilters(f), uint64(f.Flags), f.Notify
	}
}

func tags(attended bool) verify.Tags {
	return verify.Tags{
		Born: Born, Joined: Joined, Hooks: Hooks, Offsets: TimeOffsets, Ready: Ready, Loading: Loading, Executing: Executing, HookBegins: HookBegins,
		Answered: func(tag uint32) bool {
			switch tag {
			case Born:
				return attended
			case Joined, TimeOffsets, Hooks, Ready, Loading, user.HomeTag, user.NamesTag, terminal.ConsoleTag:
				return true
			}
			return rootfs.IsTag(tag)
		},
		Same: func(wait, told uint32) bool {
			switch {
			case wait == Ready && told == Loading:
				return true
			case told >= rootfs.TargetTag && told < rootfs.CopyUpTag:
				return wait&^rootfs.AsDir == told&^rootfs.AsDir
			}
			return false
		},
	}
}
