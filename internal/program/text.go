package program

import "strconv"

// String renders t.
func (t Text) String() string {
	out := make([]byte, 0, len(t.F)+len(t.A)+len(t.B)+8)
	strs := [2]string{t.A, t.B}
	n := 0
	for i := 0; i < len(t.F); i++ {
		c := t.F[i]
		if c != '%' || i+1 == len(t.F) {
			out = append(out, c)
			continue
		}
		i++
		switch t.F[i] {
		case 's', 'q':
			s := ""
			if n < len(strs) {
				s = strs[n]
			}
			n++
			if t.F[i] == 'q' {
				out = strconv.AppendQuote(out, s)
			} else {
				out = append(out, s...)
			}
		case 'd':
			out = strconv.AppendInt(out, int64(t.I), 10)
		default:
			out = append(out, t.F[i])
		}
	}
	return string(out)
}
