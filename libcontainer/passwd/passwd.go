// Package passwd reads the few things that a runtime wants of passwd(5).
package passwd

import (
	"bufio"
	"io"
	"strconv"
	"strings"
)

// limit bounds what is read of a file that an image has brought.
const limit = 1 << 20

// Home is the home directory of the user uid in the passwd file f, "/" where the
// file does not tell.
func Home(f io.Reader, uid uint32) string {
	if fields := find(f, uid); len(fields) > 5 && strings.HasPrefix(fields[5], "/") {
		return fields[5]
	}
	return "/"
}

// Name is the name of the user uid, its number where the file does not tell.
func Name(f io.Reader, uid uint32) string {
	if fields := find(f, uid); len(fields) > 0 {
		return fields[0]
	}
	return strconv.FormatUint(uint64(uid), 10)
}

func find(f io.Reader, uid uint32) []string {
	want := strconv.FormatUint(uint64(uid), 10)
	s := bufio.NewScanner(io.LimitReader(f, limit))
	for s.Scan() {
		fields := strings.Split(s.Text(), ":")
		if len(fields) > 2 && fields[2] == want {
			return fields
		}
	}
	return nil
}
