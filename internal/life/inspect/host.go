package inspect

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/hutch-project/hutch/internal/check"
	"github.com/hutch-project/hutch/internal/cpulist"
	"github.com/hutch-project/hutch/internal/enum"
	"github.com/hutch-project/hutch/internal/fault"
	"github.com/hutch-project/hutch/internal/host/cgroup"
	"github.com/hutch-project/hutch/internal/host/cgroup/resource"
	"github.com/hutch-project/hutch/internal/host/cgroup/stats"
	"github.com/hutch-project/hutch/internal/host/rdt"
	"github.com/hutch-project/hutch/internal/host/systemd"
	"github.com/hutch-project/hutch/internal/life"
	"github.com/hutch-project/hutch/internal/nearest"
	"github.com/hutch-project/hutch/internal/part/capability"
	"github.com/hutch-project/hutch/internal/part/lsm"
	"github.com/hutch-project/hutch/internal/part/namespace"
	"github.com/hutch-project/hutch/internal/part/rootfs"
	"github.com/hutch-project/hutch/internal/part/seccomp"
	"github.com/hutch-project/hutch/internal/probe"
	"github.com/hutch-project/hutch/internal/seat"
	"github.com/hutch-project/hutch/internal/sysctlname"
	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// facts is what the host is asked.
type facts struct {
	kernel      probe.Kernel
	fileSystems []string
	modules     string // the aliases of the kernel's modules
	lsm         lsm.Host
	profiles    string // AppArmor's, a line each; empty where they cannot be read
	mode        cgroup.Mode
	lastCap     int
	held        uint64 // the caller's capabilities
	raises      bool   // whether the caller may raise limits
	user        bool   // whether the caller is no root
	uid         uint32
	binfmt      bool     // whether there are handlers for files of other machines
	cpus, nodes string   // that the machine may have, as lists
	huge        []string // sizes of pages
	takes       func(fileSystem, option string) bool
}

// ask asks the host as the caller.
func ask() facts {
	host := facts{
		lsm: lsm.Ask(), lastCap: capability.Last(), user: seat.User(), uid: uint32(unix.Geteuid()),
		raises: seat.Initial() && seat.Capable(unix.CAP_SYS_RESOURCE),
		cpus:   strings.TrimSpace(read("/sys/devices/system/cpu/possible")),
		nodes:  strings.TrimSpace(read("/sys/devices/system/node/possible")),
		huge:   stats.HugeSizes(),
		takes:  probe.FileSystemTakes,
	}
	host.held, _ = capability.Held()
	if is, err := probe.Uname(); err == nil {
		host.kernel, host.modules = probe.ParseKernel(is.Release), probe.Modules(is.Release)
	}
	host.fileSystems = probe.FileSystems()
	host.profiles = read("/sys/kernel/security/apparmor/profiles")
	if layout, err := cgroup.Detect(cgroup.Root); err == nil {
		host.mode = layout.Mode
		layout.Close()
	}
	if entries, err := os.ReadDir("/proc/sys/fs/binfmt_misc"); err == nil {
		host.binfmt = len(entries) > 2 // beside register and status
	}
	return host
}

// read returns the text of a file, empty where it cannot be read.
func read(name string) string {
	text, _ := os.ReadFile(name)
	return string(text)
}

// limit returns the caller's hard limit of a resource.
func (f *facts) limit(name string) (hard uint64, ok bool) {
	row := enum.Rlimits.Find(name)
	if row == nil {
		return 0, false
	}
	var l unix.Rlimit
	err := unix.Getrlimit(int(row.Number), &l)
	return l.Max, err == nil
}

// fileSystem inspects whether the kernel has a mount's file system.
func (r *Report) fileSystem(i int, mount *specs.Mount) {
	element := fault.At("mounts", i) + ".type"
	has := slices.Contains(r.host.fileSystems, mount.Type) || mount.Type == "cgroup" // of either version
	switch {
	case len(r.host.fileSystems) == 0:
	case !has && !probe.ModuleOf(mount.Type, r.host.modules):
		r.errorf(element, nearest.Or(mount.Type, r.host.fileSystems,
			"see /proc/filesystems, or load its module"),
			"mount %s on %s: the kernel has no file system %s", mount.Type, mount.Destination, mount.Type)
	case r.namespace(specs.UserNamespace) != nil && !inUserNamespace(mount.Type):
		r.errorf(element, "mount it on the host, and bind it",
			"mount %s on %s: the file system cannot be mounted in a user namespace", mount.Type, mount.Destination)
	default:
		r.options(i, mount)
	}
}

