package life

import (
	"fmt"
	"strconv"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/host/state"
)

// recordNamespaces writes down which user and mount namespace init has before anything of
// the image runs; what cannot be seen stays unknown, and is not asked for by exec.
func recordNamespaces(r *state.Record) {
	r.UserNS, _ = fileID(nsFile(r.Pid, "user"))
	file := nsFile(r.Pid, "mnt")
	for _, n := range r.Namespaces {
		if n.Type == string(specs.MountNamespace) && n.Path != "" {
			file = n.Path // init joins it later
		}
	}
	r.MountNS, _ = fileID(file)
}

// leftError is returned when exec finds init in a namespace of the image's making.
type leftError struct{ name string }

func (e *leftError) Error() string {
	return "init has left its " + e.name + " namespace; what it has made there is not the container's: " +
		"no process of the container's is started there, nor with the ids and files of its making"
}

// stayed returns an error when the init of r has gone to a user namespace of its own
// making, or to a mount namespace that such a one owns: there the image decides which ids
// and which files a further process has, where the configuration should. An init that has
// the right to mount may have made a mount namespace; what it could do there it could do
// in its former one.
//
// It is called when the process has joined what init was in. From a user namespace there
// is no way back to one above, so that init was not below it then when it is not now.
//
// Source: user_namespaces(7); ioctl_ns(2), NS_GET_USERNS.
func stayed(rec *state.Record) error {
	if rec.UserNS == "" || rec.MountNS == "" {
		return nil // the record is of an older program
	}
	user, err := fileID(nsFile(rec.Pid, "user"))
	if err != nil {
		return err
	}
	if user != rec.UserNS {
		return &leftError{"user"}
	}
	mount, err := fileID(nsFile(rec.Pid, "mnt"))
	if err != nil || mount == rec.MountNS {
		return err
	}
	owner, err := ownerOf(nsFile(rec.Pid, "mnt"))
	if err == unix.EPERM || err == nil && owner != rec.UserNS {
		return &leftError{"mount"}
	}
	return err
}

func nsFile(pid int, name string) string {
	return "/proc/" + strconv.Itoa(pid) + "/ns/" + name
}

// fileID returns what tells the file path from all others, as device:inode.
func fileID(path string) (string, error) {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return "", fmt.Errorf("stat %s: %w", path, err)
	}
	return idOf(uint64(st.Dev), st.Ino), nil
}

func idOf(dev, ino uint64) string {
	return strconv.FormatUint(dev, 10) + ":" + strconv.FormatUint(ino, 10)
}

// ownerOf returns the user namespace that owns the namespace at path. The error is
// unix.EPERM when it is none of the caller's, nor one below that.
func ownerOf(path string) (string, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", fmt.Errorf("open %s: %w", path, err)
	}
	defer unix.Close(fd)
	owner, err := unix.IoctlRetInt(fd, unix.NS_GET_USERNS)
	if err != nil {
		return "", err
	}
	defer unix.Close(owner)
	var st unix.Stat_t
	if err := unix.Fstat(owner, &st); err != nil {
		return "", err
	}
	return idOf(uint64(st.Dev), st.Ino), nil
}
