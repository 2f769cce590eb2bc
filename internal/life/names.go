package life

import (
	"errors"
	"fmt"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/compile"
	"github.com/hutch-project/hutch/internal/fault"
	"github.com/hutch-project/hutch/internal/host/cgroup"
	"github.com/hutch-project/hutch/internal/nearest"
	"github.com/hutch-project/hutch/internal/part/capability"
	"github.com/hutch-project/hutch/internal/part/process"
	"github.com/hutch-project/hutch/internal/part/user"
	"github.com/hutch-project/hutch/internal/program/spawn"
)

// UserName is a user by names, one of which may be a number; Group may be empty. The
// additional groups are those of the group file, where Group is empty, or with KeepGroups
// those that the process has without.
type UserName struct {
	User, Group string
	KeepGroups  bool
}

// accounts are the container's files of accounts, as a process in the container sends them.
type accounts struct {
	files [len(user.NameFiles)][]byte
	errs  [len(user.NameFiles)]error
	now   int // the file that comes
}

// take takes the next piece of a file, or its end.
func (a *accounts) take(event spawn.Event) error {
	if a.now == len(a.files) {
		return errors.New("program: the process sends more files than there are")
	}
	if len(event.Data) == 0 {
		if event.Value < 0 {
			a.errs[a.now] = unix.Errno(-event.Value)
		}
		a.now++
		return nil
	}
	if len(a.files[a.now])+len(event.Data) > user.Limit {
		return fmt.Errorf("--user: %s of the container is larger than %d bytes; give numbers", user.NameFiles[a.now], user.Limit)
	}
	a.files[a.now] = append(a.files[a.now], event.Data...)
	return nil
}

// find returns the account of the names. A file that is missing has no entries.
func (a *accounts) find(n *UserName) (user.Account, error) {
	account, err := user.Find(n.User, n.Group, a.files[0], a.files[1])
	if err == nil {
		return account, nil
	}
	err = fmt.Errorf("%w of the container", err)
	unknown := new(user.Unknown)
	if !errors.As(err, &unknown) {
		return account, err
	}
	for i, file := range user.NameFiles {
		switch {
		case file != unknown.File || a.errs[i] == nil:
		case errors.Is(a.errs[i], unix.EINVAL):
			return account, fmt.Errorf("%w, which is no regular file; give numbers", err)
		default:
			return account, fmt.Errorf("%w: %w; give numbers", err, a.errs[i])
		}
	}
	if like := nearest.To(unknown.Name, unknown.Names); like != "" {
		return account, fmt.Errorf("%w; did you mean %s?", err, fault.Name(like))
	}
	return account, fmt.Errorf("%w; give a name that is, or numbers", err)
}

// names finds the ids of the user whom the caller has named, by a process of its own in the
// container, and has the process run as that.
func (e *execution) names(sub cgroup.Sub) error {
	who := e.o.User
	if who == nil {
		return nil
	}
	e.reads = &accounts{}
	if err := e.enter(sub); err != nil {
		return fmt.Errorf("--user %s: %w", fault.Quote(who.text()), err)
	}
	_, err := e.child.Wait()
	e.child.Close()
	e.child, e.atLimit = nil, atLimit{}
	if err == nil {
		var account user.Account
		if account, err = e.reads.find(who); err == nil {
			e.p.User.UID, e.p.User.GID = account.UID, account.GID
			if !who.KeepGroups {
				e.p.User.AdditionalGids = account.Groups
			}
		}
	}
	if err != nil {
		return fmt.Errorf("--user %s: %w", fault.Quote(who.text()), err)
	}
	e.reads = nil
	return nil
}

// text returns the names as the caller has given them.
func (n *UserName) text() string {
	if n.Group == "" {
		return n.User
	}
	return n.User + ":" + n.Group
}

// namesInput returns what the program that reads the files of accounts depends on: the
// process has the ids of the container's own.
func (e *execution) namesInput() *compile.ExecInput {
	e.work = nil
	e.work.add(e.way.outside, compile.Born, "linux.cgroupsPath", "move the process", (*execution).move)
	return &compile.ExecInput{
		Names: true, Init: e.init, Process: &specs.Process{User: e.own}, Linux: &specs.Linux{},
		Wait: len(e.work) > 0, Annotated: compile.Annotated{KeepGroups: keepsGroups(e.c.rec.Annotations)},
		Host: compile.Host{Ignored: process.IgnoredSignals(), LastCap: capability.Last()},
	}
}