// options inspects those that are the file system's own, where the kernel can be asked about
// them without a source.
func (r *Report) options(i int, mount *specs.Mount) {
	switch mount.Type {
	case "tmpfs", "ramfs", "proc", "sysfs", "devpts", "mqueue", "cgroup2":
	default:
		return
	}
	for j, o := range mount.Options {
		if !rootfs.IsData(o) || r.host.takes(mount.Type, o) {
			continue
		}
		r.errorf(fault.At(fault.At("mounts", i)+".options", j), cmp.Or(rootfs.OptionHint(o), "remove it, or mend its value"),
			"mount %s on %s: option %s: the kernel refuses it", mount.Type, mount.Destination, o)
	}
}

// inUserNamespace reports whether root of a user namespace may mount a file system.
//
// Source: the flag FS_USERNS_MOUNT in the kernel.
func inUserNamespace(fs string) bool {
	switch fs {
	case "proc", "sysfs", "tmpfs", "ramfs", "devpts", "mqueue", "cgroup", "cgroup2", "overlay", "fuse", "bpf", "binder":
		return true
	}
	return false
}

// namespaces inspects those that are to be made and to be joined.
func (r *Report) namespaces() {
	for i := range r.linux().Namespaces {
		n := &r.linux().Namespaces[i]
		element := fault.At("linux.namespaces", i)
		file := namespace.File(n.Type)
		if _, err := os.Stat("/proc/self/ns/" + file); file != "" && err != nil && n.Path == "" {
			r.errorf(element+".type", "leave it out, or take a kernel that has them",
				"this kernel has no %s namespaces", n.Type)
			continue
		}
		if n.Path != "" && check.IsAbsolute(n.Path) && file != "" {
			r.joined(element+".path", n)
		}
	}
	n := r.namespace(specs.UserNamespace)
	if n == nil || n.Path != "" {
		return
	}
	switch bar := probe.UserNamespaces(); {
	case bar == nil:
	case bar.Everybody:
		r.errorf("linux.namespaces", bar.Remedy, "%s: nobody may make a user namespace", bar.Why)
	case r.host.user && bar.Profile:
		r.warnf("linux.namespaces", bar.Remedy+", or run as root", "%s: only programs with an AppArmor profile that has the rule userns may make a user namespace", bar.Why)
	case r.host.user:
		r.errorf("linux.namespaces", bar.Remedy+", or run as root", "%s: users may make no user namespace", bar.Why)
	}
}

// joined inspects the path of a namespace to join.
func (r *Report) joined(element string, ns *specs.LinuxNamespace) {
	fd, err := unix.Open(ns.Path, unix.O_PATH|unix.O_CLOEXEC, 0) // which opens no device, nor a fifo
	if err != nil {
		r.errorf(element,
			"name the namespace of a process that lives, or one that is bound, or leave path out for a new one", "join %s: open: %v", ns.Path, err)
		return
	}
	defer unix.Close(fd)
	var fs unix.Statfs_t
	if unix.Fstatfs(fd, &fs) != nil || fs.Type != unix.NSFS_MAGIC {
		r.errorf(element, "name a file as /proc/PID/ns/"+namespace.File(ns.Type), "%s is no namespace",
			ns.Path)
		return
	}
	link, err := os.Readlink("/proc/self/fd/" + strconv.Itoa(fd))
	if kind, _, ok := strings.Cut(link,
		":["); err == nil && ok && kind != namespace.File(ns.Type) && !strings.HasPrefix(link, "/") {
		r.errorf(element, "name a file as /proc/PID/ns/"+namespace.File(ns.Type),
			"%s is a namespace of another type, %s", ns.Path, kind)
	}
}

