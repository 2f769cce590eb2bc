// Package mountinfo reads the mountinfo files of processes.
package mountinfo

import (
	"strconv"
	"strings"
)

// Mount is a line of a mountinfo file.
//
// Source: proc_pid_mountinfo(5).
type Mount struct {
	ID     int
	Parent int    // the ID of what it is mounted on
	Dev    string // of the file system, as major:minor
	Root   string // what of it is mounted
	Point  string

	Options string // of the mount, as "ro,nosuid"
	Type    string
	Super   string // the options of the file system
}

// Parse returns the mounts of a mountinfo file. Lines of another form are passed over.
func Parse(text string) (out []Mount) {
	for line := range strings.Lines(text) {
		head, tail, ok := strings.Cut(line, " - ")
		f, t := strings.Fields(head), strings.Fields(tail) // a source may be empty, so t has two or three
		if !ok || len(f) < 6 || len(t) < 2 {
			continue
		}
		id, err := strconv.Atoi(f[0])
		parent, e := strconv.Atoi(f[1])
		if err != nil || e != nil {
			continue
		}
		out = append(out, Mount{
			ID: id, Parent: parent, Dev: f[2], Root: unescape(f[3]), Point: unescape(f[4]), Options: f[5],
			Type: t[0], Super: t[len(t)-1],
		})
	}
	return out
}

// unescape takes back what the kernel does to spaces, tabs, newlines and backslashes.
func unescape(text string) string {
	if !strings.Contains(text, `\`) {
		return text
	}
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] == '\\' && i+3 < len(text) {
			if v, err := strconv.ParseUint(text[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(v))
				i += 3
				continue
			}
		}
		b.WriteByte(text[i])
	}
	return b.String()
}
