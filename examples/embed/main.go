// Embed is a program that runs a container by itself, with Hutch as a library:
//
//	embed BUNDLE
//
// It creates the container, looks at it, starts it, waits for its end and deletes it. It
// needs root, and no hutch binary, no cgo and no hook in main: what enters the container is
// a list of system calls, not this program.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"

	"github.com/hutch-project/hutch/libcontainer"
)

func main() {
	// ^C ends the context, and that whatever the container does.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := embed(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "embed:", err)
		os.Exit(1)
	}
}

func embed(ctx context.Context) (retErr error) {
	if len(os.Args) != 2 {
		return errors.New("usage: embed BUNDLE")
	}
	// First of all, as it may execute this program again from a copy: no
	// container may get at the file of the program that has made it.
	if err := libcontainer.Protect(os.Args, os.Environ()); err != nil {
		return err
	}
	root, err := os.MkdirTemp("", "embed-") // of state; another program's would do
	if err != nil {
		return err
	}
	defer func() { retErr = errors.Join(retErr, os.RemoveAll(root)) }()

	rt := &libcontainer.Runtime{Root: root, Warn: func(text string) { fmt.Fprintln(os.Stderr, "warning:", text) }}
	o := &libcontainer.CreateOptions{ID: fmt.Sprintf("embedded-%d", os.Getpid()), Bundle: os.Args[1]}
	o.Stdin, o.Stdout, o.Stderr = os.Stdin, os.Stdout, os.Stderr
	c, err := rt.Create(ctx, o)
	if err != nil {
		return err // nothing is left
	}
	// With force, so that it also helps when a step below is refused, or ctx has ended.
	defer func() { retErr = errors.Join(retErr, c.Delete(context.Background(), true)) }()

	state, err := c.State()
	if err != nil {
		return err
	}
	fmt.Println("before start:", state.Status)
	if err := c.Start(ctx); err != nil {
		return err
	}
	status, err := c.Wait(ctx)
	if err != nil {
		return err
	}
	fmt.Println("at the end: status", status.Code)
	return nil
}