// modules inspects the labels of security modules.
func (r *Report) modules() {
	proc := r.spec.Process
	if proc == nil {
		return
	}
	switch l := proc.ApparmorProfile; {
	case l == "" || l == "unconfined":
	case !r.host.lsm.AppArmor:
		r.errorf("process.apparmorProfile", "leave the profile out", "%s: AppArmor: %v",
			fault.Quote(l), lsm.ErrOff)
	case r.host.profiles != "" && !strings.Contains("\n"+r.host.profiles, "\n"+l+" ("):
		r.errorf("process.apparmorProfile", "load it with apparmor_parser, or leave it out",
			"%s is not loaded", fault.Quote(l))
	}
	if proc.SelinuxLabel != "" && !r.host.lsm.SELinux {
		r.errorf("process.selinuxLabel", "leave the label out", "%s: SELinux: %v",
			fault.Quote(proc.SelinuxLabel), lsm.ErrOff)
	}
}

// kernel inspects what only newer kernels have.
func (r *Report) kernel() {
	tooOld := func(element, what, since string) {
		if !r.host.kernel.Has(since) {
			r.errorf(element, "leave it out", "%s needs Linux %s, this is %d.%d", what, since,
				r.host.kernel[0], r.host.kernel[1])
		}
	}
	for i := range r.spec.Mounts {
		for j, o := range r.spec.Mounts[i].Options {
			tooOld(fault.At(fault.At("mounts", i)+".options", j), o, rootfs.OptionSince(o))
		}
	}
	if m := r.linux().MemoryPolicy; m != nil {
		r.within("linux.memoryPolicy.nodes", m.Nodes, "memory nodes", r.host.nodes)
		if row := enum.MemoryModes.Find(string(m.Mode)); row != nil {
			tooOld("linux.memoryPolicy.mode", row.Name, row.Since)
		}
	}
	if s := r.linux().Seccomp; s != nil {
		for i, f := range s.Flags {
			tooOld(fault.At("linux.seccomp.flags", i), string(f), seccomp.FlagSince(f))
		}
		if s.ListenerPath != "" {
			if err := unix.Access(s.ListenerPath, unix.F_OK); err != nil {
				r.errorf("linux.seccomp.listenerPath", "start the agent first", "open %s: %v",
					s.ListenerPath, err)
			}
		}
	}
	if c := r.linux().Resources; c != nil {
		for i := range c.HugepageLimits {
			if size := c.HugepageLimits[i].Pagesize; len(r.host.huge) > 0 && !slices.Contains(r.host.huge, size) {
				r.errorf(fault.At("linux.resources.hugepageLimits", i)+".pageSize", "name one of these",
					"the kernel has no huge pages of %s: it has %s", size, strings.Join(r.host.huge, ", "))
			}
		}
	}
	if c := r.linux().Resources; c != nil && c.CPU != nil {
		r.within("linux.resources.cpu.cpus", c.CPU.Cpus, "processors", r.host.cpus)
		r.within("linux.resources.cpu.mems", c.CPU.Mems, "memory nodes", r.host.nodes)
		if c.CPU.Burst != nil {
			tooOld("linux.resources.cpu.burst", "a burst", "5.14")
		}
		if c.CPU.Idle != nil {
			tooOld("linux.resources.cpu.idle", "idle", "5.15")
		}
	}
}

// within inspects a list of processors or memory nodes, which the kernel refuses with one that
// the machine cannot have.
func (r *Report) within(element, list, what, possible string) {
	asked, err := cpulist.Parse(list, cpulist.MaxCPU)
	has, hasErr := cpulist.Parse(possible, cpulist.MaxCPU)
	if err != nil || hasErr != nil || len(asked) == 0 || len(has) == 0 {
		return // no list, or not known
	}
	for _, a := range asked {
		if !slices.ContainsFunc(has, func(h cpulist.Range) bool { return h.First <= a.First && a.Last <= h.Last }) {
			r.errorf(element, "name some of these", "%s has %s that this machine has not: it has %s", fault.Quote(list), what, possible)
			return
		}
	}
}

