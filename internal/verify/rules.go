package verify

// Rule is one thing that is proven.
type Rule uint8

// The rules.
const (
	FdClone Rule = iota
	FdName
	FdExec
	FdUse
	PathResolve
	PathName
	PathFollow
	PathLate
	MountPath
	MountConfig
	MountSlave
	HostInode
	HostWrite
	ProcWrite
	RootChange
	Masked
	ReadOnly
	RootReadOnly
	Namespaces
	Cgroup
	Label
	Bounding
	IDs
	Capset
	Ambient
	NoNewPrivs
	FilterLoaded
	FilterLast
	AfterDrop
	PowerClone
	Dumpable
	Rlimits
	Cwd
	Stdio
	Umask
	Settings
	Signals
	Session
	Keyring
	Barrier
	Message
	Known
	Ends
	rules
)

// ruleTexts are the id of each rule and what it says.
var ruleTexts = [rules][2]string{
	FdClone:      {"fd-clone", "no descriptor of the host is open from the clone into a pid namespace on that others are in"},
	FdName:       {"fd-name", "no descriptor of the host is open where the kernel resolves a name of the image's choice"},
	FdExec:       {"fd-exec", "what is open at execve is standard, preserved, the socket, or leads into the container"},
	FdUse:        {"fd-use", "every descriptor that is used was opened on each way there, and is of a kind that the call is for"},
	PathResolve:  {"path-resolve", "a path in the container is opened by openat2, kept in the root and off magic links"},
	PathName:     {"path-name", "what is made or changed in the container is a single name in a directory of the container"},
	PathFollow:   {"path-follow", "nothing is mounted on, entered or changed that may be a symbolic link itself"},
	PathLate:     {"path-late", "a file of the image is read with the rights of the container"},
	MountPath:    {"mount-path", "nothing is mounted by a path in the container, only on descriptors"},
	MountConfig:  {"mounts", "each mount of the configuration is there, from its source and with its options"},
	MountSlave:   {"mount-slave", "no mount of the container's mount namespace propagates to the host"},
	HostInode:    {"host-inode", "no inode of the host is handed over writable that the configuration does not bind"},
	HostWrite:    {"host-write", "nothing of the host is written but the cgroup's tasks"},
	ProcWrite:    {"proc-write", "what is written in a procfs goes through a descriptor that is proven to be one"},
	RootChange:   {"root", "the root is the container's and the host's tree is gone, or hidden, before anything of the image runs"},
	Masked:       {"masked", "each of linux.maskedPaths that is there is covered"},
	ReadOnly:     {"readonly", "each of linux.readonlyPaths that is there is read-only"},
	RootReadOnly: {"root-readonly", "root.readonly is set"},
	Namespaces:   {"namespaces", "the process is in each namespace of the configuration, or of init"},
	Cgroup:       {"cgroup", "the process has entered the container's cgroups"},
	Label:        {"label", "the labels of the configuration are written"},
	Bounding:     {"bounding", "each capability that the configuration has not is dropped from the bounding set, before the change of ids"},
	IDs:          {"ids", "groups, group and user are the configuration's, in this order; the caller's are dropped before a user namespace is joined; groups that are to be kept are not changed"},
	Capset:       {"capset", "the capabilities at execve are the configuration's, set after the change of ids"},
	Ambient:      {"ambient", "the ambient set was cleared after the change of ids and has the configuration's capabilities alone"},
	NoNewPrivs:   {"no-new-privs", "noNewPrivileges is set if and only if the configuration says so"},
	FilterLoaded: {"filter", "the seccomp filter is loaded if and only if there is one"},
	FilterLast:   {"filter-last", "after the filter come only the wait for start, hooks, the end of what was held to load it, and execve"},
	AfterDrop:    {"after-drop", "nothing that takes privileges comes after the capabilities are dropped"},
	PowerClone:   {"power-clone", "what is cloned into a pid namespace that others are in has no more power than the container's processes"},
	Dumpable:     {"dumpable", "after each change of ids the process is made not dumpable before it does anything else; it is dumpable for a caller without privileges alone, in a user namespace that is new, while hooks run, time offsets are written or nothing of the host is open"},
	Rlimits:      {"rlimits", "process.rlimits are set as the last of their kind"},
	Cwd:          {"cwd", "the working directory is process.cwd and is proven to be in the container"},
	Stdio:        {"stdio", "no standard descriptor is the host's null device"},
	Umask:        {"umask", "the umask is the configuration's"},
	Settings:     {"settings", "names, personality, memory policy, scheduler, processors, I/O priority and OOM score are the configuration's, and no others are set"},
	Signals:      {"signals", "no signal is blocked or ignored at execve, and none has a handler but the one that ends the process"},
	Session:      {"session", "the process leads a session of its own, not the caller's, whose terminal it could type into"},
	Keyring:      {"keyring", "the session keyring is not the caller's, if that is not asked for"},
	Barrier:      {"barrier", "a wait follows the message that it is the answer to, and each barrier is answered once"},
	Message:      {"messages", "each message of the program can be reached"},
	Known:        {"known", "every system call is one that the verifier knows"},
	Ends:         {"ends", "every way that does not fail ends in execve, in the end of a process that was replaced, or nowhere on purpose"},
}

// Everywhere reports whether the rule is held to at every instruction, so that no few of
// them satisfy it.
func (r Rule) Everywhere() bool { return r == FdUse || r == Known || r == Ends }

// ID returns the rule's short name.
func (r Rule) ID() string { return ruleTexts[r][0] }

// String returns the sentence of the rule.
func (r Rule) String() string { return ruleTexts[r][1] }
