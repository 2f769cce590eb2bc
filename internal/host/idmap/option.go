package idmap

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/hutch-project/hutch/internal/uidmap"
)

// ParseOption returns the mappings of a mount option idmap=TEXT, as in
// uids=0-1-10#10-11-10;gids=0-100-10. Each range has the first id of the file system, the
// first one on the host, and their number. After a @ the second id is one of the container,
// whose own mappings are uids and gids. What the text leaves out is the container's.
//
// Source: crun(1), "idmap mount options".
func ParseOption(text string, uids, gids []specs.LinuxIDMapping) (u, g []specs.LinuxIDMapping, err error) {
	u, g = uids, gids
	for part := range strings.SplitSeq(text, ";") {
		key, list, _ := strings.Cut(part, "=")
		switch key {
		case "uids":
			u, err = parseRanges(list, uids)
		case "gids":
			g, err = parseRanges(list, gids)
		default:
			err = fmt.Errorf("%q is neither uids=… nor gids=…", part)
		}
		if err != nil {
			return nil, nil, err
		}
	}
	return u, g, nil
}

func parseRanges(list string, own []specs.LinuxIDMapping) (out []specs.LinuxIDMapping, err error) {
	for one := range strings.SplitSeq(list, "#") {
		text, relative := strings.CutPrefix(one, "@")
		f := strings.Split(text, "-")
		if len(f) != 3 {
			return nil, fmt.Errorf("%q is no range: write FIRST-HOST-NUMBER", one)
		}
		var n [3]uint32
		for i := range n {
			v, err := strconv.ParseUint(f[i], 10, 32)
			if err != nil {
				return nil, fmt.Errorf("%q: %q is no number of an id", one, f[i])
			}
			n[i] = uint32(v)
		}
		if relative {
			if n[1], err = onHost(own, n[1]); err != nil {
				return nil, fmt.Errorf("%q: %w", one, err)
			}
		}
		out = append(out, specs.LinuxIDMapping{ContainerID: n[0], HostID: n[1], Size: n[2]})
	}
	return out, nil
}

// onHost is the id of the host that id is in the container.
func onHost(own []specs.LinuxIDMapping, id uint32) (uint32, error) {
	if outside, ok := uidmap.Outside(own, id); ok {
		return outside, nil
	}
	return 0, fmt.Errorf("%d is no id of the container", id)
}
