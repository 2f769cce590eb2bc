// Package sched emits when and where the container's process runs and gets its memory:
// scheduler, I/O priority, processors, NUMA policy.
//
// Source: runtime-spec config.md "Linux Process", config-linux.md "Memory policy"; sched(7).
package sched
