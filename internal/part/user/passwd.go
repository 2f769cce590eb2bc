package user

import (
	"bytes"
	"io"
	"strconv"
	"strings"
)

// Limit bounds what is read of a file that an image has brought, in bytes.
const Limit = 1 << 20

// Home returns the home directory of the user uid by text, the beginning of a passwd
// file, or, with end, all of it. Of several entries the first counts. Where the text does
// not tell, the directory is "/", and false is returned.
func Home(text []byte, uid uint32, end bool) (string, bool) {
	if !end { // the last line may be cut off
		text = text[:bytes.LastIndexByte(text, '\n')+1]
	}
	fields := find(text, uid)
	if fields == nil {
		return "/", false
	}
	if len(fields) > 5 && strings.HasPrefix(fields[5], "/") {
		return fields[5], true
	}
	return "/", true
}

// Name returns the name of the user uid, its number where the file does not tell. A
// file that cannot be read to its end is taken as far as it can.
func Name(f io.Reader, uid uint32) string {
	text, _ := io.ReadAll(io.LimitReader(f, Limit))
	if fields := find(text, uid); len(fields) > 0 && fields[0] != "" {
		return fields[0]
	}
	return strconv.FormatUint(uint64(uid), 10)
}

// find returns the entry of uid in its fields, of which there are three or more.
func find(text []byte, uid uint32) []string {
	for line := range bytes.Lines(text) {
		fields := strings.Split(strings.TrimRight(string(line), "\r\n"), ":")
		if len(fields) < 3 {
			continue
		}
		if n, err := strconv.ParseUint(fields[2], 10, 32); err == nil && uint32(n) == uid {
			return fields
		}
	}
	return nil
}
