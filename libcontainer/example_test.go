package libcontainer_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strings"

	"github.com/hutch-project/hutch/libcontainer"
)

// bundle makes a bundle with a shell, for the examples.
func bundle() string {
	dir, err := os.MkdirTemp("", "example-")
	if err != nil {
		log.Fatal(err)
	}
	bin := filepath.Join(dir, "rootfs", "bin")
	busybox, err := os.ReadFile("/bin/busybox")
	if err == nil {
		err = os.MkdirAll(bin, 0o755)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(bin, "sh"), busybox, 0o755)
	}
	for _, mountPoint := range [...]string{"proc", "dev", "sys"} {
		if err == nil {
			err = os.Mkdir(filepath.Join(dir, "rootfs", mountPoint), 0o755)
		}
	}
	if err != nil {
		log.Fatal(err)
	}
	return dir
}

// A container that is run to its end, with its output in memory.
func ExampleRuntime_Run() {
	dir := bundle()
	defer os.RemoveAll(dir)

	spec := libcontainer.DefaultSpec(false)
	spec.Process.Terminal = false
	spec.Process.Args = []string{"/bin/sh", "-c", "read line; echo $line, process $$; exit 3"}

	rt := &libcontainer.Runtime{Root: filepath.Join(dir, "state")}
	var out strings.Builder
	o := &libcontainer.CreateOptions{ID: "job", Bundle: dir, Spec: spec}
	o.Stdin, o.Stdout = strings.NewReader("hello\n"), &out
	status, err := rt.Run(context.Background(), o)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Print(out.String())
	fmt.Println("status", status.Code)
	// Output:
	// hello, process 1
	// status 3
}

// A container that is looked at before it starts, and in which a second process runs.
func ExampleContainer_Exec() {
	dir := bundle()
	defer os.RemoveAll(dir)
	ctx := context.Background()

	spec := libcontainer.DefaultSpec(false)
	spec.Process.Terminal = false
	spec.Process.Args = []string{"/bin/sh", "-c", "while :; do sleep 1000; done"}

	rt := &libcontainer.Runtime{Root: filepath.Join(dir, "state")}
	c, err := rt.Create(ctx, &libcontainer.CreateOptions{ID: "service", Bundle: dir, Spec: spec})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Delete(ctx, true)
	state, err := c.State()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(state.Status)
	if err := c.Start(ctx); err != nil {
		log.Fatal(err)
	}

	o := &libcontainer.ExecOptions{Args: []string{"/bin/sh", "-c", "kill -TERM $$"}}
	o.Stdout = os.Stdout
	p, err := c.Exec(ctx, o)
	if err != nil {
		log.Fatal(err)
	}
	status, err := p.Wait(ctx)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(status.Code, status.Signal)
	// Output:
	// created
	// 143 terminated
}

// An error is asked for what it is about.
func ExampleError() {
	_, err := libcontainer.ParseSpec([]byte(`{"process": {"args": "sh"}}`))
	var e *libcontainer.Error
	if errors.As(err, &e) {
		fmt.Println(e.Element)
	}
	// Output: process.args
}
