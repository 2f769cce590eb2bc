package life

import (
	"cmp"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/host/exefile"
	"github.com/hutch-project/hutch/internal/nearest"
	"github.com/hutch-project/hutch/internal/part/process"
	"github.com/hutch-project/hutch/internal/part/rootfs"
	"github.com/hutch-project/hutch/internal/probe"
	"github.com/hutch-project/hutch/internal/program"
)

// explainExec adds to err, when it is a failure of execve in the container, what the file
// in the image or else the errno alone says of the reason.
func (c *container) explainExec(err error) error {
	var failure *program.Error
	if !errors.As(err, &failure) || failure.Errno == 0 {
		return err
	}
	if failure.Call != "execve" {
		return c.explainAccess(err)
	}
	reason := c.execError(failure.Note.String(), failure.Errno).Error()
	return fmt.Errorf("%w%s", err, strings.TrimPrefix(reason, failure.Errno.Error()))
}

// explainAccess adds to err, when it is that of the search for the program, which looks at the
// bits of the file, what is wrong with these. c may be nil.
func (c *container) explainAccess(err error) error {
	var failure *program.Error
	if c == nil || !errors.As(err, &failure) || failure.Call == "execve" || failure.Errno != unix.EACCES {
		return err
	}
	if why := c.fileError(failure.Note.String(), failure.Errno); why != "" {
		return fmt.Errorf("%w: %s", err, why)
	}
	return err
}

// explainMount adds to err, when it is the kernel's refusal of a file system or of an option
// that it does not know, what may be meant.
func explainMount(err error) error {
	var failed *program.Error
	if !errors.As(err, &failed) {
		return err
	}
	step := failed.Note.Step.String()
	if option, ok := strings.CutPrefix(step, "option "); ok && failed.Errno == unix.EINVAL {
		if hint := rootfs.OptionHint(option); hint != "" {
			return fmt.Errorf("%w; %s", err, hint)
		}
		return err
	}
	if failed.Call == "mount_setattr" && failed.Errno == unix.EPERM && strings.HasPrefix(failed.Note.Element.String(), "mounts[") {
		if strings.HasPrefix(step, "map the ids of ") {
			return fmt.Errorf("%w: it takes CAP_SYS_ADMIN in the user namespace in which the file system was mounted (on the host, root), "+
				"and a mount whose ids are not mapped already; leave the mappings out", err)
		}
		return fmt.Errorf("%w: what the host has set for it (ro, nosuid, nodev, noexec, an atime) cannot be taken back in a user namespace; "+
			"leave the option out", err)
	}
	if failed.Call == "open_tree" && failed.Errno == unix.EINVAL && strings.HasPrefix(step, "open source ") {
		return fmt.Errorf("%w: something is mounted below it, which a bind without it would uncover in a user namespace, or it is an unbindable mount; "+
			"make it rbind", err)
	}
	if failed.Call != "fsopen" || failed.Errno != unix.ENODEV {
		return err
	}
	name := err.Error()
	name = strings.TrimSuffix(name, ": "+failed.Errno.Error())
	name = name[strings.LastIndexByte(name, ' ')+1:]
	return fmt.Errorf("%w: the kernel has no such file system; %s", err, nearest.Or(name, probe.FileSystems(), "load its module, or see /proc/filesystems"))
}

// explainIDs adds to err, when the kernel has refused ids of exec, what they lack: create
// finds it in config.json.
func explainIDs(err error) error {
	var failed *program.Error
	if !errors.As(err, &failed) {
		return err
	}
	switch {
	case failed.Errno == unix.EINVAL && (failed.Call == "setresuid" || failed.Call == "setresgid" || failed.Call == "setgroups"):
		return fmt.Errorf("%w: it is not mapped in the container's user namespace; give one that linux.uidMappings or gidMappings have", err)
	}
	return explainGroups(err)
}

// explainGroups adds to err, when it is that groups may not be set, why and what to do. What
// a user without privileges has mapped without newgidmap is one group, and setgroups is denied
// then.
//
// Source: user_namespaces(7), "The /proc/pid/setgroups file".
func explainGroups(err error) error {
	var failed *program.Error
	if errors.As(err, &failed) && failed.Errno == unix.EPERM && failed.Call == "setgroups" {
		return fmt.Errorf("%w: a container whose only group is its caller's can set none; "+
			"leave them out, or map more of /etc/subgid in linux.gidMappings", err)
	}
	return err
}

// execError returns the errno of an execve with its reason. note is the text of the
// instruction's note, which ends with the name of the file, quoted.
func (c *container) execError(note string, errno unix.Errno) error {
	if reason := c.fileError(note, errno); reason != "" {
		return fmt.Errorf("%w: %s", errno, reason)
	}
	return process.ExplainExec(errno)
}

// fileError returns what the file at the end of note says of errno, "" for nothing.
func (c *container) fileError(note string, errno unix.Errno) string {
	_, quoted, _ := strings.Cut(note, "exec: ")
	name, err := strconv.Unquote(quoted)
	if err != nil {
		return ""
	}
	return exefile.Explain(cmp.Or(c.rec.OnRoot, c.rec.Rootfs), name, errno)
}
