package process

import (
	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/inherited"
	"github.com/hutch-project/hutch/internal/program"
	"github.com/hutch-project/hutch/internal/program/call"
	"github.com/hutch-project/hutch/internal/program/call/idiom"
)

// StdFile is what the runtime knows of one of its standard descriptors, which the
// process inherits.
type StdFile struct {
	Open   bool
	Null   bool   // the null device
	Device bool   // another device, or a terminal
	UID    uint32 // owner, in the runtime's user namespace

	Pipe, File bool // a pipe; a regular file or the null device
	Dev, Inode uint64
}

// nullMajor and nullMinor are the device number of /dev/null.
const (
	nullMajor = 1
	nullMinor = 3
)

// OpenNull emits, in the parent section, the opening of the null device in place of
// those standard descriptors that are the host's, and returns its descriptor, 0 when
// there are none. By /proc/self/fd a process could change mode, owner and times of the
// host's inode; this one is on a read-only mount, which forbids it and lets the device be
// read and written all the same.
//
// A caller that may not make mounts may not change the inode either: it keeps what it
// has. Where the host has no null device, as an initramfs, one is made in a file system of
// its own. Any other error fails, since it would leave the host's inode to the container.
func OpenNull(b *program.Builder, std [3]StdFile) program.Reg {
	if !std[0].Null && !std[1].Null && !std[2].Null {
		return 0
	}
	var fd program.Reg
	b.InParent(func() {
		b := b.Element(program.T("process"))
		b = b.Doing(program.T("open /dev/null for the standard descriptors, through a read-only mount"))
		cloned, opened, none, done := b.Label(), b.Label(), b.Label(), b.Label()
		// With what is mounted below: where devices cannot be made, null is a bind mount.
		clone := func() program.Call {
			return call.OpenTree(b, call.Cwd(), call.PathTo(b, "/dev"), unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_RECURSIVE)
		}
		tree := clone().Ignore().Fd()
		b.If(tree, program.Ge, 0, cloned)
		b.IfErrno(tree, unix.ENOENT, none)
		clone().To(tree).On(unix.EPERM, done) // else fails as it did
		b.Bind(cloned)
		attr := &unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY | unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NOEXEC, Propagation: unix.MS_PRIVATE}
		call.MountSetattr(b, call.In(tree), call.PathTo(b, ""), unix.AT_EMPTY_PATH|unix.AT_RECURSIVE, attr)
		fd = openNullIn(b, tree).On(unix.ENOENT, none).Fd()
		b.Jump(opened)
		b.Bind(none)
		makeNull(b, fd)
		b.Bind(opened)
		proveNull(b, fd, done)
		b.Bind(done)
	})
	return fd
}

// openNullIn emits the opening of the file null in a file system.
func openNullIn(b *program.Builder, dir program.Reg) program.Call {
	how := unix.OpenHow{Flags: unix.O_RDWR | unix.O_CLOEXEC, Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS}
	return call.Openat2(b, call.In(dir), call.PathTo(b, "null"), how)
}

// makeNull emits the making of a null device in a new file system, and its opening through a
// read-only mount.
func makeNull(b *program.Builder, fd program.Reg) {
	b = b.Doing(program.T("make a null device for the standard descriptors, since the host has no /dev/null"))
	ctx := call.Fsopen(b.Step(program.T("fsopen tmpfs")), "tmpfs", unix.FSOPEN_CLOEXEC).Fd()
	call.FsconfigCreate(b.Step(program.T("create the file system tmpfs")), call.In(ctx))
	step := b.Step(program.T("fsmount tmpfs"))
	tree := call.Fsmount(step, call.In(ctx), unix.FSMOUNT_CLOEXEC, unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NOEXEC).Fd()
	step = b.Step(program.T("it takes CAP_MKNOD of the initial user namespace"))
	call.Mknodat(step, call.In(tree), call.PathTo(b, "null"), unix.S_IFCHR|0o666, unix.Mkdev(nullMajor, nullMinor))
	// The umask here is the caller's.
	call.Fchmodat(b.Step(program.T("chmod")), call.In(tree), call.PathTo(b, "null"), call.N(0o666))
	// After the node, which could not be made otherwise.
	step = b.Step(program.T("make the mount read-only"))
	call.MountSetattr(step, call.In(tree), call.PathTo(b, ""), unix.AT_EMPTY_PATH, &unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY})
	openNullIn(b.Step(program.T("open it")), tree).To(fd)
}

// proveNull emits the check that a file is the null device, and goes on at proven.
func proveNull(b *program.Builder, fd program.Reg, proven program.Label) {
	not, buf := b.Label(), b.Zero(idiom.StatxSize)
	call.Statx(b, call.In(fd), call.PathTo(b, ""), unix.AT_EMPTY_PATH, unix.STATX_TYPE, buf)
	word := func(off uint32) program.Mem { return program.Mem{Off: buf.Off + off, Len: 4} }
	b.IfWord(idiom.FileMode(buf), unix.S_IFMT, program.Ne, unix.S_IFCHR, not)
	b.IfWord(word(idiom.StatxMajor), -1, program.Ne, nullMajor, not)
	b.IfWord(word(idiom.StatxMinor), -1, program.Eq, nullMinor, proven)
	b.Bind(not)
	b.Step(program.T("it is not the null device 1:3")).Fail(unix.ENODEV)
}

// Stdio emits the hand-over of the standard descriptors to the process's user, so that
// it may open them again by /proc/self/fd. The null device, which is everybody's, is
// replaced by null, see OpenNull. What cannot be handed over stays as it is: a file of an
// unmapped user or on a read-only file system. Devices and the caller's terminal stay
// the host's, which others open, too. The group stays, since a mount may want a certain
// one.
func Stdio(b *program.Builder, proc *specs.Process, std [3]StdFile, null program.Reg, userns bool) {
	b = b.Element(program.T("process.user.uid"))
	for fd, f := range std {
		switch {
		case f.Null:
			b := b.Doing(program.N("put the null device of a read-only mount on descriptor %d", fd))
			none := b.Label()
			b.If(null, program.Lt, 0, none)
			call.Dup3(b, call.In(null), call.As(fd), 0)
			b.Bind(none)
		case f.owned() && (userns || f.UID != proc.User.UID):
			b := b.Doing(program.N("hand descriptor %d over to the user", fd))
			call.Fchown(b, call.Number(fd), call.Owner{UID: call.N(proc.User.UID), GID: call.N(-1)}).Ignore()
		}
	}
}

// CloseOthers emits the closing of all descriptors but the standard ones, the preserved
// numbers, the socket to the parent and those that the registers keep hold when the
// child is made. It comes before the kernel resolves any name of the image's choice, and
// before a process of the container can see this one: /proc/self/fd/7/../.. must not lead
// to the host's files, be it the program, its #! interpreter or its ELF interpreter, and
// close-on-exec comes too late for that.
//
// Source: close_range(2); CVE-2024-21626, CVE-2019-5736.
func CloseOthers(b *program.Builder, preserved []int, keep ...program.Reg) {
	b = b.Element(program.T("process")).Doing(program.T("close all other descriptors"))
	b.CloseExcept(preserved, keep...)
}

// Preserved returns those of the n descriptors behind the standard ones that the caller
// was started with.
func Preserved(n int) []int {
	var out []int
	for fd := inherited.First; fd < inherited.First+n; fd++ {
		if inherited.Is(fd) {
			out = append(out, fd)
		}
	}
	return out
}
