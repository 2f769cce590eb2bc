package life

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/enum"
	"github.com/hutch-project/hutch/internal/fault"
	"github.com/hutch-project/hutch/internal/host/criu"
	"github.com/hutch-project/hutch/internal/part/namespace"
	"github.com/hutch-project/hutch/internal/sys"
	"github.com/hutch-project/hutch/internal/uidmap"
)

// What a restored process may do is written in its images, and images may be anybody's. So
// before anything of it goes on it is looked at: it has to be confined as the configuration
// says.

// restoredProof looks at the processes of a restored container, which all stand still.
type restoredProof struct {
	spec *specs.Spec
	pid  int // of init
	lsm  string
	// supplied are the mounts that the runtime has given CRIU, by their places.
	supplied map[string]shown
	// outer is how many seccomp filters this process has, which CRIU's children have, too.
	outer int
}

// proveRestored returns an error that names what of the configuration does not hold.
func (rs *restoration) proveRestored() error {
	if testUnproven {
		return nil
	}
	mk := rs.m
	own, err := statusIn("/proc/thread-self")
	if err != nil {
		return err
	}
	proof := &restoredProof{spec: mk.bundle.spec, pid: mk.child.Pid, lsm: rs.o.LSMProfile, supplied: map[string]shown{"/": rs.root}, outer: filters(own)}
	for i := range rs.bounds {
		proof.supplied[rs.bounds[i].at] = rs.bounds[i].shown
	}
	if err := proof.namespaces(); err != nil {
		return notAsBundle(err)
	}
	if proof.spec.Root.Readonly && has(proof.spec, specs.MountNamespace) {
		if err := criu.ReadOnlyRoot(mk.child.Pidfd); err != nil {
			return fmt.Errorf("root.readonly: %w", err)
		}
	}
	if err := proof.root(); err != nil {
		return notAsBundle(err)
	}
	pids, err := mk.c.cg.Pids()
	if err != nil {
		return err
	}
	for _, pid := range append(pids, proof.pid) {
		if pid == rs.worker || pid == unix.Getpid() {
			continue
		}
		if mk.plan.record.Cgroup.Own || pid == proof.pid { // else others' processes are there, too
			if err := proof.process(pid); err != nil {
				return notAsBundle(err)
			}
		}
	}
	return nil
}

// testUnproven is set by tests with a CRIU that restores nothing.
var testUnproven bool

func notAsBundle(err error) error {
	return fmt.Errorf("what the checkpoint has is not confined as config.json says: %w; restore it with the configuration that it was made with", err)
}

// namespaces proves that init has namespaces of its own where it should, and is in those
// that it joins.
func (p *restoredProof) namespaces() error {
	if p.spec.Linux == nil {
		return nil
	}
	for i, ns := range p.spec.Linux.Namespaces {
		file := namespace.File(ns.Type)
		if file == "" {
			continue
		}
		got, err := fileID(nsFile(p.pid, file))
		if err != nil {
			return err
		}
		with := "/proc/self/ns/" + file
		if ns.Path != "" {
			with = ns.Path
		}
		other, err := fileID(with)
		if err != nil {
			return err
		}
		if ns.Path != "" && got != other {
			return fmt.Errorf("linux.namespaces[%d]: it is not in the %s namespace %s", i, ns.Type, ns.Path)
		}
		if ns.Path == "" && got == other {
			return fmt.Errorf("linux.namespaces[%d]: it has the host's %s namespace", i, ns.Type)
		}
	}
	if makes(p.spec, specs.UserNamespace) {
		return p.mappings()
	}
	return nil
}

// mappings proves that init has the ids of the configuration.
func (p *restoredProof) mappings() error {
	l := p.spec.Linux
	for _, each := range []struct {
		element, file string
		want          []specs.LinuxIDMapping
	}{{"linux.uidMappings", "uid_map", l.UIDMappings}, {"linux.gidMappings", "gid_map", l.GIDMappings}} {
		got, err := uidmap.Of(p.pid, each.file)
		if err != nil {
			return err
		}
		for _, id := range got {
			if !contained(id, each.want) {
				return fmt.Errorf("%s: it has the ids %d to %d of the host, too", each.element, id.HostID, uint64(id.HostID)+uint64(id.Size)-1)
			}
		}
	}
	return nil
}

// contained reports whether one of the list maps all that id does in the same way.
func contained(id specs.LinuxIDMapping, list []specs.LinuxIDMapping) bool {
	for _, m := range list {
		if id.ContainerID >= m.ContainerID && uint64(id.ContainerID)+uint64(id.Size) <= uint64(m.ContainerID)+uint64(m.Size) &&
			id.HostID-m.HostID == id.ContainerID-m.ContainerID {
			return true
		}
	}
	return false
}

