package verify

// isRoot reports whether v, which is attached nowhere, is what the configuration has for the
// root: the tree at root.path, or what it mounts on "/".
func (w *walker) isRoot(v *value) bool {
	m := w.x.onRoot
	switch {
	case m == nil:
		return v.k == kHostTree && v.path == w.x.rootfs && v.attr&aWhole != 0 && v.proof&pNoLink != 0
	case m.bind:
		return v.k == kHostTree && v.path == m.source && v.attr&(aWhole|aNoFollow) == m.whole
	}
	return v.k == kMnt && v.attr&aAttached == 0 && w.isOf(m, w.texts[v.path])
}

// becomesRoot notes that v is the root. What is mounted in it is not read-only with it.
func (w *walker) becomesRoot(s *state, pc int, v *value) {
	v.k, v.path, v.attr = kRoot, 0, v.attr&^aDeep|aAttached
	s.root = rootAttached
	m := w.x.onRoot
	if m == nil {
		return
	}
	w.mountedAs(s, pc, m, v)
}

// mountedAs notes what of a mount of the configuration v, which is in its place, has already.
func (w *walker) mountedAs(s *state, pc int, m *mountOf, v *value) {
	if m.attrs&^v.attr == 0 {
		s.done(m.done)
	}
	if v.attr&(aRO|aSuperRO) != 0 {
		s.done(m.roDone)
	}
	w.note(pc, MountConfig)
}
