// Package limit emits the resource limits of the container's process and its adjustment
// of the OOM killer's score, and sets both from outside where the process may not.
//
// Source: runtime-spec config.md "Process"; prlimit(2), proc(5).
package limit
