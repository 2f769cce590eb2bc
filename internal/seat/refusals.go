package seat

import "golang.org/x/sys/unix"

// Refusal is a system call that a seccomp filter around the runtime denies, with what is done
// instead; empty where there is no other way.
type Refusal struct{ Call, Instead string }

// Filtered reports whether there is a seccomp filter around this process.
func Filtered() bool {
	mode, err := unix.PrctlRetInt(unix.PR_GET_SECCOMP, 0, 0, 0, 0)
	return err == nil && mode != 0
}

// Refusals returns all calls that are denied, for people: what a program is made of is in
// Denied. Whether one is denied that takes a right to mount cannot be told without it.
func Refusals() (list []Refusal) {
	if !Filtered() {
		return nil
	}
	for i := range newerCalls {
		if c := &newerCalls[i]; c.refused() {
			list = append(list, Refusal{c.name, c.instead})
		}
	}
	return list
}
