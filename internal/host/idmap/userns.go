package idmap

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"sync"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/program"
	"github.com/hutch-project/hutch/internal/program/spawn"
	"github.com/hutch-project/hutch/internal/seat"
)

// cached are namespaces that were made before: containers of one engine use the
// same mappings again and again, and each namespace costs a process. The number
// is bounded since each holds a descriptor and counts against
// user.max_user_namespaces.
var cached struct {
	sync.Mutex
	entries []entry
}

type entry struct {
	key string
	fd  int
}

const maxCached = 16

// UserNS returns a user namespace with the mappings, for mount_setattr's
// MOUNT_ATTR_IDMAP. Neither may be empty. The caller closes the file, which is
// close-on-exec; equal mappings share a namespace.
func UserNS(uids, gids []specs.LinuxIDMapping) (*os.File, error) {
	if len(uids) == 0 || len(gids) == 0 {
		return nil, errors.New("user namespace for an idmapped mount: uidMappings and gidMappings must both be given")
	}
	key := string(lines(uids)) + "/" + string(lines(gids))
	cached.Lock()
	defer cached.Unlock()
	fd := -1
	for _, e := range cached.entries {
		if e.key == key {
			fd = e.fd
		}
	}
	if fd < 0 {
		var err error
		if fd, err = makeNS(uids, gids); err != nil {
			return nil, fmt.Errorf("user namespace for an idmapped mount: %w", err)
		}
		if len(cached.entries) == maxCached {
			unix.Close(cached.entries[0].fd)
			cached.entries = append(cached.entries[:0], cached.entries[1:]...)
		}
		cached.entries = append(cached.entries, entry{key, fd})
	}
	dup, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		return nil, fmt.Errorf("user namespace for an idmapped mount: fcntl F_DUPFD_CLOEXEC: %w", err)
	}
	return os.NewFile(uintptr(dup), "user namespace of an idmapped mount"), nil
}

// makeNS makes a process that does nothing in a new user namespace, writes the
// mappings, opens the namespace and ends the process.
func makeNS(uids, gids []specs.LinuxIDMapping) (int, error) {
	b := program.New()
	b.Barrier(1, 0) // never answered: the process ends with its parent, or is killed
	p, err := b.Program()
	if err != nil {
		return -1, err
	}
	c, err := spawn.Spawn(p, &spawn.Options{Flags: unix.CLONE_NEWUSER, Cgroup: -1, OldClone: seat.Calls().Clone3})
	if err != nil {
		return -1, err
	}
	defer c.Close()
	defer c.Kill()
	if err := WriteMaps(c.Pid, uids, gids, seat.User()); err != nil {
		return -1, err
	}
	// The process is not reaped yet: its number is its own.
	path := "/proc/" + strconv.Itoa(c.Pid) + "/ns/user"
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("open %s: %w", path, err)
	}
	return fd, nil
}