// root proves that what is to be hidden or read-only in init's root is so.
func (p *restoredProof) root() error {
	root, err := unix.Open("/proc/"+strconv.Itoa(p.pid)+"/root", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open the root of init: %w", err)
	}
	defer unix.Close(root)
	spec := p.spec
	if !has(spec, specs.MountNamespace) {
		return nil
	}
	if spec.Root.Readonly {
		if err := each(root, "root.readonly", []string{"/"}, isReadOnly); err != nil {
			return err
		}
	}
	for i := range spec.Mounts {
		m := &spec.Mounts[i]
		if !readOnlyMount(m) || covered(spec, i) {
			continue
		}
		if err := each(root, fault.At("mounts", i), []string{m.Destination}, isReadOnly); err != nil {
			return err
		}
	}
	if err := p.foreign(root); err != nil {
		return err
	}
	if spec.Linux == nil {
		return nil
	}
	if err := each(root, "linux.maskedPaths", spec.Linux.MaskedPaths, isMasked); err != nil {
		return err
	}
	return each(root, "linux.readonlyPaths", spec.Linux.ReadonlyPaths, isReadOnly)
}

// foreign proves of what is mounted that is not the container's own that it is what the runtime
// has supplied for its place, also where several are stacked there, and that what has come with a
// bind that is read-only as a whole is so, and not only the bind itself. What the container has
// mounted there of its own is not the configuration's.
func (p *restoredProof) foreign(root int) error {
	bind := map[int]int{} // by the ids of mounts
	for i := range p.spec.Mounts {
		if id := mountID(root, p.spec.Mounts[i].Destination); id != 0 {
			bind[id] = i
		}
	}
	own, outside, err := mountsOf(p.pid) // anew: setMounts has changed options
	if err != nil {
		return err
	}
	parents := map[int]int{}
	for _, m := range own {
		parents[m.ID] = m.Parent
	}
	for _, m := range criu.Foreign(own, outside, has(p.spec, specs.CgroupNamespace)) {
		if p.supplied[m.Point] != shownBy(&m) {
			return fmt.Errorf("mounts: something of the host is mounted at %s", fault.Name(m.Point))
		}
		id := m.ID
		for range own { // a way up is no longer
			if _, found := bind[id]; found {
				break
			}
			id = parents[id]
		}
		i, found := bind[id]
		if found && readOnlyTree(&p.spec.Mounts[i]) && !slices.Contains(strings.Split(m.Options, ","), "ro") {
			return fmt.Errorf("%s: %s, which comes with it, is writable", fault.At("mounts", i), fault.Name(m.Point))
		}
	}
	return nil
}

// mountID returns the id of the mount that is at a path, opened as if root were "/"; 0 for none.
func mountID(root int, path string) int {
	fd, err := sys.OpenInRoot(root, path)
	if err != nil {
		return 0
	}
	defer unix.Close(fd)
	return rootOfMount(fd)
}

// rootOfMount returns the id of the mount that the file is the root of; 0 for none.
func rootOfMount(fd int) int {
	var st unix.Statx_t
	if unix.Statx(fd, "", unix.AT_EMPTY_PATH, unix.STATX_MNT_ID, &st) != nil || st.Attributes&unix.STATX_ATTR_MOUNT_ROOT == 0 {
		return 0
	}
	return int(st.Mnt_id)
}

// readOnlyTree reports whether the options of m end up as read-only for what comes with it, too.
func readOnlyTree(m *specs.Mount) (ro bool) {
	for _, o := range m.Options {
		if o == "rro" || o == "rrw" {
			ro = o == "rro"
		}
	}
	return ro
}

// readOnlyMount reports whether the options of m end up as read-only for the mount itself.
func readOnlyMount(m *specs.Mount) (ro bool) {
	for _, o := range m.Options {
		switch o {
		case "ro", "rro":
			ro = true
		case "rw", "rrw":
			ro = false
		}
	}
	return ro
}

// covered reports whether a later mount may lie on top of the mount i.
func covered(s *specs.Spec, i int) bool {
	dest := strings.TrimSuffix(s.Mounts[i].Destination, "/")
	for _, m := range s.Mounts[i+1:] {
		if d := strings.TrimSuffix(m.Destination, "/"); d == dest || strings.HasPrefix(dest, d+"/") {
			return true
		}
	}
	return false
}

// each calls prove for the paths that are there, opened as if root were "/".
func each(root int, element string, paths []string, prove func(fd int) error) error {
	for _, path := range paths {
		fd, err := sys.OpenInRoot(root, path)
		if err == unix.ENOENT || err == unix.ENOTDIR {
			continue
		}
		if err != nil {
			return fmt.Errorf("%s: open %s: %w", element, fault.Name(path), err)
		}
		err = prove(fd)
		unix.Close(fd)
		if err != nil {
			return fmt.Errorf("%s: %s %w", element, fault.Name(path), err)
		}
	}
	return nil
}

