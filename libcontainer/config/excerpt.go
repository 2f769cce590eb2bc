package config

// Excerpt gives, as a text for Decode, the part of the configuration data that a
// further process in the container needs: process, and of linux personality,
// memoryPolicy. It is nil when there is no process. data is one that Decode has
// taken.
//
// What stands twice stays twice, so that Decode merges it as it does in data.
func Excerpt(data []byte) []byte {
	d := decoder{s: string(data)}
	out := append(make([]byte, 0, 1024), '{')
	found := false
	for ok := d.object(); ok; ok = d.member() {
		switch d.name {
		case "process":
			out = d.copy(out)
			found = true
		case "linux":
			out = append(out, `"linux":{`...)
			for ok := d.object(); ok; ok = d.member() {
				if d.name == "personality" || d.name == "memoryPolicy" {
					out = d.copy(out)
				} else {
					d.skip()
				}
			}
			out = append(closed(out), ',')
		default:
			d.skip()
		}
	}
	if !found || d.fault != "" {
		return nil
	}
	return closed(out)
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
