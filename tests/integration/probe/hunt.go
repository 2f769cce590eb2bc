package main

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// hunt runs in a container and is told by watch, through two fifos in FOLDER, of
// each process of the runtime that can be seen there, which stands still
// meanwhile. It says what it could take of it, a line each.
//
//	probe hunt FOLDER steal FILE       take descriptors, and look for FILE of the host by them
//	probe hunt FOLDER forge PID SEED   tell the runtime lies by its socket, about the host's process PID
func hunt(args []string) (string, error) {
	if len(args) < 3 {
		return "", fmt.Errorf("usage: probe hunt FOLDER steal|forge ARGUMENTS")
	}
	prey, err := os.OpenFile(args[0]+"/prey", os.O_RDWR, 0)
	if err != nil {
		return "", err
	}
	done, err := os.OpenFile(args[0]+"/done", os.O_RDWR, 0)
	if err != nil {
		return "", err
	}
	fmt.Println("hunting")
	lines := bufio.NewScanner(prey)
	for lines.Scan() {
		var stop, pid int
		if n, err := fmt.Sscan(lines.Text(), &stop, &pid); n != 2 {
			return "", err
		}
		switch args[1] {
		case "steal":
			steal(pid, args[2])
		case "forge":
			forge(pid, stop, args[2:])
		}
		fmt.Fprintln(done)
	}
	return "end", lines.Err()
}

// found is said once for each text.
var found = map[string]bool{}

func say(format string, values ...any) {
	text := fmt.Sprintf(format, values...)
	if !found[text] {
		found[text] = true
		fmt.Println(text)
	}
}

// take is pidfd_getfd for all numbers; f closes what it gets.
func take(pid int, f func(fd, taken int)) {
	pidfd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		say("no pidfd: %v", err)
		return
	}
	defer unix.Close(pidfd)
	for fd := range 64 {
		if taken, err := unix.PidfdGetfd(pidfd, fd, 0); err == nil {
			f(fd, taken)
			unix.Close(taken)
		}
	}
}

func steal(pid int, file string) {
	say("looked")
	up := strings.Repeat("../", 32) + strings.TrimPrefix(file, "/")
	take(pid, func(fd, taken int) {
		var st unix.Stat_t
		if unix.Fstat(taken, &st) != nil {
			return
		}
		kind := map[uint32]string{unix.S_IFDIR: "folder", unix.S_IFREG: "file", unix.S_IFCHR: "device", unix.S_IFBLK: "block",
			unix.S_IFIFO: "pipe", unix.S_IFSOCK: "socket"}[st.Mode&unix.S_IFMT]
		if kind == "folder" {
			if h, err := unix.Openat(taken, up, unix.O_RDONLY|unix.O_CLOEXEC, 0); err == nil {
				say("ESCAPED by descriptor %d", fd)
				unix.Close(h)
			}
		}
		if mountOf(taken) {
			kind = "own " + kind
		}
		say("took %d %s", fd, kind)
	})
	for _, name := range []string{"root", "cwd"} {
		if h, err := unix.Open(fmt.Sprintf("/proc/%d/%s/%s", pid, name, up), unix.O_RDONLY|unix.O_CLOEXEC, 0); err == nil {
			say("ESCAPED by %s", name)
			unix.Close(h)
		}
	}
	for _, name := range []string{"mem", "environ", "maps", "exe"} {
		if h, err := unix.Open(fmt.Sprintf("/proc/%d/%s", pid, name), unix.O_RDONLY|unix.O_CLOEXEC, 0); err == nil {
			say("opened %s", name)
			unix.Close(h)
		}
	}
}

// mountOf reports whether a descriptor is of a mount in this container.
func mountOf(fd int) bool {
	info, _ := os.ReadFile(fmt.Sprintf("/proc/self/fdinfo/%d", fd))
	for line := range strings.SplitSeq(string(info), "\n") {
		if id, ok := strings.CutPrefix(line, "mnt_id:"); ok {
			ids, err := mountIDs("self")
			return err == nil && ids[strings.TrimSpace(id)]
		}
	}
	return false
}

// forge lies once, at a stop and in a manner that follow from the seed.
func forge(pid, stop int, args []string) {
	victim, _ := strconv.ParseInt(args[0], 10, 64)
	data, _ := os.ReadFile(args[1])
	seed, _ := strconv.Atoi(strings.TrimSpace(string(data)))
	if stop != 1+seed*7%60 {
		return
	}
	say("looked")
	take(pid, func(fd, taken int) {
		if kind, err := unix.GetsockoptInt(taken, unix.SOL_SOCKET, unix.SO_TYPE); err != nil || kind != unix.SOCK_SEQPACKET {
			return
		}
		say("has the socket")
		for _, m := range lies(seed, victim) {
			if unix.Sendmsg(taken, m, nil, nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL) != nil {
				break
			}
			say("lied")
		}
		if seed%3 == 0 {
			rights := unix.UnixRights(0, 1, 2)
			unix.Sendmsg(taken, lie(1, uint32(seed), victim), rights, nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
		}
		if seed%2 == 0 {
			unix.Kill(pid, unix.SIGKILL)
			time.Sleep(time.Millisecond)
			unix.Sendmsg(taken, lie(0x7777, 0, 0), nil, nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
		}
	})
}

func lie(tag, pc uint32, value int64) []byte {
	b := make([]byte, 16)
	binary.NativeEndian.PutUint32(b, tag)
	binary.NativeEndian.PutUint32(b[4:], pc)
	binary.NativeEndian.PutUint64(b[8:], uint64(value))
	return b
}

// lies are messages of the form that the runtime's processes have: what is
// adopted, unknown tags, instructions that are not there, failures, descriptors,
// and such that are no messages.
func lies(seed int, victim int64) [][]byte {
	list := [][]byte{
		lie(1, uint32(seed), victim), lie(1, 0, victim), lie(uint32(seed%16), uint32(seed*3), victim), lie(0xffffffff, 1<<31, -1),
		lie(0xffffffff, uint32(seed), victim), lie(0x100+uint32(seed), 0, 1<<40), {}, make([]byte, 8), make([]byte, 4096), lie(2, 5, -1),
		lie(0x7777, 0, 0),
	}
	n := seed % len(list)
	return append(list[n:], list[:n]...)
}
