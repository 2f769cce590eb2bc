package compile

import (
	"github.com/hutch-project/hutch/internal/part/keyring"
	"github.com/hutch-project/hutch/internal/part/rootfs"
	"github.com/hutch-project/hutch/internal/part/terminal"
	"github.com/hutch-project/hutch/internal/part/user"
)

// Tags of the messages between the runtime and init, or a further process. Their order and numbers
// mean nothing; ARCHITECTURE.md has when each comes. At a barrier init waits for the runtime's
// answer of one byte.
//
// Further tags belong to the packages that emit them: rootfs.TargetTag and on,
// rootfs.CopyUpTag and on, terminal.ConsoleTag, user.HomeTag, user.NamesTag,
// keyring.MadeTag.
const (
	Adopt       = 1  // value: the process that goes on in this one's place; no answer
	Born        = 2  // value: the serial number of the keyring, unless there is a user namespace. The runtime records init; a barrier where it has to write id mappings and limits, or to move network devices
	TimeOffsets = 3  // barrier: the runtime writes linux.timeOffsets
	Hooks       = 4  // barrier: the runtime runs prestart, createRuntime, createContainer
	Ready       = 5  // all is set up; a barrier until init is written down with a fifo, else until start
	Loading     = 7  // the filter is loaded, and its listener comes along; or value: the listener's descriptor to be, and the filter is loaded next. Init is then ready and tells nothing more before start; a further process waits for the answer
	HookBegins  = 8  // value: index in hooks.startContainer of the one that begins; no answer
	HookOutput  = 9  // with the end of the output of a hook that has failed; HookFailed follows
	HookFailed  = 10 // value: the wait status of that hook; init ends
	HookStdout  = 12 // with a piece of the output of a hook that has ended; no answer
	HookStderr  = 13 // the same of its standard error
	Joined      = 11 // barrier of a further process that is in init's namespaces: the runtime sees that they are the container's. With a pid namespace that is at Adopt
	Executing   = 6  // execve comes next; no answer. The socket's end then means success
)

// OfHook reports whether data comes with the messages of tag: what a startContainer hook has
// written.
func OfHook(tag uint32) bool { return tag == HookOutput || tag == HookStdout || tag == HookStderr }

// TagName returns the word for a tag in listings, empty for one of another package.
func TagName(tag uint32) string {
	switch {
	case tag == Adopt:
		return "adopt"
	case tag == Born:
		return "born"
	case tag == Joined:
		return "joined"
	case tag == TimeOffsets:
		return "time offsets"
	case tag == Hooks:
		return "hooks"
	case tag == Ready:
		return "ready"
	case tag == Loading:
		return "loading"
	case tag == Executing:
		return "executing"
	case tag == HookBegins:
		return "hook begins"
	case tag == HookOutput:
		return "hook output"
	case tag == HookFailed:
		return "hook failed"
	case tag == HookStdout:
		return "hook stdout"
	case tag == HookStderr:
		return "hook stderr"
	case tag == user.HomeTag:
		return "home directory"
	case tag == user.NamesTag:
		return "accounts"
	case tag == keyring.MadeTag:
		return "keyring"
	case tag == terminal.ConsoleTag:
		return "console"
	case tag >= rootfs.TargetTag && tag < rootfs.CopyUpTag:
		return "make the mount point"
	case tag >= rootfs.CopyUpTag && tag < rootfs.TagsEnd:
		return "copy up"
	}
	return ""
}
