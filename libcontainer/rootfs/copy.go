package rootfs

import (
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// copier copies what an image has at the place of a tmpfs with tmpcopyup: files,
// directories and symbolic links with mode and owner. Other files, and extended
// attributes, are left out. Everything is opened by descriptor and name, and no
// link is followed.
type copier struct {
	uid, gid int // of the container's root: others may make nothing in its tmpfs
}

func (c copier) tree(from, to *os.File) error {
	entries, err := from.ReadDir(-1)
	if err != nil {
		return fmt.Errorf("read %s: %w", from.Name(), err)
	}
	for _, e := range entries {
		if err := c.entry(int(from.Fd()), int(to.Fd()), e.Name()); err != nil {
			return fmt.Errorf("copy %s: %w", e.Name(), err)
		}
	}
	return nil
}

func (c copier) entry(from, to int, name string) error {
	var st unix.Stat_t
	if err := unix.Fstatat(from, name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return err
	}
	mode := uint32(st.Mode)
	var err error
	switch mode & unix.S_IFMT {
	case unix.S_IFDIR:
		err = c.dir(from, to, name)
	case unix.S_IFREG:
		err = c.file(from, to, name)
	case unix.S_IFLNK:
		err = c.link(from, to, name)
	default:
		return nil
	}
	if err != nil {
		return err
	}
	if err := unix.Fchownat(to, name, int(st.Uid), int(st.Gid), unix.AT_SYMLINK_NOFOLLOW); err != nil && !errors.Is(err, unix.EPERM) {
		return fmt.Errorf("chown to %d:%d: %w", st.Uid, st.Gid, err)
	}
	if mode&unix.S_IFMT == unix.S_IFLNK {
		return nil
	}
	return unix.Fchmodat(to, name, mode&0o7777, 0)
}

func (c copier) link(from, to int, name string) error {
	buf := make([]byte, unix.PathMax)
	n, err := unix.Readlinkat(from, name, buf)
	if err != nil {
		return err
	}
	return asOwner(c.uid, c.gid, func() error { return unix.Symlinkat(string(buf[:n]), to, name) })
}

func (c copier) dir(from, to int, name string) error {
	if err := asOwner(c.uid, c.gid, func() error { return unix.Mkdirat(to, name, 0o700) }); err != nil {
		return err
	}
	in, err := openBelow(from, name, unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := openBelow(to, name, unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return err
	}
	defer out.Close()
	return c.tree(in, out)
}

func (c copier) file(from, to int, name string) error {
	in, err := openBelow(from, name, unix.O_RDONLY|unix.O_NONBLOCK)
	if err != nil {
		return err
	}
	defer in.Close()
	var out *os.File
	err = asOwner(c.uid, c.gid, func() error {
		out, err = openBelow(to, name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL)
		return err
	})
	if err != nil {
		return err
	}
	defer out.Close()
	_, err = io.Copy(out, in)
	return err
}

func openBelow(dir int, name string, flags int) (*os.File, error) {
	how := &unix.OpenHow{Flags: uint64(flags | unix.O_NOFOLLOW | unix.O_CLOEXEC), Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_XDEV}
	if flags&unix.O_CREAT != 0 {
		how.Mode = 0o600
	}
	fd, err := unix.Openat2(dir, name, how)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), name), nil
}
