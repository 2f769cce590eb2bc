package validate

import (
	"math"
	"strconv"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/hutch-project/hutch/internal/enum"
)

// maxID is the largest user or group id. The one above it, -1 as unsigned
// number, means "no change" to the kernel.
const maxID = math.MaxUint32 - 1

// Process checks p as the process object of a configuration, for a process that
// is added to a container. Faults are named below "process".
func Process(p *specs.Process) error {
	for _, check := range [...]func(*specs.Process) error{
		args, env, cwd, user, terminal, rlimits, labels, scheduler, priorities,
	} {
		if err := check(p); err != nil {
			return err
		}
	}
	return nil
}

// process checks the process and, where the mapping is in the configuration,
// that its ids are mapped. Without a process nothing is checked.
func (c *checker) process() error {
	p := c.Process
	if p == nil {
		return nil
	}
	if err := Process(p); err != nil {
		return err
	}
	if space := c.spaces[userSpace]; space == nil || space.Path != "" {
		return nil
	}
	if !mapped(c.linux.UIDMappings, p.User.UID) {
		return unmapped("process.user.uid", p.User.UID, "linux.uidMappings")
	}
	if !mapped(c.linux.GIDMappings, p.User.GID) {
		return unmapped("process.user.gid", p.User.GID, "linux.gidMappings")
	}
	for i, g := range p.User.AdditionalGids {
		if !mapped(c.linux.GIDMappings, g) {
			return unmapped(at("process.user.additionalGids", i), g, "linux.gidMappings")
		}
	}
	return nil
}

func unmapped(element string, id uint32, mappings string) error {
	return fault(element, number(id)+" is not mapped in the user namespace", "add it to "+mappings)
}

// args: "at least one entry is REQUIRED".
func args(p *specs.Process) error {
	if len(p.Args) == 0 {
		return fault("process.args", "missing", "give the program to run and its arguments")
	}
	if p.Args[0] == "" {
		return fault("process.args[0]", "is empty", "give the program to run")
	}
	for i, a := range p.Args {
		if strings.IndexByte(a, 0) >= 0 {
			return cstring(at("process.args", i), a, 0)
		}
	}
	return nil
}

// env refuses, as runc does, what is no NAME=VALUE. No value is in a message: it may be
// a secret.
func env(p *specs.Process) error {
	for i, e := range p.Env {
		if eq := strings.IndexByte(e, '='); eq < 0 {
			return fault(at("process.env", i), "has no '='", "write it as NAME=VALUE")
		} else if eq == 0 {
			return fault(at("process.env", i), "has no name before the '='", "write it as NAME=VALUE")
		}
		if strings.IndexByte(e, 0) >= 0 {
			return fault(at("process.env", i), "holds a NUL character", "remove it")
		}
	}
	return nil
}

func cwd(p *specs.Process) error { return absolute("process.cwd", p.Cwd) }

func user(p *specs.Process) error {
	u := &p.User
	if u.UID > maxID {
		return badID("process.user.uid", u.UID)
	}
	if u.GID > maxID {
		return badID("process.user.gid", u.GID)
	}
	for i, g := range u.AdditionalGids {
		if g > maxID {
			return badID(at("process.user.additionalGids", i), g)
		}
	}
	if u.Umask != nil && *u.Umask > 0o777 {
		return fault("process.user.umask", number(*u.Umask)+" has other bits than those for permissions",
			"give at most 511, which is 0777 in octal")
	}
	return nil
}

func badID(element string, id uint32) error {
	return fault(element, number(id)+" is not an id", "give a number from 0 to "+strconv.FormatInt(maxID, 10))
}

// terminal: "Runtimes MUST ignore consoleSize if terminal is false or unset."
func terminal(p *specs.Process) error {
	if s := p.ConsoleSize; p.Terminal && s != nil && (s.Height > math.MaxUint16 || s.Width > math.MaxUint16) {
		return fault("process.consoleSize", "larger than a terminal can be", "give a width and a height of at most 65535")
	}
	return nil
}

// rlimits: "If rlimits contains duplicated entries with same type, the runtime
// MUST generate an error."
func rlimits(p *specs.Process) error {
	var seen uint32
	for i, r := range p.Rlimits {
		resource := enum.Rlimits.Find(r.Type)
		if resource == nil {
			return fault(at("process.rlimits", i)+".type", quote(r.Type)+" is no resource limit of Linux",
				"see getrlimit(2), for example RLIMIT_NOFILE")
		}
		if seen&(1<<resource.Number) != 0 {
			return fault(at("process.rlimits", i)+".type", r.Type+" stands twice", "remove one")
		}
		seen |= 1 << resource.Number
		if r.Soft > r.Hard {
			return fault(at("process.rlimits", i)+".soft", strconv.FormatUint(r.Soft, 10)+" is above the hard limit "+
				strconv.FormatUint(r.Hard, 10), "raise hard or lower soft")
		}
	}
	return nil
}

func labels(p *specs.Process) error {
	if err := cstring("process.apparmorProfile", p.ApparmorProfile, 0); err != nil {
		return err
	}
	return cstring("process.selinuxLabel", p.SelinuxLabel, 0)
}

// priorities checks oomScoreAdj, ioPriority and execCPUAffinity.
func priorities(p *specs.Process) error {
	if o := p.OOMScoreAdj; o != nil && (*o < -1000 || *o > 1000) {
		return fault("process.oomScoreAdj", number(*o)+" is out of range", "give a number from -1000 to 1000")
	}
	if io := p.IOPriority; io != nil {
		if enum.IOClasses.Find(string(io.Class)) == nil {
			return unknown("process.ioPriority.class", string(io.Class), enum.IOClasses.Or())
		}
		if io.Priority < 0 || io.Priority > 7 {
			return fault("process.ioPriority.priority", number(io.Priority)+" is out of range", "give a number from 0, the highest, to 7")
		}
	}
	if a := p.ExecCPUAffinity; a != nil {
		if err := list("process.execCPUAffinity.initial", a.Initial, maxCPU); err != nil {
			return err
		}
		return list("process.execCPUAffinity.final", a.Final, maxCPU)
	}
	return nil
}

// unknown is the fault of a value that is not one of a few.
func unknown(element, value, want string) error {
	if value == "" {
		return fault(element, "missing", "use "+want)
	}
	return fault(element, quote(value)+" is not known", "use "+want)
}

// Numbers that no kernel can have more of: CONFIG_NR_CPUS is at most 8192,
// MAX_NUMNODES 1024.
const (
	maxCPU  = 8191
	maxNode = 1023
)

// list checks a list of numbers and ranges such as 0-3,7. The empty list is
// right.
//
// Source: cpuset(7) "List format", without strides.
func list(element, s string, limit int) error {
	if s == "" {
		return nil
	}
	for part := range strings.SplitSeq(s, ",") {
		first, last, ranged := strings.Cut(strings.TrimSpace(part), "-")
		if !ranged {
			last = first
		}
		if !isNumber(first) || !isNumber(last) {
			return fault(element, quote(s)+" is not a list", "write numbers and ranges as in 0-3,7")
		}
		a, err := strconv.Atoi(first)
		b, err2 := strconv.Atoi(last)
		if err != nil || err2 != nil || b > limit {
			return fault(element, quote(s)+" has a number above "+strconv.Itoa(limit), "")
		}
		if a > b {
			return fault(element, quote(s)+" has a range that runs backwards", "write the smaller number first")
		}
	}
	return nil
}
