package life

import (
	"fmt"
	"strconv"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/fault"
	"github.com/hutch-project/hutch/internal/host/state"
	"github.com/hutch-project/hutch/internal/mountinfo"
	"github.com/hutch-project/hutch/internal/part/rootfs"
	"github.com/hutch-project/hutch/internal/sys"
)

// sharedRoot is a directory that the root of a container is mounted on in the runtime's own
// mount namespace: the id of the mount that it is on, and what tells it from all others. It is
// the zero value for other containers.
type sharedRoot struct {
	mount uint64
	file  string // as fileID returns it
	top   bool   // it is the root of the mount
}

// askSharedRoot looks at the root of a container that shares the runtime's mount namespace.
func askSharedRoot(b *bundle) (sharedRoot, error) {
	if has(b.spec, specs.MountNamespace) {
		return sharedRoot{}, nil
	}
	fd, err := openRootPath(b.dir, b.rootfs)
	if err != nil {
		return sharedRoot{}, &rootError{b.rootfs, err}
	}
	defer unix.Close(fd)
	root, err := lookAtRoot(fd)
	if i := rootfs.OnRoot(b.spec.Mounts); i >= 0 && err == nil {
		root.file, err = boundOnRoot(i, &b.spec.Mounts[i])
	}
	return root, err
}

// boundOnRoot returns what tells the directory from all others that the mount i, on "/",
// binds: it is what will be found at root.path. Of a new file system nothing is known
// before it is there, so that nobody could tell it from what others put in its place.
func boundOnRoot(i int, m *specs.Mount) (file string, err error) {
	if !rootfs.IsBind(m) {
		return "", fault.New(fault.At("mounts", i), "a new file system on / needs a mount namespace of the container's own",
			`add {"type": "mount"} to linux.namespaces`)
	}
	fd, err := unix.Open(m.Source, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", fault.New(fault.At("mounts", i)+".source", fmt.Sprintf("open the root file system %s: %v", m.Source, err), "")
	}
	defer unix.Close(fd)
	source, err := lookAtRoot(fd)
	return source.file, err
}

// lookAtRoot describes the directory at the descriptor.
//
// Source: statx(2), STATX_MNT_ID (Linux 5.8).
func lookAtRoot(fd int) (sharedRoot, error) {
	var st unix.Statx_t
	if err := unix.Statx(fd, "", unix.AT_EMPTY_PATH|unix.AT_NO_AUTOMOUNT, unix.STATX_INO|unix.STATX_MNT_ID, &st); err != nil {
		return sharedRoot{}, fmt.Errorf("root.path: statx: %w", err)
	}
	return sharedRoot{
		mount: st.Mnt_id,
		file:  idOf(unix.Mkdev(st.Dev_major, st.Dev_minor), st.Ino),
		top:   st.Attributes&unix.STATX_ATTR_MOUNT_ROOT != 0,
	}, nil
}

// removeRoot unmounts the root of a container that shares the runtime's mount
// namespace, with all that is mounted in it. What was looked at is what is unmounted, and
// only if it shows the directory that the container was made with: the owner of the bundle
// may have put a link to a mount of the host in its place.
func removeRoot(rec *state.Record) error {
	if rec.RootMount == 0 {
		return nil
	}
	fd, err := openRootPath(rec.Bundle, rec.Rootfs)
	if err != nil {
		return removeMovedRoot(rec, &rootError{rec.Rootfs, err})
	}
	defer unix.Close(fd)
	root, err := lookAtRoot(fd)
	switch {
	case err != nil:
		return err
	case rec.RootFile != "" && root.file != rec.RootFile:
		return removeMovedRoot(rec, nil)
	case root.mount == rec.RootMount || !root.top:
		return nil
	}
	return unmount(fd, rec.Rootfs)
}

// removeMovedRoot is removeRoot where another directory is at the root's path by now, or none:
// the mount is looked for among those that lie on the same one. Without a note of the
// directory the reason why is returned.
func removeMovedRoot(rec *state.Record, reason error) error {
	if rec.RootFile == "" {
		return reason
	}
	text, err := rootfs.ReadMountInfo(false)
	if err != nil {
		return err
	}
	for _, m := range mountinfo.Parse(text) {
		if uint64(m.Parent) != rec.RootMount {
			continue
		}
		how := &unix.OpenHow{Flags: unix.O_PATH | unix.O_DIRECTORY | unix.O_CLOEXEC, Resolve: unix.RESOLVE_NO_SYMLINKS}
		fd, err := sys.Openat2(unix.AT_FDCWD, m.Point, how)
		if err != nil {
			continue
		}
		if root, err := lookAtRoot(fd); err == nil && root.top && root.mount == uint64(m.ID) && root.file == rec.RootFile {
			err = unmount(fd, m.Point)
			unix.Close(fd)
			return err
		}
		unix.Close(fd)
	}
	return nil
}

// unmount unmounts what is open at fd, and was at the path.
func unmount(fd int, path string) error {
	if err := unix.Unmount("/proc/self/fd/"+strconv.Itoa(fd), unix.MNT_DETACH); err != nil {
		return fmt.Errorf("unmount %s: %w", path, err)
	}
	return nil
}
