package main

import (
	"os"
	"sort"
	"strconv"
	"strings"
	"syscall"
)

// report is the text so far.
type report struct{ text []byte }

// column is where a row's value starts, after the indent.
const column = 18

// head starts a section.
func (r *report) head(name string) {
	if len(r.text) > 0 {
		r.text = append(r.text, '\n')
	}
	r.text = append(r.text, name...)
	r.text = append(r.text, '\n')
}

// row adds a line: an indented name, padded to the column, and its value.
func (r *report) row(name, value string) {
	r.text = append(r.text, "  "...)
	r.text = append(r.text, name...)
	r.text = append(r.text, ' ')
	for n := len(name) + 1; n < column; n++ {
		r.text = append(r.text, ' ')
	}
	r.text = append(r.text, value...)
	r.text = append(r.text, '\n')
}

func (r *report) identity() {
	r.head("process")
	r.row("pid", strconv.Itoa(os.Getpid())+", parent "+strconv.Itoa(os.Getppid()))
	r.row("user", strconv.Itoa(os.Getuid())+":"+strconv.Itoa(os.Getgid())+groups())
	var u syscall.Utsname
	if err := syscall.Uname(&u); err == nil {
		r.row("host name", cString(u.Nodename[:]))
		r.row("domain name", cString(u.Domainname[:]))
		r.row("kernel", cString(u.Release[:]))
	}
	dir, err := os.Getwd()
	r.row("directory", orError(dir, err))
	r.row("arguments", strings.Join(os.Args, " "))
}

func groups() string {
	ids, err := syscall.Getgroups()
	if err != nil || len(ids) == 0 {
		return ""
	}
	text := ", groups"
	for _, id := range ids {
		text += " " + strconv.Itoa(id)
	}
	return text
}

// cString is the text before the first NUL. Its element type differs between
// architectures.
func cString[T int8 | uint8](b []T) string {
	var text []byte
	for _, c := range b {
		if c == 0 {
			break
		}
		text = append(text, byte(c))
	}
	return string(text)
}

func (r *report) namespaces() {
	r.head("namespaces")
	const dir = "/proc/self/ns/"
	for _, name := range names(dir) {
		if strings.HasSuffix(name, "_for_children") {
			continue
		}
		text, err := os.Readlink(dir + name)
		r.row(name, orError(text, err))
	}
	for _, kind := range []string{"uid_map", "gid_map"} {
		for _, line := range lines("/proc/self/" + kind) {
			r.row(kind, strings.Join(strings.Fields(line), " "))
		}
	}
}

func (r *report) cgroup() {
	r.head("cgroup")
	for _, line := range lines("/proc/self/cgroup") {
		_, rest, _ := strings.Cut(line, ":")
		controllers, path, ok := strings.Cut(rest, ":")
		switch {
		case !ok:
			r.row("cgroup", line)
		case controllers == "":
			r.row("unified", path)
		default:
			r.row(controllers, path)
		}
	}
}

func (r *report) privileges() {
	r.head("privileges")
	status := lines("/proc/self/status")
	switch field(status, "NoNewPrivs") {
	case "0":
		r.row("no new privileges", "no")
	case "1":
		r.row("no new privileges", "yes")
	}
	switch mode := field(status, "Seccomp"); mode {
	case "0":
		r.row("seccomp", "off")
	case "1":
		r.row("seccomp", "strict")
	case "2":
		r.row("seccomp", "filter, "+field(status, "Seccomp_filters")+" loaded")
	}
	for _, name := range []string{"oom_score_adj", "attr/current", "personality"} {
		if text := lines("/proc/self/" + name); len(text) == 1 {
			r.row(name, strings.TrimRight(text[0], "\x00"))
		}
	}
}

