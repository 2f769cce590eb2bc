// Package sysctlname gives the file of a kernel parameter.
package sysctlname

import (
	"errors"
	"fmt"
	"strings"
)

// ErrName is returned for what names no file below /proc/sys.
var ErrName = errors.New("is no name of a kernel parameter; write it as net.ipv4.ip_forward or net/ipv4/ip_forward")

// maxPath is PATH_MAX, with the NUL at its end.
const maxPath = 4096

// Path returns the file that key names, relative to /proc/sys. The first separator
// decides on the form: with a slash first, dots are part of names, as in
// net/ipv4/conf/eth0.100/forwarding; with a dot first, dots and slashes are
// exchanged, as in net.ipv4.conf.eth0/100.forwarding.
//
// No component of the result is empty, "." or "..". The error is ErrName.
//
// Source: sysctl.d(5).
func Path(key string) (string, error) {
	name := key
	if i := strings.IndexAny(key, "./"); i >= 0 && key[i] == '.' {
		b := []byte(key)
		for i, c := range b {
			switch c {
			case '.':
				b[i] = '/'
			case '/':
				b[i] = '.'
			}
		}
		name = string(b)
	}
	if strings.IndexByte(name, 0) >= 0 || len(name) > maxPath-len("/proc/sys/")-1 {
		return "", fmt.Errorf("%q %w", key, ErrName)
	}
	for part := range strings.SplitSeq(name, "/") {
		if part == "" || part == "." || part == ".." {
			return "", fmt.Errorf("%q %w", key, ErrName)
		}
	}
	return name, nil
}
