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

// membersOf returns those of l, which may be nil.
func membersOf(l *specs.Linux) ofProcess {
	if l == nil {
		return ofProcess{}
	}
	return ofProcess{Personality: l.Personality, MemoryPolicy: l.MemoryPolicy, Seccomp: l.Seccomp}
}

// LinuxOfProcess returns the names of the members of linux that the record of a container
// keeps for exec: those of ofProcess.
func LinuxOfProcess() []string { return []string{"personality", "memoryPolicy", "seccomp"} }
