package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/tests/descent"
)

// The descriptors that init has of the outer process.
const lifeFD, leftFD = 3, 4

// box is what its init knows.
type box struct {
	*plan
	tests   int // their process
	ended   chan unix.WaitStatus
	output  *output
	watched *leftovers
}

// runInit is the first process of the pid namespace. It runs the tests to their end,
// or to the end of their time, ends all that is left, and says what it was.
func runInit(p *plan) int {
	// The tests get the standard descriptors and no other.
	for _, fd := range [...]int{lifeFD, leftFD} {
		unix.CloseOnExec(fd)
	}
	if err := p.settleIn(); err != nil {
		return complain(err)
	}
	b := &box{plan: p, ended: make(chan unix.WaitStatus, 1), watched: watchLeftovers(p)}
	go b.endWithOuter()
	if err := b.start(); err != nil {
		return complain(err)
	}
	var status unix.WaitStatus
	hung := false
	select {
	case status = <-b.ended:
	case <-time.After(p.Bound):
		hung = true
		status = b.hang()
	}
	var left []left
	if !hung {
		left = b.settle()
	}
	b.killAll()
	b.output.finish(hung || !status.Exited() || status.ExitStatus() != 0)
	return b.judge(status, hung, left)
}

// settleIn makes this process one that orphans come to, in a world of the tests'.
func (p *plan) settleIn() error {
	if p.Root {
		return p.layOut()
	}
	return unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
}

// endWithOuter ends all when the process that waits for this one is gone. As root
// the kernel does it, by the signal at the parent's death.
func (b *box) endWithOuter() {
	io.Copy(io.Discard, os.NewFile(lifeFD, "life"))
	b.killAll()
	os.Exit(1)
}

// start starts the tests, and a goroutine that reaps until they have ended.
func (b *box) start() error {
	how := howToPrint(b.Args)
	inner := *b.plan
	inner.Args = how.args
	cmd := exec.Command("/proc/self/exe", "enter", inner.encode())
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	b.output = newOutput(how, b.watched)
	if b.output != nil {
		cmd.Stdout = b.output.end
		if sameFile(os.Stdout, os.Stderr) {
			cmd.Stderr = b.output.end // in order
		}
	}
	signals := listen()
	if err := cmd.Start(); err != nil {
		return err
	}
	b.tests = cmd.Process.Pid
	b.output.begin()
	go func() {
		for s := range signals {
			unix.Kill(b.tests, s.(unix.Signal))
		}
	}()
	go b.reap()
	return nil
}

// reap waits for the tests, and for the orphans meanwhile.
func (b *box) reap() {
	for {
		var status unix.WaitStatus
		pid, err := unix.Wait4(-1, &status, 0, nil)
		if err != nil && err != unix.EINTR {
			status = 1 << 8
			pid = b.tests
		}
		if pid == b.tests {
			b.ended <- status
			return
		}
	}
}

// reapDead takes what has ended off the list of processes.
func reapDead() (children bool) {
	for {
		pid, err := unix.Wait4(-1, nil, unix.WNOHANG, nil)
		if err == unix.ECHILD {
			return false
		}
		if err != unix.EINTR && pid <= 0 {
			return true
		}
	}
}

// calm is how long what the tests have ended may take to be gone, and how long a
// hanging test may take for each step of its end.
const calm = 10 * time.Second

// settle returns what the tests have left. Only processes may yet end, and take
// something with them.
func (b *box) settle() []left {
	b.output.drain()
	for end := time.Now().Add(calm); ; time.Sleep(2 * time.Millisecond) {
		reapDead()
		found := b.watched.look(nil)
		ending := slices.ContainsFunc(found, func(l left) bool { return strings.HasPrefix(l.What, processWord) })
		if !ending || time.Now().After(end) {
			return found
		}
	}
}

// hang ends tests that do not: with the stacks of their goroutines if they can still
// print them, which they cannot while they are frozen.
func (b *box) hang() unix.WaitStatus {
	names := b.output.running()
	if names == "" {
		names = "the test process"
	}
	b.output.say(fmt.Sprintf("box: %s hung: no end after %v; the stacks:\n", names, b.Bound))
	unix.Kill(b.tests, unix.SIGQUIT)
	for _, step := range [...]func(){func() {}, b.thawAll, b.killAll} {
		step()
		select {
		case status := <-b.ended:
			return status
		case <-time.After(calm):
		}
	}
	return unix.WaitStatus(unix.SIGKILL)
}

func (b *box) thawAll() {
	for _, g := range b.Groups {
		thaw(g.Mount)
	}
}

// killAll ends everything but this process.
func (b *box) killAll() {
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
		b.thawAll()
		if b.Root {
			unix.Kill(-1, unix.SIGKILL) // of this pid namespace
		} else {
			for _, pid := range descent.Descendants() {
				unix.Kill(pid, unix.SIGKILL)
			}
		}
		if !reapDead() {
			return
		}
	}
}

// judge says what went wrong and returns the exit code. What is left goes to the
// outer process, which finds out by whom.
func (b *box) judge(status unix.WaitStatus, hung bool, found []left) int {
	code := status.ExitStatus()
	if status.Signaled() {
		code = 128 + int(status.Signal())
		if !hung {
			fmt.Printf("box: the tests ended by signal: %v\n", status.Signal())
		}
	}
	if err := json.NewEncoder(os.NewFile(leftFD, "left")).Encode(found); err != nil {
		return complain(err)
	}
	if code == 0 && hung {
		return 1
	}
	return code
}

func sameFile(a, b *os.File) bool {
	x, errX := a.Stat()
	y, errY := b.Stat()
	return errX == nil && errY == nil && os.SameFile(x, y)
}
