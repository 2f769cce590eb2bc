package rootfs

import (
	"path"
	"strconv"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/program"
	"github.com/hutch-project/hutch/internal/program/call"
	"github.com/hutch-project/hutch/internal/program/call/idiom"
)

// node is a device node to make.
type node struct {
	element      program.Text
	path         string // clean, absolute
	kind         uint32 // S_IFCHR, S_IFBLK or S_IFIFO
	major, minor uint32
	mode         uint32
	uid, gid     uint32
	byDefault    bool
	foreign      bool        // belongs to nobody in the container
	stored       string      // its name in the store; empty where it is made in place
	host         program.Reg // detached mount of the host's node, where one is bound
}

// nodes returns the devices of the configuration, and the default ones that it does
// not name.
//
// Source: runtime-spec config-linux.md "Default Devices".
func (r *Root) nodes() []node {
	if !r.ownDev() {
		return nil
	}
	var out []node
	if l := r.c.Spec.Linux; l != nil {
		for i := range l.Devices {
			// /dev/ptmx is always the link to the container's own.
			if n := configured(i, &l.Devices[i]); n.path != "/dev/ptmx" {
				out = append(out, n)
			}
		}
	}
	for _, d := range [...]struct {
		name         string
		major, minor uint32
	}{{"null", 1, 3}, {"zero", 1, 5}, {"full", 1, 7}, {"random", 1, 8}, {"urandom", 1, 9}, {"tty", 5, 0}} {
		p := "/dev/" + d.name
		if !named(out, p) {
			out = append(out, node{element: program.T("linux.devices"), byDefault: true, path: p, kind: unix.S_IFCHR, major: d.major, minor: d.minor, mode: 0o666})
		}
	}
	return out
}

func named(list []node, p string) bool {
	for i := range list {
		if list[i].path == p {
			return true
		}
	}
	return false
}

func configured(i int, dev *specs.LinuxDevice) node {
	n := node{element: program.N("linux.devices[%d]", i), path: destination(dev.Path), major: uint32(dev.Major), minor: uint32(dev.Minor), mode: 0o666}
	switch dev.Type {
	case "b":
		n.kind = unix.S_IFBLK
	case "p":
		n.kind, n.major, n.minor = unix.S_IFIFO, 0, 0 // a fifo is no device
	default:
		n.kind = unix.S_IFCHR
	}
	if dev.FileMode != nil {
		n.mode = uint32(*dev.FileMode) & 0o7777
	}
	if dev.UID != nil {
		n.uid = *dev.UID
	}
	if dev.GID != nil {
		n.gid = *dev.GID
	}
	return n
}

// ownDev reports whether /dev is the container's: a bind brings its own nodes.
func (r *Root) ownDev() bool {
	for i := len(r.mounts) - 1; i >= 0; i-- {
		if r.mounts[i].dest == "/dev" {
			return !r.mounts[i].o.bind
		}
	}
	return true
}

// mountedOn reports whether a mount of the configuration has this destination.
func (r *Root) mountedOn(p string) bool {
	for i := range r.mounts {
		if r.mounts[i].dest == p {
			return true
		}
	}
	return false
}

// devices emits the nodes and links of /dev. The umask is 0.
func (r *Root) devices(b *program.Builder) {
	if !r.ownDev() {
		return
	}
	b = b.Element(program.T("linux.devices"))
	if r.dev == 0 {
		r.openDev(b)
	}
	for i := range r.made {
		r.node(b, &r.made[i])
	}
	for _, l := range [...][2]string{{"/proc/self/fd", "fd"}, {"/proc/self/fd/0", "stdin"}, {"/proc/self/fd/1", "stdout"}, {"/proc/self/fd/2", "stderr"}} {
		r.link(b, l[0], l[1], false)
	}
	none := b.Label()
	call.Faccessat(b.Doing(program.T("look whether there is /proc/kcore")), call.Cwd(), call.PathTo(b, "/proc/kcore"), 0).On(0, none)
	r.link(b, "/proc/kcore", "core", false)
	b.Bind(none)
	r.link(b, "pts/ptmx", "ptmx", true)
}

// openDev emits the opening of the image's own /dev. It must be a directory: what
// is made and removed there would otherwise be made and removed somewhere else.
//
// Source: CVE-2026-41579.
func (r *Root) openDev(b *program.Builder) {
	r.dev = b.RegOf(-1)
	missing, got := b.Label(), b.Label()
	b = b.Doing(program.T("open /dev, which must be a directory of the root file system (no symbolic link)"))
	open(b, r.Fd, "/dev", unix.O_PATH|unix.O_DIRECTORY, plain).To(r.dev).On(unix.ENOENT, missing)
	b.Jump(got)
	b.Bind(missing)
	call.Mkdirat(b.Step(program.T("make it")), call.In(r.Fd), call.PathTo(b, "dev"), 0o755).Ignore()
	open(b, r.Fd, "/dev", unix.O_PATH|unix.O_DIRECTORY, plain).To(r.dev)
	b.Bind(got)
}

