package rootfs

import (
	"path"
	"strconv"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"hutch/libcontainer/program"
)

// node is a device node to make.
type node struct {
	element      program.Text
	path         string // clean, absolute
	kind         uint32 // S_IFCHR, S_IFBLK or S_IFIFO
	major, minor uint32
	mode         uint32
	uid, gid     uint32
	host         program.Reg // the host's node, to be bound
}

// nodes are the devices of the configuration, and the default ones that it does
// not name.
//
// Source: runtime-spec config-linux.md "Default Devices".
func (r *Root) nodes() []node {
	var out []node
	if l := r.c.Spec.Linux; l != nil {
		for i := range l.Devices {
			out = append(out, configured(i, &l.Devices[i]))
		}
	}
	for _, d := range [...]struct {
		name         string
		major, minor uint32
	}{{"null", 1, 3}, {"zero", 1, 5}, {"full", 1, 7}, {"random", 1, 8}, {"urandom", 1, 9}, {"tty", 5, 0}} {
		p := "/dev/" + d.name
		if !named(out, p) {
			out = append(out, node{element: program.T("default device"), path: p, kind: unix.S_IFCHR, major: d.major, minor: d.minor, mode: 0o666})
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

func configured(i int, d *specs.LinuxDevice) node {
	n := node{element: program.N("linux.devices[%d]", i), path: destination(d.Path), major: uint32(d.Major), minor: uint32(d.Minor), mode: 0o666}
	switch d.Type {
	case "b":
		n.kind = unix.S_IFBLK
	case "p":
		n.kind, n.major, n.minor = unix.S_IFIFO, 0, 0
	default:
		n.kind = unix.S_IFCHR
	}
	if d.FileMode != nil {
		n.mode = uint32(*d.FileMode) & 0o7777
	}
	if d.UID != nil {
		n.uid = *d.UID
	}
	if d.GID != nil {
		n.gid = *d.GID
	}
	return n
}

// ownDev says whether /dev is the container's: a bind brings its own nodes.
func (r *Root) ownDev() bool {
	for i := range r.c.Spec.Mounts {
		if r.trees[i].dest == "/dev" && r.trees[i].o.bind {
			return false
		}
	}
	return true
}

// openDevices emits the opening of the host's nodes, where they are bound.
func (r *Root) openDevices(b *program.Builder) {
	if !r.ownDev() {
		return
	}
	r.made = r.nodes()
	if !r.c.BindDevices {
		return
	}
	for i := range r.made {
		n := &r.made[i]
		if n.kind == unix.S_IFIFO {
			continue
		}
		b.Element(n.element)
		b.Doing(program.T("open the host's %s, since mknod is not allowed in a user namespace", n.path))
		n.host = treeAt(b, n.path, false)
	}
}

// devices emits the nodes and links of /dev.
func (r *Root) devices(b *program.Builder) {
	if !r.ownDev() {
		return
	}
	b.Element(program.T("default devices"))
	b.Doing(program.T("open /dev of the container"))
	b.Sys(unix.SYS_MKDIRAT, program.Val(r.Fd), b.Str("dev"), program.Imm(0o755)).Ignore()
	r.dev = open(b, r.Fd, "/dev", unix.O_PATH|unix.O_DIRECTORY, inRoot).Fd()
	for i := range r.made {
		r.node(b, &r.made[i])
	}
	b.Element(program.T("default devices"))
	for _, l := range [...][2]string{{"/proc/self/fd", "fd"}, {"/proc/self/fd/0", "stdin"}, {"/proc/self/fd/1", "stdout"}, {"/proc/self/fd/2", "stderr"}} {
		r.link(b, l[0], l[1])
	}
	none := b.Label()
	b.Doing(program.T("link core to /proc/kcore"))
	b.Sys(unix.SYS_FACCESSAT, program.Imm(unix.AT_FDCWD), b.Str("/proc/kcore"), program.Imm(0)).On(0, none)
	b.Sys(unix.SYS_SYMLINKAT, b.Str("/proc/kcore"), program.Val(r.dev), b.Str("core")).On(unix.EEXIST, none)
	b.Bind(none)
	b.Doing(program.T("link ptmx to pts/ptmx"))
	b.Sys(unix.SYS_UNLINKAT, program.Val(r.dev), b.Str("ptmx"), program.Imm(0)).Ignore()
	r.link(b, "pts/ptmx", "ptmx")
}

func (r *Root) link(b *program.Builder, to, name string) {
	there := b.Label()
	b.Doing(program.T("link %s to %s", name, to))
	b.Sys(unix.SYS_SYMLINKAT, b.Str(to), program.Val(r.dev), b.Str(name)).On(unix.EEXIST, there)
	b.Bind(there)
}

// node emits one device. One that is there must be the same.
func (r *Root) node(b *program.Builder, n *node) {
	b.Element(n.element)
	b.Doing(program.T("make %s", n.path))
	dir, name := path.Split(n.path)
	at := r.dev
	if dir != "/dev/" {
		at = r.nodeDir(b, path.Clean(dir))
	}
	if n.host != 0 {
		r.bindNode(b, n, at, name)
		return
	}
	there, done := b.Label(), b.Label()
	dev := unix.Mkdev(n.major, n.minor)
	if n.kind == unix.S_IFIFO {
		dev = 0
	}
	b.Step(program.T("mknod"))
	b.Sys(unix.SYS_MKNODAT, program.Val(at), b.Str(name), program.Imm(n.kind|n.mode), program.Imm(dev)).On(unix.EEXIST, there)
	if n.uid != 0 || n.gid != 0 {
		b.Step(program.T("chown"))
		b.Sys(unix.SYS_FCHOWNAT, program.Val(at), b.Str(name), program.Imm(n.uid), program.Imm(n.gid), program.Imm(unix.AT_SYMLINK_NOFOLLOW))
	}
	b.Jump(done)
	b.Bind(there)
	b.Step(program.T("look at what is there"))
	fd, buf, differs := open(b, at, name, unix.O_PATH|unix.O_NOFOLLOW, inRoot).Fd(), b.Zero(statxSize), b.Label()
	statx(b, fd, buf)
	isNotDevice(b, buf, int64(n.kind), int64(n.major), int64(n.minor), differs)
	b.Jump(done)
	b.Bind(differs)
	b.Step(program.T("%s is there and is another file than device %s: remove it from the image, or mount a tmpfs on /dev", n.path, n.number()))
	b.Fail(unix.EEXIST)
	b.Bind(done)
}

func (n *node) number() string {
	return strconv.Itoa(int(n.major)) + ":" + strconv.Itoa(int(n.minor))
}

// nodeDir emits the making and opening of a directory below the root.
func (r *Root) nodeDir(b *program.Builder, dir string) program.Reg {
	b.Step(program.T("open %s", dir))
	parent := r.Fd
	if dir == "/" {
		return parent
	}
	for i := 1; i <= len(dir); i++ {
		if i < len(dir) && dir[i] != '/' {
			continue
		}
		b.Sys(unix.SYS_MKDIRAT, program.Val(parent), b.Str(path.Base(dir[:i])), program.Imm(0o755)).Ignore()
		parent = open(b, r.Fd, dir[:i], unix.O_PATH|unix.O_DIRECTORY, inRoot).Fd()
	}
	return parent
}

// bindNode emits the bind of the host's node.
func (r *Root) bindNode(b *program.Builder, n *node, at program.Reg, name string) {
	b.Step(program.T("make the mount point"))
	there := b.Label()
	b.Sys(unix.SYS_MKNODAT, program.Val(at), b.Str(name), program.Imm(unix.S_IFREG|0o644), program.Imm(0)).On(unix.EEXIST, there)
	b.Bind(there)
	b.Step(program.T("open the mount point"))
	target := open(b, at, name, unix.O_PATH|unix.O_NOFOLLOW, inRoot|unix.RESOLVE_NO_SYMLINKS).Fd()
	b.Step(program.T("set its options"))
	setattr(b, n.host, false, &unix.MountAttr{Attr_set: unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NOEXEC})
	b.Step(program.T("bind the host's node"))
	attach(b, n.host, target)
}
