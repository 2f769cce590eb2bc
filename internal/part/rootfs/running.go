package rootfs

import (
	"path"
	"slices"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/fault"
	"github.com/hutch-project/hutch/internal/program"
	"github.com/hutch-project/hutch/internal/program/call"
)

// A container that runs gets a mount, or loses one, by a process that is in its namespaces.
// Its processes are at work meanwhile, so nothing is taken for granted that a program of
// init's knows of its own mounts: each target is looked for and proven anew.

// CheckRunning checks mounts that a container which runs is to get, or to lose. userns
// is true where the container has a user namespace of its own.
func CheckRunning(mounts []specs.Mount, add, userns bool) error {
	for i := range mounts {
		if err := checkRunning(i, &mounts[i], add, userns); err != nil {
			return err
		}
	}
	return nil
}

func checkRunning(i int, mnt *specs.Mount, add, userns bool) error {
	at := fault.At("mounts", i)
	switch dest := destination(mnt.Destination); {
	case dest == "/" || dest == "/proc" || strings.HasPrefix(dest, "/proc/") || dest == "/sys" || dest == "/dev":
		return fault.New(at+".destination", fault.Quote(mnt.Destination)+" is of the container's making", "name another directory")
	case !add:
	case slices.Contains(mnt.Options, "remount"):
		return fault.New(at+".options", "a remount is no mount to add", "remove the mount and add it with other options")
	case IsBind(mnt):
	case mnt.Type == "proc", mnt.Type == "sysfs", mnt.Type == "cgroup", mnt.Type == "cgroup2":
		return fault.New(at+".type", fault.Quote(mnt.Type)+" is not for a container that runs", "have it in config.json")
	case slices.Contains(mnt.Options, "tmpcopyup"):
		return fault.New(at+".options", "tmpcopyup is not for a container that runs", "have it in config.json")
	case mnt.Type == "overlay" && userns:
		return fault.New(at+".type", fault.Quote(mnt.Type)+" is not for a container that runs in a user namespace",
			"mount it on the host, and bind that")
	}
	return nil
}

// namesFiles reports whether a file system of the type may be made of files: a block device
// as the source, or directories in the options. These are the host's, as in config.json,
// and a container that runs would put its own in their places: a device node, or a link to
// what is masked. So it is made outside. Of the others none is the host's: they are of
// memory, or of the container's own namespaces.
func namesFiles(kind string) bool {
	switch kind {
	case "tmpfs", "ramfs", "hugetlbfs", "devpts", "mqueue", "nfs", "nfs4", "cifs", "smb3", "ceph":
		return false
	}
	return true
}

// OpenRunning emits, in the parent section, the opening of the sources of binds that a
// container which runs is to get. Without SourcesInParent CloneSources opens them.
func (r *Root) OpenRunning(b *program.Builder) {
	r.prop = propagation{flag: unix.MS_SLAVE, recursive: true}
	r.parseMounts(b)
	if r.c.SourcesInParent {
		b.InParent(func() { r.openBinds(b) })
	}
}

// CloneSources emits, in the child, which is in a copy of the host's mount namespace that belongs
// to the container's user namespace, the opening of the sources of binds, or what Relock emits
// where the parent section has opened them.
func (r *Root) CloneSources(b *program.Builder) {
	if r.c.SourcesInParent {
		r.Relock(b)
	} else {
		r.openBinds(b)
	}
}

// AddRunning emits, in the child, which is in the container's namespaces, the mounts.
func (r *Root) AddRunning(b *program.Builder) {
	r.enterRoot(b)
	call.Umask(b.Element(program.T("mounts")).Doing(program.T("set the umask for what is made")), call.N(0))
	for i := range r.mounts {
		r.mount(b, i)
		r.done = i + 1
	}
	r.finishReadonly(b)
}

// RemoveRunning emits, in the child, the unmounting of mounts, the last first. A mount is
// named in the directory that it lies in, which no symbolic link leads to: a program of the
// container must not choose what goes.
func (r *Root) RemoveRunning(b *program.Builder) {
	r.enterRoot(b)
	for i := len(r.c.Spec.Mounts) - 1; i >= 0; i-- {
		dir, name := path.Split(destination(r.c.Spec.Mounts[i].Destination))
		b := b.Element(program.N("mounts[%d]", i)).Doing(program.T("unmount %s", r.c.Spec.Mounts[i].Destination))
		step := b.Step(program.T("open its directory, which no symbolic link may lead to"))
		fd := open(step, r.Fd, path.Clean(dir), unix.O_PATH|unix.O_DIRECTORY, plain).Fd()
		call.Fchdir(step, call.In(fd))
		step = b.Step(program.T("unmount it (is it a mount, and the last there?)"))
		call.Umount2(step, call.PathTo(b, name), unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW)
		call.Close(b, call.In(fd))
	}
}

// enterRoot emits the opening of the root of the container that the process is in.
func (r *Root) enterRoot(b *program.Builder) {
	step := b.Element(program.T("mounts")).Doing(program.T("open the root of the container"))
	r.Fd = call.Openat(step, call.Cwd(), call.PathTo(b, "/"), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC).Fd()
}