// link emits a symbolic link in /dev. One that is there is left alone, or replaced.
func (r *Root) link(b *program.Builder, to, name string, replace bool) {
	if r.mountedOn("/dev/" + name) {
		return
	}
	there, done := b.Label(), b.Label()
	b = b.Doing(program.T("link /dev/%s to %s", name, to))
	make := func() program.Call {
		return call.Symlinkat(b, call.TextOf(b, to), call.In(r.dev), call.PathTo(b, name))
	}
	make().On(unix.EEXIST, there)
	b.Jump(done)
	b.Bind(there)
	if replace {
		call.Unlinkat(b.Step(program.T("remove what is there")), call.In(r.dev), call.PathTo(b, name), 0)
		make()
	}
	b.Bind(done)
}

// node emits one device. One that is there must be the same: "If a file already
// exists at path that does not match the requested device, the runtime MUST
// generate an error."
func (r *Root) node(b *program.Builder, n *node) {
	if n.byDefault && r.mountedOn(n.path) {
		return
	}
	b = b.Element(n.element).Doing(program.T("make %s", n.path))
	dir, name := path.Split(n.path)
	at := r.dev
	if dir != "/dev/" {
		at = r.nodeDir(b, path.Clean(dir))
	}
	if n.stored != "" || n.host != 0 {
		r.bindNode(b, n, at, name)
		return
	}
	there, done := b.Label(), b.Label()
	step := b.Step(program.T("mknod"))
	call.Mknodat(step, call.In(at), call.PathTo(b, name), n.kind|n.mode, unix.Mkdev(n.major, n.minor)).On(unix.EEXIST, there)
	if n.uid != 0 || n.gid != 0 {
		r.own(b, n, at, name)
	}
	b.Jump(done)
	b.Bind(there)
	step = b.Step(program.T("look at what is there"))
	fd := open(step, at, name, unix.O_PATH|unix.O_NOFOLLOW, inRoot).Fd()
	n.mustBe(step, fd)
	b.Bind(done)
}

// own emits the change of owner of a node that was just made. In a directory that
// others may reach the name may by now be another file's, so the file is opened
// and looked at.
func (r *Root) own(b *program.Builder, n *node, at program.Reg, name string) {
	if at == r.dev && r.devOwn {
		step := b.Step(program.T("chown"))
		call.Fchownat(step, call.In(at), call.PathTo(b, name), call.Owner{UID: call.N(n.uid), GID: call.N(n.gid)}, unix.AT_SYMLINK_NOFOLLOW)
		return
	}
	step := b.Step(program.T("open it"))
	fd := open(step, at, name, unix.O_PATH, plain).Fd()
	n.mustBe(step, fd)
	step = b.Step(program.T("chown"))
	call.Fchownat(step, call.In(fd), call.PathTo(b, ""), call.Owner{UID: call.N(n.uid), GID: call.N(n.gid)}, unix.AT_EMPTY_PATH)
}

// mustBe emits the check that the file at fd is the device.
func (n *node) mustBe(b *program.Builder, fd program.Reg) {
	buf, differs, same := b.Zero(idiom.StatxSize), b.Label(), b.Label()
	statx(b, fd, buf)
	isNotDevice(b, buf, int64(n.kind), int64(n.major), int64(n.minor), differs)
	b.Jump(same)
	b.Bind(differs)
	step := b.Step(program.T("%s is there and is another file than %s: remove it from the image, or mount a tmpfs on /dev", n.path, n.what()))
	step.Fail(unix.EEXIST)
	b.Bind(same)
}

func (n *node) what() string {
	switch n.kind {
	case unix.S_IFIFO:
		return "a fifo"
	case unix.S_IFBLK:
		return "block device " + n.number()
	}
	return "character device " + n.number()
}

func (n *node) number() string {
	return strconv.Itoa(int(n.major)) + ":" + strconv.Itoa(int(n.minor))
}

// nodeDir emits the making and opening of a directory below the root. What is mounted there
// may be a directory of the host, in which a link of the image is to have nothing made.
func (r *Root) nodeDir(b *program.Builder, dir string) program.Reg {
	if dir == "/" {
		return r.Fd
	}
	return r.target(b.Step(program.T("open %s", dir)), place{dest: dir, near: true})
}

// bindNode emits the bind of a node of the store or of the host.
func (r *Root) bindNode(b *program.Builder, n *node, at program.Reg, name string) {
	there := b.Label()
	step := b.Step(program.T("make the mount point"))
	call.Mknodat(step, call.In(at), call.PathTo(b, name), unix.S_IFREG|0o644, 0).On(unix.EEXIST, there)
	b.Bind(there)
	step = b.Step(program.T("open the mount point"))
	target := open(step, at, name, unix.O_PATH, plain).Fd()
	tree := r.takeNode(b, n)
	step = b.Step(program.T("bind the node"))
	attach(step, tree, target)
	r.closeUsed(b, tree, target)
}
