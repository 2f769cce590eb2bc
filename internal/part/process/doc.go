// Package process emits the properties of the container's process: limits,
// scheduling, ids, environment, working directory, program.
//
// Source: runtime-spec config.md "Process"; the man page of each call.
package process
