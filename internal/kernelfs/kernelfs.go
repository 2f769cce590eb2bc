// Package kernelfs knows the file systems whose regular files the kernel makes up
// when they are read: reading one may wait for ever, or tell of the host.
package kernelfs

import "golang.org/x/sys/unix"

// Source: fs/configfs/mount.c, fs/fuse/control.c.
const (
	configfsMagic = 0x62656570
	fusectlMagic  = 0x65735543
)

// Magics returns the types of these file systems, as statfs(2) has them.
func Magics() [18]uint32 {
	return [...]uint32{
		unix.PROC_SUPER_MAGIC, unix.SYSFS_MAGIC, unix.DEVPTS_SUPER_MAGIC, unix.DEBUGFS_MAGIC, unix.TRACEFS_MAGIC, unix.SECURITYFS_MAGIC,
		unix.SELINUX_MAGIC, unix.SMACK_MAGIC, unix.CGROUP_SUPER_MAGIC, unix.CGROUP2_SUPER_MAGIC, unix.BPF_FS_MAGIC, unix.PSTOREFS_MAGIC,
		unix.EFIVARFS_MAGIC, unix.RDTGROUP_SUPER_MAGIC, unix.NSFS_MAGIC, unix.BINFMTFS_MAGIC, configfsMagic, fusectlMagic,
	}
}

// Is reports whether magic, the type of a struct statfs in its lower 32 bits, is that of
// one of them.
func Is(magic uint32) bool {
	for _, m := range Magics() {
		if m == magic {
			return true
		}
	}
	return false
}
