// Package passwd reads the few things that a runtime wants of passwd(5).
package passwd

import (
	"bufio"
	"io"
	"strconv"
	"strings"
)

// limit bounds what is read of a file that an image has brought, in bytes. The
// user is not looked for behind a line above 64 KiB.
const limit = 1 << 20

// Home is the home directory of the user uid in the passwd file f, "/" where the
// file does not tell of one. Of several entries the first counts. A file that
// cannot be read to its end is taken as far as it can.
func Home(f io.Reader, uid uint32) string {
	if fields := find(f, uid); len(fields) > 5 && strings.HasPrefix(fields[5], "/") {
		return fields[5]
	}
	return "/"
}

// Name is the name of the user uid, its number where the file does not tell.
func Name(f io.Reader, uid uint32) string {
	if fields := find(f, uid); len(fields) > 0 && fields[0] != "" {
		return fields[0]
	}
	return strconv.FormatUint(uint64(uid), 10)
}

// find is the entry of uid, in its fields, of which there are three or more.
func find(f io.Reader, uid uint32) []string {
	s := bufio.NewScanner(io.LimitReader(f, limit))
	for s.Scan() {
		fields := strings.Split(s.Text(), ":")
		if len(fields) < 3 {
			continue
		}
		if n, err := strconv.ParseUint(fields[2], 10, 32); err == nil && uint32(n) == uid {
			return fields
		}
	}
	return nil
}
