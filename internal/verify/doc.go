// Package verify proves programs before they run, as the kernel's BPF verifier does.
//
// A container is compiled to data: a list of system calls with jumps. So what must be
// true of it can be shown for every way that it can take, whatever fails on the way and
// whatever the kernel answers. The verifier walks all of them with an abstract state (what
// kind of file each register's descriptor leads to, which root the process has, which
// credentials it has given up, which promises of the configuration are kept) and refuses a
// program that breaks one of Rules.
//
// It believes nothing of the emitters: it reads numbers, flags and structures of linked
// instructions, and takes what has to hold from the configuration itself. What the
// arguments of a call are to the kernel it reads in the table of package internal/calls. A
// call that it does not know is refused.
//
// What it takes for granted is the kernel, the interpreter and the parent's side of a
// barrier. States are joined where ways meet and nothing that is still looked at differs:
// what may be open is then what may be open on either way, what is done only what is done
// on both. So it may refuse a program that is good, and takes none that is bad by its
// rules.
package verify
