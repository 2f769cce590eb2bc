// Package criutest has a CRIU for tests: a program that speaks its protocol, makes no images
// and restores a process that sleeps. It can fail, hang and lie.
//
// It reads and writes messages by code of its own, and so shows whether the driver's are
// those of the protocol.
package criutest

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Behaviour is what the program does.
type Behaviour struct {
	Version    [3]int // zero is 3.17.1
	NoFeatures bool   // it, or the kernel, has none
	NoKernel   bool   // it cannot work on this kernel

	// At is when the following happens: "start", "request", a notification by its name, or
	// "end".
	At string
	// Do is "die", "hang", "garbage", "short", "fail", "lie" (the pid is another's) or
	// "other" (the answer is to another request).
	Do  string
	Log string // written to CRIU's log before

	Terminal bool // a restore sends the master of a terminal

	// Mounts has a restore bind what it has sources for, with the options of the dump, in
	// the root, and change to that: as CRIU does. Userns has it do so in a user namespace
	// with the ids of the host.
	Mounts, Userns bool
}

const variable = "HUTCH_TEST_CRIU"

// Main is for the beginning of a TestMain: in the process that stands for CRIU it does not
// return.
func Main() {
	if dir := os.Getenv(variable); dir != "" {
		serve(dir)
		os.Exit(0)
	}
}

