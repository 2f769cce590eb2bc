package inspect

import (
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/check"
	"github.com/hutch-project/hutch/internal/fault"
	"github.com/hutch-project/hutch/internal/host/exefile"
	"github.com/hutch-project/hutch/internal/part/process"
	"github.com/hutch-project/hutch/internal/part/rootfs"
	"github.com/hutch-project/hutch/internal/sys"
)

// root inspects the directory at root.path.
func (r *Report) root() {
	element := "root.path"
	dir := r.x.Rootfs
	if i := rootfs.OnRoot(r.spec.Mounts); i >= 0 && dir != "" { // which takes the place of that
		dir = rootfs.Base(dir, r.spec.Mounts)
		if real, err := filepath.EvalSymlinks(dir); err == nil { // as a bind's source may be one
			dir = real
		}
		element, r.x.Rootfs = fault.At("mounts", i)+".source", dir
	}
	if dir == "" {
		return
	}
	var st unix.Stat_t
	switch err := unix.Lstat(dir, &st); {
	case err != nil:
		r.errorf(element, "name the directory of the root file system, from that of config.json",
			"open the root file system %s: %v", dir, err)
		r.x.Rootfs = ""
		return
	case st.Mode&unix.S_IFMT == unix.S_IFLNK:
		real, _ := filepath.EvalSymlinks(dir)
		r.errorf(element, "write "+real+" in root.path",
			"%s is a symbolic link, which the root file system must not be", dir)
		r.x.Rootfs = real
		return
	case st.Mode&unix.S_IFMT != unix.S_IFDIR:
		r.errorf(element, "unpack it to a directory", "%s is no directory", dir)
		r.x.Rootfs = ""
		return
	}
	if err := unix.Faccessat(unix.AT_FDCWD, dir, unix.X_OK, unix.AT_EACCESS); err != nil {
		r.errorf(element, "let the caller pass the directory and those above it",
			"open the root file system %s: %v", dir, err)
	}
	if r.joinsUser() || r.namespace(specs.UserNamespace) == nil {
		return
	}
	if l := r.linux(); !isMapped(l.UIDMappings, st.Uid) || !isMapped(l.GIDMappings, st.Gid) {
		r.warnf(element, "give it to an id of the mappings, or map that one",
			"%s is of user %d and group %d of the host, which the container's user namespace "+
				"does not map: its files are nobody's there", dir, st.Uid, st.Gid)
	}
}

// joinsUser reports whether the container joins a user namespace, with mappings of its own.
func (r *Report) joinsUser() bool {
	n := r.namespace(specs.UserNamespace)
	return n != nil && n.Path != ""
}

// isMapped reports whether an id of the host is one of the container's.
func isMapped(list []specs.LinuxIDMapping, id uint32) bool {
	return slices.ContainsFunc(list,
		func(m specs.LinuxIDMapping) bool { return id >= m.HostID && id-m.HostID < m.Size })
}

// under reports whether a mount of the configuration covers what is at the path in the
// container, so that the root file system does not tell what that is.
func (r *Report) under(name string) bool {
	return slices.ContainsFunc(r.spec.Mounts[rootfs.OnRoot(r.spec.Mounts)+1:], func(m specs.Mount) bool {
		dest := path.Clean("/" + m.Destination)
		return name == dest || strings.HasPrefix(name, strings.TrimSuffix(dest, "/")+"/")
	})
}

// stat returns what is at the path in the root file system, with its links as the container
// sees them.
func (r *Report) stat(name string) (st unix.Stat_t, err error) {
	dir, err := unix.Open(r.x.Rootfs, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return st, err
	}
	defer unix.Close(dir)
	fd, err := sys.OpenInRoot(dir, name)
	if err != nil {
		return st, err
	}
	defer unix.Close(fd)
	return st, unix.Fstat(fd, &st)
}

