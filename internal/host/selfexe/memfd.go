package selfexe

import (
	"errors"
	"fmt"
	"strconv"

	"golang.org/x/sys/unix"
)

// executeMemfd executes this program from a sealed memfd. It returns only an
// error.
func executeMemfd(args, env []string) error {
	fd, err := memfd()
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return execute("/proc/self/fd/"+strconv.Itoa(fd), args, env)
}

// memfd copies the executable into a memfd and seals it.
//
// Source: memfd_create(2), fcntl(2) "File Sealing".
func memfd() (fd int, retErr error) {
	exe, err := unix.Open(self, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("open %s: %w", self, err)
	}
	defer unix.Close(exe)
	fd, err = createMemfd("hutch")
	if err != nil {
		return -1, err
	}
	defer func() {
		if retErr != nil {
			unix.Close(fd)
		}
	}()
	for {
		n, err := unix.Sendfile(fd, exe, nil, 1<<30)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return -1, fmt.Errorf("copy %s to a memfd: sendfile: %w", self, err)
		}
		if n == 0 {
			break
		}
	}
	return fd, seal(fd)
}

// createMemfd makes a memfd that can be executed and sealed.
func createMemfd(name string) (int, error) {
	const flags = unix.MFD_CLOEXEC | unix.MFD_ALLOW_SEALING
	fd, err := unix.MemfdCreate(name, flags|unix.MFD_EXEC)
	if err == unix.EINVAL { // Remove once 6.3 is the floor: MFD_EXEC.
		fd, err = unix.MemfdCreate(name, flags)
	}
	if err == unix.EACCES {
		return -1, fmt.Errorf("memfd_create: %w: sysctl vm.memfd_noexec forbids executable ones", err)
	}
	if err != nil {
		return -1, fmt.Errorf("memfd_create: %w", err)
	}
	return fd, nil
}

// seal forbids all change of the memfd fd.
func seal(fd int) error {
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, seals); err != nil {
		return fmt.Errorf("seal a memfd: %w", err)
	}
	if !sealed(fd) {
		return errors.New("seal a memfd: the seals are not there")
	}
	return nil
}
