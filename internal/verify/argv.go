package verify

import (
	"slices"
	"strconv"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/hutch-project/hutch/internal/program"
)

// strv returns the offsets of the strings of the array that a points to, which nobody writes.
func (w *walker) strv(a program.Arg) (list []uint32, ok bool) {
	const word = strconv.IntSize / 8
	off, ok := a.Addr()
	for ; ok; off += word {
		if w.p.Data(off, word) == nil || w.dynamic(off, word) {
			return nil, false
		}
		to, more := w.p.Pointer(off)
		if !more {
			return list, isZero(w.p.Data(off, word))
		}
		list = append(list, to)
	}
	return nil, false
}

// isArgs reports whether a points to the arguments want.
func (w *walker) isArgs(a program.Arg, want []string) bool {
	list, ok := w.strv(a)
	if !ok || len(list) != len(want) {
		return false
	}
	for i, off := range list {
		if text, ok := w.cstring(off); !ok || text != want[i] {
			return false
		}
	}
	return true
}

// isEnv reports whether a points to the environment want, in any order.
func (w *walker) isEnv(a program.Arg, want []string) bool {
	list, ok := w.strv(a)
	left := slices.Clone(want)
	for _, off := range list {
		text, known := w.cstring(off)
		if !known && w.isHome(off) {
			text = home
		}
		i := slices.Index(left, text)
		if i < 0 {
			return false
		}
		left = slices.Delete(left, i, i+1)
	}
	return ok && len(left) == 0
}

// home stands for the variable whose value the runtime finds in the container's passwd file.
const home = "HOME=\x00"

// isHome reports whether a string that the runtime writes meanwhile is the variable HOME.
func (w *walker) isHome(off uint32) bool {
	const name = "HOME="
	return string(w.p.Data(off, uint32(len(name)))) == name
}

// environment returns what the process gets: of a name that is there twice the last counts.
func environment(e *Expect) []string {
	var out []string
	has := map[string]bool{}
	for _, v := range slices.Backward(e.Spec.Process.Env) {
		name, value, _ := strings.Cut(v, "=")
		if !has[name] && (name != "HOME" || value != "") {
			out = append(out, v)
		}
		has[name] = true
	}
	if e.NotifyDir != "" {
		out = append(out, "NOTIFY_SOCKET=/run/notify/notify.sock")
	}
	if e.ListenFds > 0 {
		out = append(out, "LISTEN_FDS="+strconv.Itoa(e.ListenFds), "LISTEN_PID=1")
	}
	if !slices.ContainsFunc(out, func(v string) bool { return strings.HasPrefix(v, "HOME=") }) {
		out = append(out, home)
	}
	return out
}

// isProcess reports whether the call executes the process of the configuration.
func (w *walker) isProcess(in *program.Instr, path string) bool {
	p := w.x.proc
	if p == nil || len(p.Args) == 0 {
		return false
	}
	return slices.Contains(candidates(p), path) && w.isArgs(in.Args[1], p.Args) && w.isEnv(in.Args[2], w.x.env)
}

// isStartHook reports whether the call executes the hook h of startContainer.
func (w *walker) isStartHook(in *program.Instr, path string, h *specs.Hook) bool {
	args, env := h.Args, h.Env
	if len(args) == 0 {
		args = []string{h.Path}
	}
	if env == nil {
		env = w.x.env
	}
	return path == h.Path && w.isArgs(in.Args[1], args) && w.isEnv(in.Args[2], env)
}

// candidates returns the paths by which process.args[0] is looked for.
func candidates(p *specs.Process) []string {
	name := p.Args[0]
	if strings.Contains(name, "/") {
		return []string{name}
	}
	dirs := "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
	for _, v := range p.Env {
		if value, is := strings.CutPrefix(v, "PATH="); is {
			dirs = value
		}
	}
	var out []string
	for dir := range strings.SplitSeq(dirs, ":") {
		if dir == "" {
			dir = "."
		}
		out = append(out, strings.TrimSuffix(dir, "/")+"/"+name)
	}
	return out
}