// program inspects process.cwd and the file of process.args[0].
func (r *Report) program() {
	proc := r.spec.Process
	if proc == nil || r.x.Rootfs == "" {
		return
	}
	if proc.Terminal {
		r.add(Note, "process.terminal",
			"create and run --detach need --console-socket for a terminal", "")
	}
	r.rlimits()
	if check.IsAbsolute(proc.Cwd) && !r.under(path.Clean(proc.Cwd)) {
		st, err := r.stat(proc.Cwd)
		if errors.Is(err, unix.ENOTDIR) || err == nil && st.Mode&unix.S_IFMT != unix.S_IFDIR {
			r.errorf("process.cwd", "name a directory of the root file system",
				"%s is no directory", proc.Cwd)
		}
	}
	if len(proc.Args) > 0 && proc.Args[0] != "" {
		r.executable(proc)
	}
}

// executable looks for the program, as the container would.
func (r *Report) executable(p *specs.Process) {
	const element = "process.args[0]"
	name, unsure := p.Args[0], false
	for _, at := range process.Candidates(name, p.Cwd, p.Env) {
		if r.under(at) {
			unsure = true
			continue
		}
		st, err := r.stat(at)
		if err == nil {
			err = runnable(&st)
		}
		switch {
		case err == nil:
			if !unsure {
				r.runs(element, at)
			}
			return
		case strings.Contains(name, "/"):
			r.errorf(element, "name a program of the root file system "+r.x.Rootfs,
				"exec: %q: %s: %v", name, at, err)
			return
		}
	}
	if !unsure {
		r.errorf(element,
			"name a program of the root file system "+r.x.Rootfs+", or its directory in the PATH of process.env",
			"exec: %q: executable file not found in $PATH", name)
	}
}

// runnable returns an error for a file that nobody can execute.
func runnable(st *unix.Stat_t) error {
	switch {
	case st.Mode&unix.S_IFMT == unix.S_IFDIR:
		return errors.New("is a directory")
	case st.Mode&unix.S_IFMT != unix.S_IFREG:
		return errors.New("is no regular file")
	case st.Mode&0o111 == 0:
		return errors.New("permission denied: the file has no x bit")
	}
	return nil
}

// runs finds what keeps a program from running: its machine, its interpreter.
func (r *Report) runs(element, at string) {
	problem, foreign := exefile.Inspect(r.x.Rootfs, at)
	switch {
	case problem == "":
	case foreign && r.host.binfmt:
		r.warnf(element, "", "exec: %q: %s, and needs a handler of binfmt_misc", at, problem)
	default:
		remedy := "give the root file system what is missing"
		if foreign {
			remedy = "take an image for this machine"
		}
		r.errorf(element, remedy, "exec: %q: %s", at, problem)
	}
}

// rlimits finds those that the caller may not raise.
func (r *Report) rlimits() {
	if r.host.raises {
		return
	}
	for i, l := range r.spec.Process.Rlimits {
		if hard, ok := r.host.limit(l.Type); ok && l.Hard > hard {
			r.errorf(fault.At("process.rlimits", i)+".hard",
				fmt.Sprintf("lower it to %d, or run with CAP_SYS_RESOURCE", hard),
				"%d is above the caller's own %s of %d, and only CAP_SYS_RESOURCE raises it", l.Hard, l.Type, hard)
		}
	}
}

// mounts inspects the sources and the mount points.
func (r *Report) mounts() {
	onRoot := rootfs.OnRoot(r.spec.Mounts)
	for i := range r.spec.Mounts {
		mount := &r.spec.Mounts[i]
		if i < onRoot { // it is not made
			continue
		}
		if mount.Destination == "" || slices.Contains(mount.Options, "remount") {
			continue
		}
		dir := true
		switch {
		case i == onRoot && rootfs.IsBind(mount): // told of already
			continue
		case rootfs.IsBind(mount) && mount.Source != "":
			var ok bool
			if dir, ok = r.source(i, mount); !ok {
				continue
			}
		case rootfs.IsBind(mount), mount.Type == "", mount.Type == "bind":
			continue
		default:
			r.fileSystem(i, mount)
		}
		r.mountPoint(i, mount, dir)
	}
}

