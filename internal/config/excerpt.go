package config

import "slices"

// Excerpt returns, as a text for Decode, the part of the configuration data that a
// further process in the container needs: process, and the members of linux that linux
// names. It is nil when there is no process. data is one that Decode has taken.
//
// What stands twice stays twice, so that Decode merges it as it does in data.
func Excerpt(data []byte, linux []string) []byte {
	text, found := excerpt(data, "process", linux)
	if !found {
		return nil
	}
	return text
}

// ResourcesExcerpt returns linux.resources in the same way, nil when there is none.
func ResourcesExcerpt(data []byte) []byte {
	text, found := excerpt(data, "", []string{"resources"})
	if !found {
		return nil
	}
	return text
}

// excerpt keeps the member top and those members of linux. found reports
// whether top, or a member when top is empty, is there.
func excerpt(data []byte, top string, linux []string) (text []byte, found bool) {
	d := decoder{s: string(data)}
	out := append(make([]byte, 0, 1024), '{')
	for ok := d.object(); ok; ok = d.member() {
		switch d.name {
		case top:
			out, found = d.copy(out), true
		case "linux":
			out = append(out, `"linux":{`...)
			for ok := d.object(); ok; ok = d.member() {
				if slices.Contains(linux, d.name) {
					out, found = d.copy(out), found || top == ""
				} else {
					d.skip()
				}
			}
			out = append(closed(out), ',')
		default:
			d.skip()
		}
	}
	return closed(out), found && d.fault == ""
}

// copy appends the member that comes, and a comma.
func (d *decoder) copy(out []byte) []byte {
	out = append(append(append(out, '"'), d.name...), `":`...)
	d.peek()
	start := d.i
	d.skip()
	return append(append(out, d.s[start:d.i]...), ',')
}

// closed ends an object, whose last comma goes.
func closed(out []byte) []byte {
	if out[len(out)-1] == ',' {
		out = out[:len(out)-1]
	}
	return append(out, '}')
}
