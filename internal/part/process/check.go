package process

import (
	"strings"

	"github.com/hutch-project/hutch/internal/check"
	"github.com/hutch-project/hutch/internal/fault"
)

// CheckArgs checks process.args: "at least one entry is REQUIRED".
func CheckArgs(p *check.Process) error {
	if len(p.Args) == 0 {
		return fault.New("process.args", "missing", "give the program to run and its arguments")
	}
	if p.Args[0] == "" {
		return fault.New("process.args[0]", "is empty", "give the program to run")
	}
	for i, a := range p.Args {
		if check.HasNUL(a) {
			p.Add(check.String(fault.At("process.args", i), a, 0))
		}
	}
	return nil
}

// CheckEnv refuses, as runc does, what is no NAME=VALUE. No value is in a message: it may
// be a secret.
func CheckEnv(p *check.Process) error {
	for i, e := range p.Env {
		if eq := strings.IndexByte(e, '='); eq < 0 {
			p.Add(fault.New(fault.At("process.env", i), "has no '='", "write it as NAME=VALUE"))
		} else if eq == 0 {
			p.Add(fault.New(fault.At("process.env", i), "has no name before the '='", "write it as NAME=VALUE"))
		}
		if check.HasNUL(e) {
			p.Add(fault.New(fault.At("process.env", i), "holds a NUL character", "remove it"))
		}
	}
	return nil
}

// CheckCwd checks process.cwd.
func CheckCwd(p *check.Process) error { return check.Absolute("process.cwd", p.Cwd) }