// Install makes a directory with a program "criu" that behaves so, and returns it for a
// PATH. What the program is asked for is in Requests.
func Install(t *testing.T, b *Behaviour) string {
	t.Helper()
	// Not below /tmp, which everybody may write.
	dir, err := os.MkdirTemp("/run", "criu")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	// A copy: the test's own lies where the driver mounts something.
	self, err := os.ReadFile("/proc/self/exe")
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "program"), self, 0o755)
	}
	if err == nil {
		script := fmt.Sprintf("#!/bin/sh\nexport %s='%s'\nexec '%s/program' \"$@\"\n", variable, dir, dir)
		err = os.WriteFile(filepath.Join(dir, "criu"), []byte(script), 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	Change(t, dir, b)
	return dir
}

// Change has the program behave otherwise from now on.
func Change(t *testing.T, dir string, b *Behaviour) {
	t.Helper()
	text, err := json.Marshal(b)
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "behaviour"), text, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// Request is what the program was asked for: the fields of the options, by their numbers.
type Request struct {
	Kind    int
	Numbers map[int][]uint64
	Strings map[int][]string
	Cgroup  string // of the program, as /proc/self/cgroup has it
	Env     []string
	Mounts  string // the program's mount table
}

// Requests returns what the program was asked for, but for versions and features.
func Requests(t *testing.T, dir string) (out []Request) {
	t.Helper()
	f, err := os.Open(filepath.Join(dir, "requests"))
	if err != nil {
		return nil
	}
	defer f.Close()
	for d := json.NewDecoder(f); d.More(); {
		var r Request
		if err := d.Decode(&r); err != nil {
			t.Fatal(err)
		}
		out = append(out, r)
	}
	return out
}

// Child is the name of the file with the process id of what a restore has started.
const Child = "child"

// Hangs is the name of the file with the program's process id while it hangs.
const Hangs = "hangs"

// Kinds of requests, and the fields that the tests look at.
const (
	Dump, Restore, PreDump                           = 1, 2, 4
	pidField, leaveField, logField, workField        = 2, 3, 10, 17
	imagesField                                      = 1
	External, Freezer, Root, InheritFd, JoinNS, Ctrl = 37, 44, 13, 27, 39, 25
)

type program struct {
	dir   string
	b     Behaviour
	r     Request
	child int
}

func serve(dir string) {
	p := &program{dir: dir}
	text, err := os.ReadFile(filepath.Join(dir, "behaviour"))
	if err == nil {
		err = json.Unmarshal(text, &p.b)
	}
	if err != nil || len(os.Args) != 3 || os.Args[1] != "swrk" || os.Args[2] != "3" {
		fmt.Fprintln(os.Stderr, "criu of a test:", err, os.Args)
		os.Exit(9)
	}
	p.happen("start")
	m := p.receive()
	kind := number(m, 1)
	switch kind {
	case 9:
		on := uint64(1)
		if p.b.NoFeatures {
			on = 0
		}
		p.send(join(num(1, 9), num(2, 1), sub(8, num(1, on), num(2, on))))
		return
	case 10:
		v := p.b.Version
		if v == [3]int{} {
			v = [3]int{3, 17, 1}
		}
		p.send(join(num(1, 10), num(2, 1), sub(10, num(1, uint64(v[0])), num(2, uint64(v[1])), num(4, uint64(v[2])))))
		return
	case 3:
		ok := uint64(1)
		if p.b.NoKernel {
			fmt.Fprintln(os.Stderr, "Error: the kernel is odd")
			p.take(int(kind), m)
			p.log("Error: the kernel is odd\n")
			ok = 0
		}
		p.send(join(num(1, 3), num(2, ok)))
		return
	}
	p.note(int(kind), m)
	p.happen("request")
	if kind == Restore {
		p.restore()
	} else {
		p.dump(kind)
	}
}

// take takes the request apart.
func (p *program) take(kind int, m []byte) {
	p.r = Request{Kind: kind, Numbers: map[int][]uint64{}, Strings: map[int][]string{}, Env: os.Environ()}
	each(m, func(n int, _ uint64, data []byte) {
		if n != 2 {
			return
		}
		each(data, func(n int, v uint64, data []byte) {
			if data != nil {
				p.r.Strings[n] = append(p.r.Strings[n], string(data))
			} else {
				p.r.Numbers[n] = append(p.r.Numbers[n], v)
			}
		})
	})
}

// note writes the request down.
func (p *program) note(kind int, m []byte) {
	p.take(kind, m)
	for file, to := range map[string]*string{"/proc/self/cgroup": &p.r.Cgroup, "/proc/self/mountinfo": &p.r.Mounts} {
		text, _ := os.ReadFile(file)
		*to = string(text)
	}
	text, _ := json.Marshal(&p.r)
	f, err := os.OpenFile(filepath.Join(p.dir, "requests"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err == nil {
		_, _ = f.Write(append(text, '\n'))
		f.Close()
	}
}

func (p *program) dump(kind uint64) {
	pid := int(p.r.Numbers[pidField][0])
	p.noteMounts(pid)
	for _, script := range []string{"pre-dump", "network-lock", "post-dump"} {
		if !p.notify(script, pid, -1) {
			p.answer(kind, false)
			return
		}
	}
	if kind == Dump && len(p.r.Numbers[leaveField]) == 0 {
		_ = unix.Kill(pid, unix.SIGKILL)
	}
	p.happen("end")
	p.answer(kind, true)
}

func (p *program) restore() {
	if err := p.start(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(8)
	}
	_ = os.WriteFile(filepath.Join(p.dir, Child), []byte(strconv.Itoa(p.child)), 0o644)
	for _, script := range []string{"pre-restore", "setup-namespaces", "post-setup-namespaces", "orphan-pts-master", "post-restore", "pre-resume", "post-resume"} {
		fd := -1
		if script == "orphan-pts-master" {
			if !p.b.Terminal {
				continue
			}
			fd, _ = unix.Open("/dev/ptmx", unix.O_RDWR, 0)
		}
		if !p.notify(script, p.child, fd) {
			_ = unix.Kill(p.child, unix.SIGKILL)
			p.answer(Restore, false)
			return
		}
	}
	p.happen("end")
	p.answer(Restore, true)
}

// start starts the restored process.
func (p *program) start() (err error) {
	words := []string{"busybox", "sleep", "100000"}
	sys := &syscall.SysProcAttr{Cloneflags: unix.CLONE_PARENT | unix.CLONE_NEWPID | unix.CLONE_NEWNET | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC | unix.CLONE_NEWNS}
	if p.b.Mounts {
		words = []string{"busybox", "sh", "-c", p.mountAll()}
	}
	if p.b.Userns {
		sys.Cloneflags |= unix.CLONE_NEWUSER
		sys.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: 0, Size: 65536}}
		sys.GidMappings = sys.UidMappings
	}
	var ready [2]int
	if err := unix.Pipe2(ready[:], unix.O_CLOEXEC); err != nil {
		return err
	}
	p.child, err = syscall.ForkExec("/bin/busybox", words, &syscall.ProcAttr{Env: []string{}, Files: []uintptr{0, 1, 2, uintptr(ready[1])}, Sys: sys})
	unix.Close(ready[1])
	if err == nil && p.b.Mounts {
		_, _ = unix.Read(ready[0], make([]byte, 1)) // its end
	}
	unix.Close(ready[0])
	return err
}

// mount is an external mount of a dump.
type mount struct{ Key, Point, Options string }

// ownMounts begins the places of the file systems of a container's own that are restored.
const ownMounts = "/own"

// noteMounts writes down what options the mounts of the process have that are restored.
func (p *program) noteMounts(pid int) {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/mountinfo", pid))
	var list []mount
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		if strings.HasPrefix(f[4], ownMounts) {
			list = append(list, mount{"", f[4], f[5]})
		}
		for _, e := range p.r.Strings[External] {
			if key, ok := strings.CutPrefix(e, "mnt["+f[4]+"]:"); ok {
				list = append(list, mount{key, f[4], f[5]})
			}
		}
	}
	out, _ := json.Marshal(list)
	_ = os.WriteFile(filepath.Join(p.dir, "mounts"), out, 0o644)
}

