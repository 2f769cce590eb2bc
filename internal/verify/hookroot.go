package verify

// A hook's program is one of the host. In a mount namespace that was there before the root
// directory is somebody else's, and what is found there by the path of the hook, too: the
// runtime's own root directory, which was opened in its own mount namespace, has to be
// entered again.
//
// Source: runtime-spec config.md "createContainer Hooks": "MUST resolve in the runtime
// namespace".

// opensOwnRoot reports whether what is opened at l is the root directory of the caller.
func (w *walker) opensOwnRoot(s *state, l *location) bool {
	return l.name == "/" && s.root == rootHost && (w.e.CallersRoot || w.e.Chrooted && !s.atTop)
}

// rootOfHook reports whether v is the root directory that a process with the top of another
// mount namespace as its own has to enter.
func (w *walker) rootOfHook(v *value) bool {
	if w.e.CallersRoot {
		return v.proof&pOldRoot != 0
	}
	return w.ofInit(v.path, "root")
}
