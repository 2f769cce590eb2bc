// Package libcontainer runs OCI containers from a Go program: it creates a container from
// a bundle or from a specification by value, starts it, waits for its end, runs further
// processes in it and deletes it. It does what the command hutch does, in the same state
// directories: each sees the containers of the other.
//
//	rt := &libcontainer.Runtime{Root: "/run/ci"}
//	c, err := rt.Create(ctx, &libcontainer.CreateOptions{ID: "job-7", Bundle: dir, Stdout: &log})
//	…
//	defer c.Delete(context.Background(), true)
//	err = c.Start(ctx)
//	…
//	status, err := c.Wait(ctx)
//
// Nothing is executed to become a container, no binary, no copy of the caller, and no cgo
// is needed: what enters the container is a list of system calls. The package prepares no
// images and no networks: a bundle must be complete.
//
// # First thing in main
//
// A program calls [Protect] before anything else. Where its executable could be written
// by a container, that executes the program again from a copy.
//
// # Goroutines
//
// All functions and methods may be called by several goroutines at once, for the same
// container too: what contradicts each other waits for a lock of the container, ten
// seconds at most. All descriptors are close-on-exec, and processes are made under
// [syscall.ForkLock], as os/exec makes them, so that neither one's children get
// descriptors of the other.
//
// A process of a container is a child of this program, and the package waits for it as
// soon as it ends, called for or not; it waits for no other child. A program that waits
// for any child itself (wait4 of -1) takes the status away, and Wait then returns it only
// where the kernel still knows it, from Linux 6.15 on.
//
// Containers outlive the program. Another one, or the next run of it, finds them by
// [Runtime.Load].
//
// What a container costs this process while it lives: a goroutine and a descriptor, no
// thread; a goroutine and a descriptor more for each pipe of its streams.
//
// Creating changes the process for good in one thing: it is made not dumpable
// (PR_SET_DUMPABLE), so that no container can look into it. A core of it is not
// written from then on, and debuggers need CAP_SYS_PTRACE.
//
// On amd64 most of the caller's memory is kept from a child while one is made
// (MADV_DONTFORK, for some 50 microseconds). A C library that forks beside Go at
// that moment, and does not execute at once, would lack it. Calls by os/exec are held off.
//
// # Contexts
//
// A context bounds the call that it is given to, not the life of what the call makes, but
// for Run, where both are the same. Create, Exec and Run that are cancelled kill what
// they have made and take it back; see each method. The error wraps the context's.
//
// # Errors
//
// Errors of the operations are of type *[Error] and wrap their cause, so that
// errors.Is works with the Err values below and with a [syscall.Errno]. Their texts are
// those of the command.
//
// # Stability
//
// Exported names follow semantic versioning: within a major version none goes, none changes
// its meaning, and structs may gain fields: write literals of them with field names. Before
// 1.0 a minor version may do so, and CHANGELOG.md says what. Texts of errors are no
// promise but for those that the Err values have. Packages below internal are none.
//
// The state directory has a format with a version of its own. A program reads the records
// of all older versions, skips members that it does not know, and refuses a record of
// a newer version, by that name, without touching the container. docs/library.md says more.
//
// Source: runtime-spec runtime.md and config.md.
package libcontainer