// source reports whether what a bind shows is there, and is a directory.
func (r *Report) source(i int, m *specs.Mount) (dir, ok bool) {
	if r.x.Rootfs != "" && strings.HasPrefix(m.Source, r.x.Rootfs+"/") {
		return false, false // an earlier mount of the container may bring it
	}
	var st unix.Stat_t
	if err := unix.Stat(m.Source, &st); err != nil {
		r.errorf(fault.At("mounts", i)+".source",
			"make it, or name another file or directory; a relative path is from the bundle",
			"bind %s on %s: open source %s: %v", m.Source, m.Destination, m.Source, err)
		return false, false
	}
	return st.Mode&unix.S_IFMT == unix.S_IFDIR, true
}

// mountPoint inspects the place of a mount in the root file system.
func (r *Report) mountPoint(i int, m *specs.Mount, dir bool) {
	at := path.Clean("/" + m.Destination)
	if r.x.Rootfs == "" || at == "/" {
		return
	}
	below := slices.ContainsFunc(r.spec.Mounts[rootfs.OnRoot(r.spec.Mounts)+1:i], func(e specs.Mount) bool {
		return strings.HasPrefix(at, path.Clean("/"+e.Destination)+"/")
	})
	if below {
		return
	}
	element := fault.At("mounts", i) + ".destination"
	st, err := r.stat(at)
	switch isDir := st.Mode&unix.S_IFMT == unix.S_IFDIR; {
	case err == nil && isDir == dir:
	case err == nil && dir:
		r.errorf(element, "name a directory",
			"a directory is mounted on %s, which is a file in the root file system", at)
	case err == nil:
		r.errorf(element, "name a file",
			"a file is mounted on %s, which is a directory in the root file system", at)
	case errors.Is(err, unix.ENOTDIR):
		r.errorf(element, "name another place", "%s is below a file of the root file system", at)
	case errors.Is(err, unix.ENOENT):
		r.makes(element, at)
	}
}

// makes inspects whether a mount point that is missing can be made.
func (r *Report) makes(element, at string) {
	var fs unix.Statfs_t
	if err := unix.Statfs(r.x.Rootfs, &fs); err == nil && fs.Flags&unix.ST_RDONLY != 0 {
		r.errorf(element, "make "+at+" in the root file system before it is mounted read-only",
			"the mount point %s is missing, and the file system of %s is read-only", at, r.x.Rootfs)
		return
	}
	for parent := path.Dir(at); ; parent = path.Dir(parent) {
		st, err := r.stat(parent)
		if err != nil && parent != "/" {
			continue
		}
		if err == nil && r.host.user && st.Uid != r.host.uid && st.Mode&0o022 == 0 {
			r.errorf(element, "make "+at+" in the root file system, or give that to the caller",
				"the mount point %s is missing, and %s is user %d's", at, parent, st.Uid)
		}
		return
	}
}

// hooks inspects the programs of hooks.
func (r *Report) hooks() {
	h := r.spec.Hooks
	if h == nil {
		return
	}
	//lint:ignore SA1019 prestart is deprecated, but engines use it
	lists := [...][]specs.Hook{h.Prestart, h.CreateRuntime, h.CreateContainer, h.StartContainer,
		h.Poststart, h.Poststop}
	for i, list := range lists {
		kind := [...]string{"prestart", "createRuntime", "createContainer", "startContainer",
			"poststart", "poststop"}[i]
		for j := range list {
			r.hook(fault.At("hooks."+kind, j)+".path", kind, list[j].Path)
		}
	}
}

func (r *Report) hook(element, kind, name string) {
	if !check.IsAbsolute(name) {
		return // told of already
	}
	var st unix.Stat_t
	var err error
	remedy := "name a program of the host"
	if kind == "startContainer" {
		if r.x.Rootfs == "" || r.under(path.Clean(name)) {
			return
		}
		st, err = r.stat(name)
		remedy = "name a program of the root file system"
	} else {
		err = unix.Stat(name, &st)
	}
	if err == nil {
		err = runnable(&st)
	}
	if err == nil {
		return
	}
	severity := Error
	if kind == "poststop" { // whose failure delete tolerates
		severity = Warning
	}
	r.add(severity, element, fmt.Sprintf("run %s: %v", name, err), remedy)
}
