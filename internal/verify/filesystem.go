package verify

import (
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/program"
)

// A file system that is being made is known by a text: its type, its source and its options,
// one behind the other. The mount that is made of it has the same.

// between stands between the parts of such a text.
const between = "\x00"

// typeOf returns the type of the file system of the text.
func typeOf(text string) string {
	name, _, _ := strings.Cut(text, between)
	return name
}

// configures adds what an fsconfig(2) says to what is known of the file system v.
func (w *walker) configures(s *state, in *program.Instr, v *value) {
	key, _ := w.str(in.Args[2])
	option := key
	switch imm(in, 1) {
	case unix.FSCONFIG_SET_STRING:
		text, _ := w.str(in.Args[3])
		option += "=" + text
	case unix.FSCONFIG_SET_FD:
		if fd := w.value(s, in.Args[4]); fd.k == kHost && w.x.ns[fd.path]&unix.CLONE_NEWPID != 0 {
			v.attr |= aOwn
		}
	}
	v.path = w.text(w.texts[v.path] + between + option)
}

// fromMount returns the text of what mount(2) mounts.
func (w *walker) fromMount(in *program.Instr) (text string, ok bool) {
	source, _ := w.str(in.Args[0])
	typ, ok := w.str(in.Args[2])
	text = typ + between + "source=" + source
	data := ""
	if _, is := in.Args[4].Addr(); is {
		var known bool
		data, known = w.str(in.Args[4])
		ok = ok && known
	}
	if l := w.x.lin.MountLabel; l != "" {
		if rest, is := strings.CutSuffix(data, `="`+l+`"`); is { // it has commas of its own
			i := strings.LastIndexByte(rest, ',')
			text += between + rest[i+1:] + "=" + l
			data = rest[:max(i, 0)]
		}
	}
	if data != "" {
		text += between + strings.ReplaceAll(data, ",", between)
	}
	if imm(in, 3)&unix.MS_RDONLY != 0 {
		text += between + "ro"
	}
	return text, ok
}

// isOf reports whether the file system of the text is the one that m asks for: it has each of m's
// options with a value, and no option that m has not.
func (w *walker) isOf(m *mountOf, text string) bool {
	parts := strings.Split(text, between)
	if parts[0] != m.typ {
		return false
	}
	source := w.texts[m.source]
	if source == "" {
		source = m.typ
	}
	for _, o := range parts[1:] {
		key, value, _ := strings.Cut(o, "=")
		switch {
		case slices.Contains(m.options, o), o == "ro" && m.ro, key == "pidns":
		case key == "source" && value == source:
		case w.x.lin.MountLabel != "" && value == w.x.lin.MountLabel && strings.HasSuffix(key, "context"):
		case key == "mode" && m.typ == "tmpfs" && !slices.ContainsFunc(m.options, func(o string) bool { return strings.HasPrefix(o, "mode=") }):
			// that of the mount point
		default:
			return false
		}
	}
	for _, o := range m.options {
		if isData(o) && !strings.Contains(text+between, between+strings.ReplaceAll(o, ",", between)+between) && !slices.Contains(parts, o) {
			return false
		}
	}
	return true
}

// isData reports whether the option of a mount is one with a value that the file system takes.
func isData(o string) bool {
	key, _, is := strings.Cut(o, "=")
	return is && !strings.HasPrefix(o, "x-") && !strings.HasPrefix(o, "X-") && key != "comment" && key != "idmap" && key != "ridmap"
}

// namespaceOf returns the kind of namespace whose things a file system of the type shows: that of
// the process that makes it.
func namespaceOf(fs uint8) uint64 {
	switch fs {
	case fsProc:
		return unix.CLONE_NEWPID
	case fsSys:
		return unix.CLONE_NEWNET
	case fsMqueue:
		return unix.CLONE_NEWIPC
	case fsCgroup:
		return unix.CLONE_NEWCGROUP
	}
	return 0
}

// own returns the attribute of a file system that the process makes where it has all of the
// container's namespaces that it shows.
func (w *walker) own(s *state, fs uint8) uint32 {
	if w.x.own&^s.got&namespaceOf(fs) == 0 {
		return aOwn
	}
	return 0
}

// checkConfig refuses an operation of fsconfig(2) that is not for a file system that is being
// made.
func (w *walker) checkConfig(s *state, pc int, in *program.Instr) {
	switch imm(in, 1) {
	case unix.FSCONFIG_SET_FLAG, unix.FSCONFIG_SET_STRING, unix.FSCONFIG_CMD_CREATE:
	case unix.FSCONFIG_SET_FD:
		v, ok := w.fd(s, pc, in.Args[4], FdUse)
		if key, _ := w.str(in.Args[2]); ok && (key != "pidns" || v.k != kHost || w.x.ns[v.path]&unix.CLONE_NEWPID == 0) {
			w.refuse(s, pc, MountConfig, "a descriptor that is no pid namespace of the configuration is an option")
		}
	default:
		w.refuse(s, pc, Known, "the verifier does not know the operation of fsconfig")
	}
}

// checkOwnFS refuses to attach a file system of the program's own where neither the configuration
// has it nor the runtime needs it.
func (w *walker) checkOwnFS(s *state, pc int, v *value, at int32) {
	if v.attr&aOwn == 0 && namespaceOf(v.fs) != 0 {
		w.refuse(s, pc, Namespaces, "the file system was made before the process was in the namespace that it shows")
		return
	}
	_, masked := w.x.masked[at]
	node, device := w.x.devices[at]
	switch {
	case slices.ContainsFunc(w.x.mounts, func(m mountOf) bool { return m.dest == at && !m.bind && m.link == 0 && w.ofMount(&m, v) }):
	case masked || w.waive[Masked] != "" && at == 0:
		if v.fs != fsTmp && v.proof&pNullDevice != pNullDevice {
			w.refuse(s, pc, Masked, "what covers it is neither the null device nor an empty directory")
		}
	case device && v.num == node:
	case v.fs == fsCgroup && w.underCgroup(at):
	default:
		w.refuse(s, pc, MountConfig, "a file system is attached on "+w.texts[at]+", where the configuration has none, or another")
	}
}

// ofMount reports whether v, a file system of the program's own, is what m asks for.
func (w *walker) ofMount(m *mountOf, v *value) bool {
	if m.fs == fsCgroup {
		return v.fs == fsCgroup || v.fs == fsTmp
	}
	return w.isOf(m, w.texts[v.path])
}

// checkPart refuses to attach a part of the container's tree elsewhere: what is masked could be
// seen there.
func (w *walker) checkPart(s *state, pc int, v *value, at int32) {
	_, readonly := w.x.readonly[at]
	switch {
	case v.proof&pDevpts != 0 && w.texts[at] == "/dev/console":
	case v.path == at && v.attr&aWhole != 0 && (readonly || w.waive[ReadOnly] != ""):
	case slices.ContainsFunc(w.x.mounts, func(m mountOf) bool { return m.dest == at && m.bind && m.inside == v.path && v.path != 0 }):
	default:
		w.refuse(s, pc, MountConfig, "a part of the container is attached on "+w.texts[at]+" without the configuration's asking")
	}
}
