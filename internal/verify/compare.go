package verify

import (
	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/program"
)

// compare does a conditional jump; each way that is possible is followed with what it
// tells.
func (w *walker) compare(s *state, pc int, in *program.Instr) (int, bool) {
	off, _ := in.Args[0].Addr()
	mask, _ := in.Args[1].Imm()
	imm, _ := in.Args[2].Imm()
	i := -1
	if in.Width == 8 && int64(mask) == -1 {
		i = w.reg(program.Reg(off))
	}
	if i < 0 {
		c := w.branch(s, pc, int(in.To))
		equal := in.Cmp == program.Eq
		if in.Cmp == program.Eq || in.Cmp == program.Ne {
			w.learn(c, pc, in.Width, off, uint64(mask), int64(imm), equal)
			w.learn(s, pc, in.Width, off, uint64(mask), int64(imm), !equal)
		}
		return pc + 1, true
	}
	yes := w.get(s, i)
	no := yes
	canYes := refine(&yes, in.Cmp, int64(imm))
	canNo := refine(&no, opposite(in.Cmp), int64(imm))
	switch {
	case canYes && canNo:
		c := w.branch(s, pc, int(in.To))
		w.known(c, pc, i, yes)
		w.known(s, pc, i, no)
		return pc + 1, true
	case canYes:
		w.known(s, pc, i, yes)
		return int(in.To), true
	}
	w.known(s, pc, i, no)
	return pc + 1, true
}

// known takes what a comparison tells of a register.
func (w *walker) known(s *state, pc, i int, v value) {
	old := w.get(s, i)
	v.owner = int16(i + 1)
	*w.ref(s, i) = v
	if v.k == kErr && old.num != v.num && (v.num == negative(unix.ENOENT) || v.num == negative(unix.ENOTDIR)) {
		w.missing(s, pc, v.path)
	}
	if old.proof&pNamed != 0 && v.k == kConst && v.num == w.e.Serial {
		s.done(fKeyring) // it is the container's
		w.note(pc, Keyring)
	}
	if v.k == kErr && v.proof&pKeyring != 0 && v.num == negative(unix.ENOSYS) {
		s.done(fKeyring) // a kernel without keys
		w.note(pc, Keyring)
	}
}

func opposite(c program.Cmp) program.Cmp {
	switch c {
	case program.Eq:
		return program.Ne
	case program.Ne:
		return program.Eq
	case program.Lt:
		return program.Ge
	}
	return program.Lt
}

// refine makes v what it is when it compares so, and reports whether it can.
func refine(v *value, c program.Cmp, n int64) bool {
	exact := v.k == kConst || v.k == kErr && v.num != 0
	if exact {
		return holds(v.num, c, n)
	}
	if v.k.isFd() && v.attr&aMaybe != 0 {
		switch {
		case c == program.Ge && n == 0:
			v.attr &^= aMaybe
		case c == program.Lt && n == 0:
			*v = value{k: kErr}
		case c == program.Eq && n < 0:
			*v = value{k: kErr, num: n}
		}
		return true
	}
	low, high := int64(-1<<63), int64(1<<63-1)
	switch {
	case v.k == kPos || v.k.isFd():
		low = 0
	case v.k == kErr:
		high = -1
	}
	switch c {
	case program.Eq:
		if n < low || n > high {
			return false
		}
		switch v.k {
		case kErr:
			v.num = n
		case kPos, kAny:
			*v = value{k: kConst, num: n}
		}
	case program.Ne:
	case program.Lt:
		if low >= n {
			return false
		}
		if v.k == kAny && n <= 0 {
			*v = value{k: kErr}
		}
	case program.Ge:
		if high < n {
			return false
		}
		if v.k == kAny && n >= 0 {
			*v = value{k: kPos}
		}
	}
	return true
}

func holds(v int64, c program.Cmp, n int64) bool {
	switch c {
	case program.Eq:
		return v == n
	case program.Ne:
		return v != n
	case program.Lt:
		return v < n
	}
	return v >= n
}

// learn takes what a look into a buffer of the kernel's tells.
func (w *walker) learn(s *state, pc int, width uint8, off uint32, mask uint64, n int64, equal bool) {
	const ifmt, all = unix.S_IFMT, ^uint64(0)
	for i := range s.desc {
		known := &s.desc[i]
		if known.off == 0 || off < known.off || off >= known.off+256 {
			continue
		}
		field := off - known.off
		var proof uint16
		switch {
		case known.nr == unix.SYS_GETCWD && field == 0 && width == 1 && mask&0xff == 0xff && n == '/' && equal:
			if s.cwd == cwdIn && s.cwdPath == w.x.cwd {
				s.done(fCwd)
				w.note(pc, Cwd)
			}
		case (known.nr == unix.SYS_FSTATFS || known.nr == unix.SYS_STATFS) && field == 0 && width >= 4 && mask == all:
			switch {
			case n == unix.PROC_SUPER_MAGIC && equal:
				proof = pProc
			case n == unix.PROC_SUPER_MAGIC:
				proof = pNotProc
			case n == unix.DEVPTS_SUPER_MAGIC && equal:
				proof = pDevpts
			}
			if known.nr == unix.SYS_STATFS && equal {
				w.proves(s, pc, known.at, n)
			}
		case known.nr == unix.SYS_STATX && field == 8 && width == 8 && mask == unix.STATX_ATTR_MOUNT_ROOT && n == 0 && !equal:
			w.provesMount(s, pc, int(known.reg))
		case known.nr == unix.SYS_STATX && equal && (width == 2 || field != 28 && width == 4):
			switch {
			case field == 28 && mask == ifmt && n == unix.S_IFCHR:
				proof = pChr
			case field == 28 && mask == ifmt && n == unix.S_IFDIR:
				proof = pDir
			case field == 28 && mask == ifmt && n == unix.S_IFREG:
				proof = pReg
			case field == 128 && width == 4 && mask == all && n == 1:
				proof = pMajor1
			case field == 132 && width == 4 && mask == all && n == 3:
				proof = pMinor3
			}
		}
		if known.reg >= 0 {
			w.ref(s, int(known.reg)).proof |= proof
		}
	}
}

// proves records that the path leads to a file system of the type magic.
func (w *walker) proves(s *state, pc int, path int32, magic int64) {
	for i := range w.x.mounts {
		m, want := &w.x.mounts[i], int64(unix.SYSFS_MAGIC)
		switch {
		case m.mask:
			want = unix.TMPFS_MAGIC
		case m.fs == fsProc:
			want = unix.PROC_SUPER_MAGIC
		}
		if m.proven >= 0 && m.dest == path && magic == want {
			s.done(m.proven)
			w.note(pc, MountConfig)
		}
	}
}

// provesMount records that a mount is where the descriptor in a register was opened.
func (w *walker) provesMount(s *state, pc, reg int) {
	if reg < 0 || s.root != rootIn && s.root != rootChroot {
		return
	}
	v := w.ref(s, reg)
	for i := range w.x.mounts {
		if m := &w.x.mounts[i]; m.proven >= 0 && m.mask && v.k == kCont && v.attr&aCovered == 0 && v.path == m.dest {
			s.done(m.top)
			w.note(pc, MountConfig)
		}
	}
}

// describe records that the kernel tells of something at off.
func (s *state) describe(off uint32, nr uint32, reg int, at int32) {
	copy(s.desc[1:], s.desc[:2])
	s.desc[0] = described{off, nr, int16(reg), at}
}
