package selfexe

import (
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/seat"
	"github.com/hutch-project/hutch/internal/trust"
)

// Proof is why an executable cannot be written from a container.
type Proof int

const (
	// None: it is not proven.
	None Proof = iota
	// ReadOnlySuperblock: its file system is read-only, not only this mount.
	// That is so for an overlay without an upper directory, an erofs or
	// squashfs, or an image that is mounted read-only.
	ReadOnlySuperblock
	// SealedMemfd: it is a memfd whose seals forbid all change.
	SealedMemfd
	// Verity: the kernel checks its content against a hash, and refuses to open
	// it for writing.
	Verity
	// Foreign: it is root's alone, and the caller is not root, so that no user
	// namespace that the caller can make maps its owner.
	Foreign
)

func (p Proof) String() string {
	switch p {
	case ReadOnlySuperblock:
		return "read-only superblock"
	case SealedMemfd:
		return "sealed memfd"
	case Verity:
		return "fs-verity"
	case Foreign:
		return "owned by root"
	}
	return "none"
}

const self = "/proc/self/exe"

// Prove returns a proof that the executable of this process is unwritable for any container,
// None where it finds none.
func Prove() (Proof, error) {
	if readOnly(unix.AT_FDCWD, self) {
		return ReadOnlySuperblock, nil
	}
	var st unix.Statx_t
	if err := unix.Statx(unix.AT_FDCWD, self, unix.AT_STATX_DONT_SYNC, 0, &st); err != nil {
		return None, fmt.Errorf("statx %s: %w", self, err)
	}
	if st.Attributes_mask&st.Attributes&unix.STATX_ATTR_VERITY != 0 {
		return Verity, nil
	}
	if seat.User() && foreign(st.Uid, st.Mode) && !served(self) {
		return Foreign, nil
	}
	fd, err := unix.Open(self, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err == unix.EACCES {
		return None, nil // may be executed, not read: no memfd of ours
	}
	if err != nil {
		return None, fmt.Errorf("open %s: %w", self, err)
	}
	defer unix.Close(fd)
	if sealed(fd) {
		return SealedMemfd, nil
	}
	return None, nil
}

// foreign reports whether a file of the owner uid with that mode is out of reach
// for a user without privilege, and so for root of a user namespace of theirs.
//
// Source: user_namespaces(7), "Capabilities": those of a user namespace count for
// files whose owner and group it maps.
func foreign(uid uint32, mode uint16) bool { return uid == 0 && mode&0o022 == 0 }

// served reports whether the file is one of a FUSE server, who decides whose it is and who may
// write to it.
func served(name string) bool {
	var fs unix.Statfs_t
	return unix.Statfs(name, &fs) != nil || trust.IsFUSE(&fs)
}

// readOnly reports whether the superblock of the file name, which is being
// executed, is read-only.
//
// statfs cannot tell: it mixes the flags of the superblock with those of the
// mount. An open for writing can: it meets the superblock first (EROFS), then that
// the file is being executed (ETXTBSY), and only then the mount. Linux 6.11 to
// 6.12.1 lack the second step, so that there a mount that is read-only is taken
// too. That is as good: a container cannot change the mount, which is of another
// mount namespace than its own.
//
// Source: open(2), ETXTBSY and EROFS; Linux fs/namei.c do_open, fs/open.c
// do_dentry_open.
func readOnly(dir int, name string) bool {
	fd, err := unix.Openat(dir, name, unix.O_WRONLY|unix.O_CLOEXEC|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	if err == nil {
		unix.Close(fd)
	}
	return err == unix.EROFS
}

// seals forbid every change of a memfd, and the change of the seals.
const seals = unix.F_SEAL_SEAL | unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_WRITE

// sealed reports whether fd is a memfd that cannot be changed.
//
// Source: fcntl(2), "File Sealing".
func sealed(fd int) bool {
	got, err := unix.FcntlInt(uintptr(fd), unix.F_GET_SEALS, 0) // EINVAL: no memfd
	return err == nil && got&seals == seals
}
