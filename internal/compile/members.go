package compile

import "github.com/opencontainers/runtime-spec/specs-go"

// ofProcess are the members of linux that each process of the container takes on, init
// and those that exec adds. An emitter of a process's properties gets no others, so what
// init has by a member of linux, exec has, too.
type ofProcess struct {
	Personality  *specs.LinuxPersonality
	MemoryPolicy *specs.LinuxMemoryPolicy
	Seccomp      *specs.LinuxSeccomp
}

// members are the same with their names in config.json, and how each is taken from there.
var members = [...]struct {
	name string
	take func(to *ofProcess, from *specs.Linux)
}{
	{"personality", func(to *ofProcess, from *specs.Linux) { to.Personality = from.Personality }},
	{"memoryPolicy", func(to *ofProcess, from *specs.Linux) { to.MemoryPolicy = from.MemoryPolicy }},
	{"seccomp", func(to *ofProcess, from *specs.Linux) { to.Seccomp = from.Seccomp }},
}

// membersOf returns those of l, which may be nil.
func membersOf(l *specs.Linux) (of ofProcess) {
	if l == nil {
		return of
	}
	for i := range members {
		members[i].take(&of, l)
	}
	return of
}

// LinuxOfProcess returns the names of the members of linux that the record of a container
// keeps for exec.
func LinuxOfProcess() []string {
	names := make([]string, len(members))
	for i := range members {
		names[i] = members[i].name
	}
	return names
}