// devices inspects network devices, kernel parameters and resctrl.
func (r *Report) devices() {
	linuxPart := r.linux()
	for name := range linuxPart.NetDevices {
		if _, err := os.Stat("/sys/class/net/" + path.Base(name)); err != nil {
			r.errorf("linux.netDevices."+name, "make it first; see ip link",
				"the host has no network device %s", fault.Quote(name))
		}
	}
	for key := range linuxPart.Sysctl {
		name, err := sysctlname.Path(key)
		if err != nil || strings.Contains(name, "/conf/") || strings.Contains(name, "/neigh/") {
			continue // no name; of a device, which the container's namespace may have
		}
		if _, err := os.Stat("/proc/sys/" + name); errors.Is(err, os.ErrNotExist) {
			r.warnf(fmt.Sprintf("linux.sysctl[%q]", key), nearest.Or(path.Base(name),
				siblings("/proc/sys/"+path.Dir(name)), "load the module that brings it"),
				"this kernel has no parameter %s at present", key)
		}
	}
	if linuxPart.IntelRdt != nil {
		if _, err := rdt.Root(); err != nil {
			r.fault(Error, err)
		}
	}
}

// siblings returns the names in a directory.
func siblings(dir string) (names []string) {
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// cgroups inspects whether the limits can be set: the controllers, and the right to make the
// cgroup.
func (r *Report) cgroups() {
	if r.x.Manager == life.Systemd {
		r.serviceManager()
		return
	}
	plan, layout, err := r.x.Cgroup()
	if err != nil || plan == nil {
		return // told of already, or systemd's and the caller's own to know
	}
	defer layout.Close()
	settings, faults := resource.All(r.linux().Resources, plan.Mode())
	for _, err := range faults {
		if errors.Is(err, cgroup.ErrNoCgroups) {
			r.fault(Error, err)
			return
		}
	}
	if settings.NoLimits() {
		return
	}
	r.controllers(plan, settings)
	for name, dir := range plan.Paths() {
		if at := existing(dir); unix.Faccessat(unix.AT_FDCWD, at, unix.W_OK,
			unix.AT_EACCESS) != nil && !strings.HasPrefix(name, "name=") {
			r.errorf(settings.First(),
				"run as root, have the cgroup delegated, or use --cgroup-manager systemd", "limits need a cgroup, and the caller may make none in %s", at)
			return
		}
	}
}

// serviceManager inspects whether systemd can be reached, and whether a user's one has been
// handed the controllers that the limits need.
func (r *Report) serviceManager() {
	conn, err := r.x.Bus.Dial()
	if err != nil {
		r.fault(Error, err)
		return
	}
	defer conn.Close()
	if !r.x.Bus.User {
		return
	}
	missing, err := conn.Undelegated()
	if err != nil {
		return
	}
	settings, _ := resource.All(r.linux().Resources, r.host.mode)
	for _, w := range settings.Writes() {
		if slices.Contains(missing, w.Controller) && !w.Optional() {
			r.errorf(w.Field, systemd.DelegateRemedy, "systemd of the user has not the cgroup controller %s", w.Controller)
			missing = slices.DeleteFunc(missing, func(name string) bool { return name == w.Controller })
		}
	}
}

// controllers inspects whether there is each one that a limit needs.
func (r *Report) controllers(plan *cgroup.Plan, settings *resource.Settings) {
	seen := map[string]bool{}
	for _, write := range settings.Writes() {
		if seen[write.Field+write.Controller] || write.Controller == "" || write.Optional() {
			continue
		}
		seen[write.Field+write.Controller] = true
		if plan.Mode() != cgroup.V2 {
			if _, ok := plan.Dir(write.Controller); !ok {
				r.errorf(write.Field, "mount it, boot with it, or leave the limit out",
					"the cgroup controller %s is in no hierarchy that is mounted", write.Controller)
			}
			continue
		}
		at := cgroup.Root // from where the runtime enables it
		if r.host.user {
			at = existing(plan.Paths()[""])
		}
		if !slices.Contains(strings.Fields(read(at+"/cgroup.controllers")),
			write.Controller) && write.Controller != "cgroup" {
			r.errorf(write.Field,
				"enable it in the cgroup.subtree_control of the one above, or leave the limit out",
				"the cgroup controller %s is not there in %s", write.Controller, at)
		}
	}
}

// existing returns the directory or the next one above that is there.
func existing(dir string) string {
	for dir != "/" {
		if _, err := os.Stat(dir); err == nil {
			break
		}
		dir = path.Dir(dir)
	}
	return dir
}
