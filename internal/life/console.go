package life

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/part/terminal"
	"github.com/hutch-project/hutch/internal/program/spawn"
)

// console is the caller's end of the terminal of an attached process. The zero value is
// that of a process without one.
type console struct {
	master *os.File
	proxy  *terminal.Proxy // connects it with the caller's terminal
}

// handler takes the terminal's master, and hands it to socket, as takeTerminal does. then
// is called when it is here, and the child goes on when it has returned: so the process finds its
// terminal as large as the caller's. nil does nothing.
func (c *console) handler(socket string, while func() []int, then func() error) handler {
	serve := func(e spawn.Event) (_ answer, err error) {
		c.master, err = takeTerminal(e.Fd, socket, while()...)
		if err == nil && then != nil {
			err = then()
		}
		return release, err
	}
	return handler{tag: terminal.ConsoleTag, doing: "prove that it is a terminal, and hand it on", serve: serve}
}

// connect begins to copy between the caller's terminal and that of the process.
func (c *console) connect() (err error) {
	if c.master != nil {
		c.proxy, err = terminal.StartProxy(c.master)
	}
	return err
}

// close restores the caller's terminal, and then lets go of the signals: one that had its
// former effect before would leave the terminal raw.
func (c *console) close(signals *terminal.Forwarder) {
	c.proxy.Stop()
	if c.master != nil {
		c.master.Close()
	}
	signals.Stop()
}

// takeTerminal takes the terminal's master, which the child has sent, and hands it on:
// to the console socket, as long as the processes of the pidfds in while live, or, where
// there is none, to the caller, who serves it.
func takeTerminal(ptmx int, socket string, while ...int) (*os.File, error) {
	if err := terminal.Master(ptmx); err != nil {
		unix.Close(ptmx)
		return nil, fmt.Errorf("process.terminal: %w", err)
	}
	if socket == "" {
		return os.NewFile(uintptr(ptmx), "terminal of the container"), nil
	}
	defer unix.Close(ptmx)
	if err := terminal.SendFd(socket, ptmx, "/dev/ptmx", while...); err != nil {
		return nil, fmt.Errorf("--console-socket: %w", err)
	}
	return nil, nil
}
