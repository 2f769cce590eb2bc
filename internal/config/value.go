package config

import "strconv"

// The functions here decode one value each of a kind that the specification's
// types have; the generated decoders of structures call them.

// str decodes a string.
func str[S ~string](d *decoder, v *S) {
	if !d.null() {
		*v = S(d.text())
	}
}

// boolean decodes true or false.
func boolean(d *decoder, v *bool) {
	switch {
	case d.word("true"):
		*v = true
	case d.word("false"):
		*v = false
	case !d.null():
		d.want("true or false")
	}
}

// unsigned decodes an integer of an unsigned type. As encoding/json it takes no
// fraction, no exponent and no sign.
func unsigned[N ~uint | ~uint8 | ~uint16 | ~uint32 | ~uint64](d *decoder, v *N) {
	limit := uint64(^N(0))
	text, at := d.integer("an integer from 0 to ", limit)
	if text == "" {
		return
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil || n > limit {
		d.fail(at, "want an integer from 0 to "+strconv.FormatUint(limit, 10)+", found "+cut(text))
		return
	}
	*v = N(n)
}

// signed decodes an integer of a signed type, which has no fraction and no
// exponent.
func signed[N ~int | ~int8 | ~int16 | ~int32 | ~int64](d *decoder, v *N) {
	text, at := d.integer("an integer", 0)
	if text == "" {
		return
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || int64(N(n)) != n {
		bits := 8
		for ; bits < 64 && N(1)<<(bits-1) > 0; bits *= 2 {
		}
		limit := uint64(1) << (bits - 1)
		d.fail(at, "want an integer from -"+strconv.FormatUint(limit, 10)+" to "+
			strconv.FormatUint(limit-1, 10)+", found "+cut(text))
		return
	}
	*v = N(n)
}

// integer reads the number that comes and returns its text and offset. The text
// is empty for null and for faults.
func (d *decoder) integer(want string, limit uint64) (string, int) {
	c := d.peek()
	if c != '-' && (c < '0' || c > '9') {
		if !d.null() {
			if limit > 0 {
				want += strconv.FormatUint(limit, 10)
			}
			d.want(want)
		}
		return "", 0
	}
	at := d.i
	text := d.number()
	if d.fault != "" {
		return "", 0
	}
	return text, at
}

// pointer decodes null as nil, and else what the pointer points to. Something
// that it points to already is changed in place, as by encoding/json.
func pointer[T any](d *decoder, v **T, value func(*decoder, *T)) {
	if d.null() {
		*v = nil
		return
	}
	if *v == nil {
		*v = new(T)
	}
	value(d, *v)
}

// list decodes an array. Where a property stands twice, the second array goes
// over the elements of the first, as in encoding/json.
func list[T any](d *decoder, v *[]T, value func(*decoder, *T)) {
	if d.null() {
		*v = nil
		return
	}
	s, n := *v, 0
	for ok := d.array(); ok; ok = d.element() {
		switch {
		case n < len(s):
		case n < cap(s):
			s = s[:n+1]
		case s == nil:
			s = make([]T, 1, 4)
		default:
			var zero T
			s = append(s, zero)
		}
		value(d, &s[n])
		n++
	}
	if n == 0 {
		s = []T{}
	}
	*v = s[:n]
}

// strs is list for strings, with one allocation for many lists.
func strs(d *decoder, v *[]string) {
	if cap(*v) > 0 || d.peek() != '[' {
		list(d, v, str[string])
		return
	}
	first := len(d.spare)
	for ok := d.array(); ok; ok = d.element() {
		if len(d.spare) == cap(d.spare) {
			d.spare = append(make([]string, 0, 2*(len(d.spare)-first)+128), d.spare[first:]...)
			first = 0
		}
		var s string
		str(d, &s)
		d.spare = append(d.spare, s)
	}
	*v = d.spare[first:len(d.spare):len(d.spare)]
	if len(*v) == 0 {
		*v = []string{}
	}
}

// dict decodes an object with any names. Null stands for no map.
func dict[T any](d *decoder, v *map[string]T, value func(*decoder, *T)) {
	if d.null() {
		*v = nil
		return
	}
	m := *v
	if m == nil {
		m = map[string]T{}
	}
	element := new(T)
	for ok := d.object(); ok; ok = d.member() {
		name := d.name
		*element = *new(T)
		value(d, element)
		m[name] = *element
	}
	*v = m
}
