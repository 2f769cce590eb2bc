package verify

import (
	"slices"
)

// arrive joins s with what has come to the place pc before.
func (w *walker) arrive(s *state, pc int) {
	w.canonical(s, pc)
	for _, t := range w.waiting[pc] {
		if t.mode != s.mode || !slices.Equal(t.regs, s.regs) {
			continue
		}
		if join(t, s) && !slices.Contains(w.due[pc], t) {
			w.schedule(t, pc)
		}
		w.release(s)
		return
	}
	if n := len(w.waiting[pc]); n >= maxApart {
		for _, t := range w.waiting[pc] {
			if t.mode != s.mode || n < maxStates && !w.alike(t, s, w.inLoop[pc]) {
				continue
			}
			if changed := w.widen(t, s); (join(t, s) || changed) && !slices.Contains(w.due[pc], t) {
				w.schedule(t, pc)
			}
			w.release(s)
			return
		}
		if n >= 4*maxStates {
			w.refuse(s, min(pc, len(w.code)-1), Ends, "too many states meet here for the program to be proven")
			return
		}
	}
	w.states++
	w.waiting[pc] = append(w.waiting[pc], s)
	w.schedule(s, pc)
}

func (w *walker) schedule(s *state, pc int) {
	w.due[pc] = append(w.due[pc], s)
	w.first = min(w.first, pc)
}

// join makes t stand for s, too, and reports whether that says less than before.
func join(t, s *state) (changed bool) {
	if s.lost&^t.lost != 0 {
		t.lost |= s.lost
		changed = true
	}
	if s.may&^t.may != 0 {
		t.may |= s.may
		changed = true
	}
	less := t.dropped&^s.dropped | t.got&^s.got
	for i := range t.facts {
		less |= t.facts[i] &^ s.facts[i]
	}
	if less != 0 {
		t.dropped &= s.dropped
		t.got &= s.got
		for i := range t.facts {
			t.facts[i] &= s.facts[i]
		}
		t.way = s.way // the way that lacks something
		changed = true
	}
	return changed
}

// alike reports whether widen takes nothing away from t and s that matters: they differ
// in details, or, in a loop, in what is written in one.
func (w *walker) alike(t, s *state, inLoop bool) bool {
	for i := range t.regs {
		if t.regs[i] == s.regs[i] {
			continue
		}
		a, b, ok := w.pair(t, s, i)
		if !ok || !(inLoop && w.lives[a.owner-1].inLoop) && !a.like(&b) {
			return false
		}
	}
	return true
}

// pair returns what t and s have in the slot i, when it is of the same register.
func (w *walker) pair(t, s *state, i int) (a, b value, ok bool) {
	a, b = t.regs[i], s.regs[i]
	switch {
	case a.owner == 0 && b.owner != 0:
		a = w.initial[b.owner-1]
	case b.owner == 0 && a.owner != 0:
		b = w.initial[a.owner-1]
	}
	return a, b, a.owner == b.owner
}

// widen adds to t the registers that stand for those of s, too, and reports whether that
// says less than before.
func (w *walker) widen(t, s *state) (changed bool) {
	for i := range t.regs {
		if t.regs[i] == s.regs[i] {
			continue
		}
		a, b, ok := w.pair(t, s, i)
		if !ok { // of two registers: neither is known after this
			for _, v := range [...]*value{&a, &b} {
				w.lose(t, v)
			}
			a = value{}
		} else {
			lost := t.lost
			w.lend(t, &a, &b)
			changed = changed || lost != t.lost
		}
		changed = changed || a != t.regs[i]
		t.regs[i] = a
	}
	return changed
}

// sticky are the properties that a value has as soon as one of those has it that it
// stands for.
const sticky = aLink | aMaybe | aCovered

// lend makes a stand for b, too.
func (w *walker) lend(t *state, a, b *value) {
	owner := a.owner
	switch {
	case *a == *b:
	case a.k.isFd() && a.k == b.k, a.mounted() && b.mounted():
		if a.k != b.k {
			a.k = kBound
		}
		a.attr, a.proof, a.num = a.attr&b.attr|(a.attr|b.attr)&sticky, a.proof&b.proof, 0
		if a.path != b.path {
			a.path = 0
		}
		if a.fs != b.fs {
			a.fs = fsOther
		}
	case a.inContainer() && b.inContainer():
		// A mount that is attached can be used as a file in the container, and for less.
		a.k, a.attr, a.proof, a.num, a.fs = kCont, a.attr&b.attr|(a.attr|b.attr)&sticky, 0, 0, fsOther
		if a.path != b.path {
			a.path = 0
		}
	case a.k.isFd() && b.below():
		a.attr |= aMaybe
	case a.below() && b.k.isFd():
		*a = *b
		a.attr |= aMaybe
	default:
		w.lose(t, a)
		w.lose(t, b)
		switch {
		case a.below() && b.below():
			*a = value{k: kErr}
		case a.notBelow() && b.notBelow():
			*a = value{k: kPos}
		default:
			*a = value{}
		}
	}
	a.owner = owner
}

// canonical forgets what nobody looks at from pc on; a descriptor stays open.
func (w *walker) canonical(s *state, pc int) {
	at := w.line(pc)
	for i := range s.regs {
		v := &s.regs[i]
		if v.owner == 0 {
			continue
		}
		if l := &w.lives[v.owner-1]; at < l.first || at > l.last {
			w.lose(s, v)
			*v = value{}
		}
	}
	s.desc = [3]described{} // what it is compared with stands right behind the call
}

// lose forgets the register with v.
func (w *walker) lose(s *state, v *value) {
	if v.k.isFd() {
		s.lost |= 1 << v.k
	}
}

// get returns what the register i holds.
func (w *walker) get(s *state, i int) value {
	if v := s.regs[w.lives[i].slot]; int(v.owner) == i+1 {
		return v
	}
	return w.initial[i]
}

// ref returns the place of what the register i holds.
func (w *walker) ref(s *state, i int) *value {
	v := &s.regs[w.lives[i].slot]
	if int(v.owner) != i+1 {
		w.lose(s, v)
		*v = w.initial[i]
	}
	return v
}

// put gives the register i a value in place of what it held.
func (w *walker) put(s *state, i int, v value) {
	v.owner = int16(i + 1)
	*w.ref(s, i) = v
	for j := range s.desc {
		if s.desc[j].off != 0 && int(s.desc[j].reg) == i {
			s.desc[j] = described{}
		}
	}
}

// set gives a register a value; a descriptor that it held stays open.
func (w *walker) set(s *state, i int, v value) {
	if i < 0 {
		w.lose(s, &v)
		return
	}
	w.lose(s, w.ref(s, i))
	w.put(s, i, v)
}