func (r *report) limits() {
	r.head("limits (soft, hard)")
	text := lines("/proc/self/limits")
	for i, line := range text {
		if i == 0 || len(line) < 68 {
			continue
		}
		unit := strings.TrimSpace(line[68:])
		value := strings.TrimSpace(line[26:47]) + ", " + strings.TrimSpace(line[47:68])
		r.row(strings.ToLower(strings.TrimPrefix(strings.TrimSpace(line[:26]), "Max ")), strings.TrimSpace(value+" "+unit))
	}
}

// mounts prints each mount: where, type, options of mount and file system.
func (r *report) mounts() {
	r.head("mounts")
	for _, line := range lines("/proc/self/mountinfo") {
		before, after, ok := strings.Cut(line, " - ")
		own, fs := strings.Fields(before), strings.Fields(after)
		if !ok || len(own) < 6 || len(fs) < 3 {
			continue
		}
		text := own[4]
		for n := len(text); n < 24; n++ {
			text += " "
		}
		text += " " + own[5]
		for _, extra := range own[6:] {
			text += " " + extra
		}
		r.row(fs[0], text)
	}
}

func (r *report) devices() {
	r.head("/dev")
	for _, name := range names("/dev") {
		var st syscall.Stat_t
		if err := syscall.Lstat("/dev/"+name, &st); err != nil {
			r.row(name, err.Error())
			continue
		}
		mode := strconv.FormatUint(uint64(st.Mode&0o7777), 8)
		switch st.Mode & syscall.S_IFMT {
		case syscall.S_IFLNK:
			text, err := os.Readlink("/dev/" + name)
			r.row(name, "-> "+orError(text, err))
		case syscall.S_IFCHR:
			r.row(name, "character "+deviceNumber(uint64(st.Rdev))+", mode "+mode)
		case syscall.S_IFBLK:
			r.row(name, "block "+deviceNumber(uint64(st.Rdev))+", mode "+mode)
		case syscall.S_IFDIR:
			r.row(name, "directory, mode "+mode)
		default:
			r.row(name, "file, mode "+mode)
		}
	}
}

// deviceNumber is "major:minor" of a device number.
//
// Source: linux/kdev_t.h, new_decode_dev.
func deviceNumber(dev uint64) string {
	major := dev >> 8 & 0xfff
	minor := dev&0xff | dev>>12&0xfff00
	return strconv.FormatUint(major, 10) + ":" + strconv.FormatUint(minor, 10)
}

// descriptors prints what was open at the start: execve would have closed the
// close-on-exec ones, so those are this process's own.
func (r *report) descriptors() {
	r.head("open files")
	const dir = "/proc/self/fd/"
	for _, name := range names(dir) {
		text, err := os.Readlink(dir + name)
		if err != nil { // the descriptor that read this directory
			continue
		}
		flags, err := strconv.ParseUint(field(lines("/proc/self/fdinfo/"+name), "flags"), 8, 32)
		if err == nil && flags&syscall.O_CLOEXEC == 0 {
			r.row(name, text)
		}
	}
}

func (r *report) environment() {
	r.head("environment")
	for _, entry := range os.Environ() {
		name, value, _ := strings.Cut(entry, "=")
		r.row(name, value)
	}
}

// names lists a directory in order; numbers go by value.
func names(dir string) []string {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil
	}
	var list []string
	for _, e := range entries {
		list = append(list, e.Name())
	}
	sort.Slice(list, func(i, j int) bool {
		a, errA := strconv.Atoi(list[i])
		b, errB := strconv.Atoi(list[j])
		if errA == nil && errB == nil {
			return a < b
		}
		return list[i] < list[j]
	})
	return list
}

// lines reads a file's lines; none when it cannot be read.
func lines(path string) []string {
	data, err := os.ReadFile(path)
	if err != nil || len(data) == 0 {
		return nil
	}
	return strings.Split(strings.TrimRight(string(data), "\n"), "\n")
}

// field is the value of "name:" among the lines of /proc/self/status.
func field(status []string, name string) string {
	for _, line := range status {
		if value, ok := strings.CutPrefix(line, name+":"); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

func orError(text string, err error) string {
	if err != nil {
		return err.Error()
	}
	return text
}