func isReadOnly(fd int) error {
	var st unix.Statfs_t
	if err := unix.Fstatfs(fd, &st); err != nil {
		return fmt.Errorf("statfs: %w", err)
	}
	if st.Flags&unix.ST_RDONLY == 0 {
		return fmt.Errorf("is writable")
	}
	return nil
}

// isMasked returns an error unless the file is the null device, or a read-only directory
// that is mounted there.
func isMasked(fd int) error {
	var st unix.Statx_t
	if err := unix.Statx(fd, "", unix.AT_EMPTY_PATH, unix.STATX_TYPE, &st); err != nil {
		return fmt.Errorf("statx: %w", err)
	}
	switch {
	case st.Mode&unix.S_IFMT == unix.S_IFCHR && st.Rdev_major == 1 && st.Rdev_minor == 3:
		return nil
	case st.Mode&unix.S_IFMT == unix.S_IFDIR && st.Attributes&unix.STATX_ATTR_MOUNT_ROOT != 0:
		return isReadOnly(fd)
	}
	return fmt.Errorf("is not masked")
}

// process proves that a process has no more rights than the configuration gives to the
// first, from which the others descend: each of its threads, which have rights of their own.
func (p *restoredProof) process(pid int) error {
	if p.spec.Process == nil {
		return nil
	}
	threads, err := os.ReadDir("/proc/" + strconv.Itoa(pid) + "/task")
	if err != nil {
		return err
	}
	for _, t := range threads {
		if err := p.thread(pid, t.Name()); err != nil {
			return err
		}
	}
	return nil
}

// thread proves a thread of a process.
func (p *restoredProof) thread(pid int, tid string) error {
	dir := "/proc/" + strconv.Itoa(pid) + "/task/" + tid
	status, err := statusIn(dir)
	if err != nil {
		return err
	}
	who := fmt.Sprintf("process %d", pid)
	if tid != strconv.Itoa(pid) {
		who += ", thread " + tid + ","
	}
	if l := p.spec.Linux; l != nil && l.Seccomp != nil && filters(status) <= p.outer {
		return fmt.Errorf("linux.seccomp: %s has no filter", who)
	}
	if p.spec.Process.NoNewPrivileges && status["NoNewPrivs"] != "1" {
		return fmt.Errorf("process.noNewPrivileges: %s may gain privileges", who)
	}
	if err := p.capabilities(status, who); err != nil {
		return err
	}
	return p.label(dir, who)
}

// filters returns how many seccomp filters a thread has, by its status. A kernel that does
// not say so has one counted.
//
// Source: proc_pid_status(5), Seccomp and Seccomp_filters (Linux 5.9).
func filters(status map[string]string) int {
	if status["Seccomp"] != "2" {
		return 0
	}
	n, err := strconv.Atoi(status["Seccomp_filters"])
	if err != nil {
		return 1
	}
	return n
}

// capabilities proves those of a thread by its status. A configuration without any gives none.
func (p *restoredProof) capabilities(status map[string]string, who string) error {
	caps := p.spec.Process.Capabilities
	if caps == nil {
		caps = &specs.LinuxCapabilities{}
	}
	allowed := capabilitySet(caps.Bounding)
	for _, name := range []string{"CapBnd", "CapPrm", "CapEff", "CapInh", "CapAmb"} {
		got, err := strconv.ParseUint(status[name], 16, 64)
		if err != nil {
			return fmt.Errorf("%s: %s: %w", who, name, err)
		}
		if name != "CapBnd" {
			allowed |= capabilitySet(caps.Permitted) | capabilitySet(caps.Inheritable)
		}
		if got&^allowed != 0 {
			return fmt.Errorf("process.capabilities: %s has more than those (%s %s)", who, name, status[name])
		}
	}
	return nil
}

// capabilitySet returns the names as bits.
func capabilitySet(names []string) (set uint64) {
	for _, name := range names {
		if v := enum.Capabilities.Find(name); v != nil {
			set |= 1 << v.Number
		}
	}
	return set
}

// label proves that the thread of a directory in /proc has the label of the configuration, or
// that of the caller.
func (p *restoredProof) label(dir, who string) error {
	want := map[string]string{"apparmor/current": p.spec.Process.ApparmorProfile, "current": p.spec.Process.SelinuxLabel}
	if kind, name, ok := strings.Cut(p.lsm, ":"); ok {
		want[map[string]string{"apparmor": "apparmor/current", "selinux": "current"}[kind]] = name
	}
	for file, label := range want {
		if label == "" || file == "" {
			continue
		}
		text, err := os.ReadFile(dir + "/attr/" + file)
		if err != nil {
			return fmt.Errorf("read the label of %s: %w", who, err)
		}
		got := strings.TrimRight(string(text), "\x00\n")
		if got != label && !strings.HasPrefix(got, label+" (") {
			return fmt.Errorf("process: %s has the label %q, want %q", who, got, label)
		}
	}
	return nil
}
