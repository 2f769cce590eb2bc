// Package process emits what the container's process is: its program, arguments,
// environment, working directory, descriptors, signals and personality.
//
// Source: runtime-spec config.md "Process"; the man page of each call.
package process
