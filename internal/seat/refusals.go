package seat

// Refusal is a system call that a seccomp filter around the runtime denies, with what is done
// instead; empty where there is no other way.
type Refusal struct{ Call, Instead string }

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