// mountAll returns a script that makes the mounts, goes to the root and sleeps. What lies in a
// file system of the container's own is left out, which is not restored but below ownMounts.
func (p *program) mountAll() string {
	var list []mount
	text, _ := os.ReadFile(filepath.Join(p.dir, "mounts"))
	_ = json.Unmarshal(text, &list)
	root := p.r.Strings[Root][0]
	script := "set -e; exec >&2; busybox mount --make-rprivate /; busybox mount -o bind '" + root + "' '" + root + "'; cd '" + root + "'\n" // none that is locked
	for _, m := range list {
		if m.Key == "" {
			at := root + m.Point
			script += fmt.Sprintf("busybox mount -t tmpfs -o '%s' own '%s'\n", m.Options, at)
			continue
		}
		for _, e := range p.r.Strings[External] {
			if source, ok := strings.CutPrefix(e, "mnt["+m.Key+"]:"); ok {
				at := root + m.Point
				script += fmt.Sprintf("if [ -e '%s' ]; then busybox mount -o bind '%s' '%s'; busybox mount -o 'remount,bind,%s' '%s'; fi\n", at, source, at, m.Options, at)
			}
		}
	}
	return script + "busybox mkdir -p put; busybox cp /bin/busybox bin/busybox; busybox pivot_root . put\n" +
		"exec put/bin/busybox chroot . /bin/busybox sh -c 'cd /; /bin/busybox umount -l /put; exec /bin/busybox sleep 100000 3>&-'\n"
}

// notify asks back, and reports whether all is well.
func (p *program) notify(script string, pid, fd int) bool {
	if p.b.At == script && p.b.Do == "lie" {
		pid = 1
	}
	p.happen(script)
	m := join(num(1, 6), num(2, 1), sub(5, text(1, script), num(2, uint64(pid))))
	if fd >= 0 {
		_ = unix.Sendmsg(3, m, unix.UnixRights(fd), nil, 0)
	} else {
		p.send(m)
	}
	answer := p.receive()
	return number(answer, 1) == 6 && number(answer, 3) == 1
}

func (p *program) answer(kind uint64, ok bool) {
	success := uint64(0)
	if ok {
		success = 1
	}
	if p.b.At == "end" && p.b.Do == "other" {
		kind = 5
	}
	m := join(num(1, kind), num(2, success))
	if kind == Restore && ok {
		m = join(m, sub(4, num(1, uint64(p.child))))
	}
	if !ok {
		m = join(m, num(7, uint64(unix.EBADF)))
	}
	p.send(m)
}

// happen does what is to happen at this point.
func (p *program) happen(at string) {
	if p.b.At != at {
		return
	}
	if p.b.Log != "" {
		p.log(p.b.Log)
	}
	switch p.b.Do {
	case "die":
		os.Exit(7)
	case "hang":
		_ = os.WriteFile(filepath.Join(p.dir, Hangs), []byte(strconv.Itoa(os.Getpid())+"\n"), 0o644)
		for {
			time.Sleep(time.Hour)
		}
	case "garbage":
		p.send([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff})
	case "short":
		p.send([]byte{0x2a, 0x7f, 1})
	case "fail":
		if p.child > 0 {
			_ = unix.Kill(p.child, unix.SIGKILL)
		}
		p.answer(uint64(p.r.Kind), false)
		os.Exit(1)
	}
}

// log writes to CRIU's log, in the working directory or that of the images: the caller's
// descriptors.
func (p *program) log(text string) {
	dir := p.r.Numbers[workField]
	if dir == nil {
		dir = p.r.Numbers[imagesField]
	}
	path := fmt.Sprintf("/proc/%d/fd/%d/%s", os.Getppid(), dir[0], p.r.Strings[logField][0])
	_ = os.WriteFile(path, []byte(text), 0o600)
}

func (p *program) send(m []byte) { _ = unix.Sendmsg(3, m, nil, nil, 0) }

// receive reads a message; the end of the socket ends the program, as it does CRIU.
func (p *program) receive() []byte {
	buf := make([]byte, 1<<16)
	n, err := unix.Read(3, buf)
	if err != nil || n == 0 {
		if p.child > 0 {
			_ = unix.Kill(p.child, unix.SIGKILL)
		}
		os.Exit(1)
	}
	return buf[:n]
}
