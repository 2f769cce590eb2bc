package info

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/hutch-project/hutch/internal/enum"
	"github.com/hutch-project/hutch/internal/host/cgroup"
	"github.com/hutch-project/hutch/internal/host/criu"
	"github.com/hutch-project/hutch/internal/host/idmap"
	"github.com/hutch-project/hutch/internal/host/rdt"
	"github.com/hutch-project/hutch/internal/host/systemd"
	"github.com/hutch-project/hutch/internal/part/capability"
	"github.com/hutch-project/hutch/internal/part/lsm"
	"github.com/hutch-project/hutch/internal/part/namespace"
	"github.com/hutch-project/hutch/internal/part/rootfs"
	"github.com/hutch-project/hutch/internal/part/seccomp"
	"github.com/hutch-project/hutch/internal/part/user"
	"github.com/hutch-project/hutch/internal/probe"
	"github.com/hutch-project/hutch/internal/seat"
	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// Ask returns what the host can do for containers. path is the caller's PATH, by which a
// checkpoint would look for CRIU, and bus the service manager that the caller would use.
func Ask(version, path string, bus systemd.Bus) (*Report, error) {
	is, err := probe.Uname()
	if err != nil {
		return nil, err
	}
	report := &Report{Version: version, Kernel: is.Release,
		Machine: runtime.GOARCH, Caller: callerWords()}
	layout, err := cgroup.Detect(cgroup.Root)
	if err != nil {
		return nil, err
	}
	report.Cgroups = layout.Mode.String()
	plan, err := layout.Plan("", "info")
	if err != nil {
		plan = cgroup.NoPlan() // which has no directory, as a host without cgroups
	}
	defer layout.Close()
	report.kernel()
	report.caller()
	report.namespaces()
	report.cgroups(layout.Mode, plan)
	report.systemd(bus)
	report.security()
	report.seccomp()
	report.fileSystems()
	report.rootless()
	report.others(path)
	return report, nil
}

// callerWords returns who asks.
func callerWords() string {
	switch {
	case seat.HostRoot():
		return "as root"
	case seat.Nested():
		return "as root of a user namespace"
	}
	return "as user " + strconv.Itoa(os.Geteuid())
}

// read returns the text of a file without white space around it, empty where it cannot be
// read.
func read(name string) string {
	text, _ := os.ReadFile(name)
	return strings.TrimSpace(string(text))
}

func exists(name string) bool {
	_, err := os.Stat(name)
	return err == nil
}

// kernel asks for the calls that containers are made by.
func (r *Report) kernel() {
	const group = "kernel"
	refusals := seat.Refusals()
	for _, c := range [...]struct {
		name, since, for_ string
		there             bool
	}{
		{"clone3", "5.3", "a child that is born in its cgroup", probe.Call(unix.SYS_CLONE3)},
		{"pidfd_open", "5.3", "processes that are never mistaken", probe.Call(unix.SYS_PIDFD_OPEN)},
		{"openat2", "5.6", "paths that stay in the root", probe.Call(unix.SYS_OPENAT2)},
		{"close_range", "5.9", "", probe.CloseRange()},
		{"mount_setattr", rootfs.SetattrSince, "attributes of mounts, idmapped mounts",
			probe.Call(unix.SYS_MOUNT_SETATTR)},
	} {
		f := r.add(group, c.name, c.there, c.for_, "Linux "+c.since, "a newer kernel")
		f.Required = true
		if i := slices.IndexFunc(refusals, func(refused seat.Refusal) bool { return refused.Call == c.name }); i >= 0 {
			r.denied(f, refusals[i])
		}
	}
	r.later(group, "mount option nosymfollow", rootfs.OptionSince("nosymfollow"), "")
	r.add(group, "procfs of another pid namespace", probe.ProcOfPidNS(), "exec and pods without a second clone", "Linux 6.18", "")
	r.later(group, "weighted interleave", enum.MemoryModes.Find(string(specs.MpolWeightedInterleave)).Since,
		"linux.memoryPolicy")
}

// later adds what only later kernels have, since being the first of them.
func (r *Report) later(group, name, since, for_ string) {
	r.add(group, name, probe.ParseKernel(r.Kernel).Has(since), for_, "Linux "+since, "")
}

// namespaces asks for the types of namespaces, and who may make them.
func (r *Report) namespaces() {
	const group = "namespaces"
	for _, n := range namespace.Types {
		file := namespace.File(specs.LinuxNamespaceType(n.Name))
		needs := map[string]string{"time": "Linux 5.6 with CONFIG_TIME_NS",
			"cgroup": "Linux 4.6 with CONFIG_CGROUPS"}[n.Name]
		if needs == "" {
			needs = "a kernel with CONFIG_" + strings.ToUpper(file) + "_NS"
		}
		f := r.add(group, n.Name, exists("/proc/self/ns/"+file), "", needs, "")
		if n.Name == "user" && f.State == Yes {
			users(f)
		}
	}
}

// users finds what keeps users from making user namespaces.
func users(f *Feature) {
	bar := probe.UserNamespaces()
	if bar == nil {
		return
	}
	f.State, f.Detail, f.Remedy = Partly, "for root alone: "+bar.Why, bar.Remedy
	switch {
	case bar.Everybody:
		f.State, f.Detail = No, bar.Why
	case bar.Profile:
		f.Detail = "for root, and for programs with an AppArmor profile that has the rule userns: " + bar.Why
	}
}

// cgroups asks for the controllers, and whether the caller may make cgroups.
func (r *Report) cgroups(mode cgroup.Mode, plan *cgroup.Plan) {
	const group = "cgroups"
	if f := r.add(group, "a hierarchy on "+cgroup.Root, mode != cgroup.None,
		"cgroup "+mode.String(), "a kernel with CONFIG_CGROUPS",
		"mount -t cgroup2 none "+cgroup.Root); f.State == No {
		f.Detail = ""
		return
	}
	at := cgroup.Root
	if mode == cgroup.V2 && !seat.HostRoot() {
		at = nearestDir(plan.Paths()[""])
	}
	known := "\n" + read("/proc/cgroups")
	listed := strings.Fields(read(at + "/cgroup.controllers"))
	for _, c := range [...]struct{ v2, v1, for_ string }{
		{"cpu", "cpu", "linux.resources.cpu"}, {"cpuset", "cpuset",
			"linux.resources.cpu.cpus"}, {"memory", "memory", "linux.resources.memory"},
		{"pids", "pids", "linux.resources.pids"}, {"io", "blkio",
			"linux.resources.blockIO"}, {"hugetlb", "hugetlb", "linux.resources.hugepageLimits"},
		{"rdma", "rdma", "linux.resources.rdma"}, {"", "devices", "linux.resources.devices"}, {"",
			"freezer", "pause"},
		{"", "net_cls", "linux.resources.network.classID"}, {"", "net_prio",
			"linux.resources.network.priorities"},
	} {
		name, there, remedy := c.v1, false, "mount the controller, or boot with it"
		switch {
		case mode == cgroup.V2 && c.v2 == "":
			continue // v2 has no such controller, and needs none
		case mode == cgroup.V2:
			name, there = c.v2, slices.Contains(listed, c.v2)
			remedy = "enable it in " + path.Dir(at) + "/cgroup.subtree_control"
			if at == cgroup.Root {
				remedy = "boot without cgroup_disable=" + name
			}
		default:
			_, there = plan.Dir(name)
			if strings.Contains(known, "\n"+name+"\t") {
				remedy = fmt.Sprintf("mkdir %s/%[2]s && mount -t cgroup -o %[2]s none %[1]s/%[2]s",
					cgroup.Root, name)
			} else if !there {
				remedy = "a kernel that is built with it"
			}
		}
		r.add(group, name, there, c.for_, "the controller "+name, remedy)
	}
	r.makesCgroups(mode, plan)
}

// makesCgroups asks whether the caller may make cgroups.
func (r *Report) makesCgroups(mode cgroup.Mode, plan *cgroup.Plan) {
	dir := plan.Paths()[""]
	if mode != cgroup.V2 {
		own, _ := plan.Dir("pids")
		dir = own.Abs
	}
	at := nearestDir(dir)
	there := dir != "" && unix.Faccessat(unix.AT_FDCWD, at, unix.W_OK, unix.AT_EACCESS) == nil
	r.add("cgroups", "cgroups of the caller's", there, "in "+at,
		"a cgroup that is the caller's to write", "run as root, or use --cgroup-manager systemd in a login session")
}

// nearestDir returns the directory or the next one above that is there.
func nearestDir(dir string) string {
	for dir != "/" && dir != "" && dir != "." && !exists(dir) {
		dir = path.Dir(dir)
	}
	return dir
}

// systemd asks for the service manager.
func (r *Report) systemd(bus systemd.Bus) {
	name, remedy := "systemd", "use --cgroup-manager cgroupfs on a host without it"
	if bus.User {
		name, remedy = "systemd of the user", "loginctl enable-linger, and set XDG_RUNTIME_DIR"
	}
	conn, err := bus.Dial()
	if err != nil {
		r.add("cgroups", name, false, "", "a service manager on the message bus", remedy)
		return
	}
	defer conn.Close()
	version, err := conn.Version()
	r.add("cgroups", name, err == nil, "version "+strconv.Itoa(version), "", "")
	if bus.User {
		r.delegated(conn)
	}
}

// delegated asks which controllers the user's service manager has been handed.
func (r *Report) delegated(conn *systemd.Conn) {
	missing, err := conn.Undelegated()
	if err != nil {
		return // no cgroup v2, which alone delegates them
	}
	f := r.add("cgroups", "limits by systemd of the user", true, "cpu, cpuset, io, memory, pids", "", "")
	if len(missing) > 0 {
		f.State, f.Detail, f.Remedy = Partly, "it lacks "+strings.Join(missing, ", "), systemd.DelegateRemedy
	}
}

// security asks for security modules and capabilities.
func (r *Report) security() {
	const group = "security"
	on := lsm.Ask()
	r.add(group, "AppArmor", on.AppArmor, "process.apparmorProfile",
		"a kernel with CONFIG_SECURITY_APPARMOR, started with lsm=...,apparmor", "")
	r.add(group, "SELinux", on.SELinux, "process.selinuxLabel",
		"a kernel with CONFIG_SECURITY_SELINUX, a policy, and selinuxfs on /sys/fs/selinux", "")
	last := capability.Last()
	name := enum.Capabilities.Name(uint64(last))
	if name == "" {
		name = strconv.Itoa(last)
	}
	f := r.add(group, "capabilities", true, "up to "+name, "", "")
	held, err := capability.Held()
	if missing := lacking(held, last); err == nil && len(missing) > 0 {
		f.State, f.Detail = Partly, f.Detail+"; the caller lacks "+some(missing)
		f.Remedy = "run as root with all of them, or have containers make a user namespace"
	}
}

// lacking returns the names of the capabilities that are not in the set.
func lacking(held uint64, last int) (names []string) {
	for _, c := range enum.Capabilities {
		if int(c.Number) <= last && held&(1<<c.Number) == 0 {
			names = append(names, c.Name)
		}
	}
	return names
}

// some returns the first of many names.
func some(names []string) string {
	const most = 3
	if len(names) > most+1 {
		return strings.Join(names[:most], ", ") + fmt.Sprintf(" and %d more", len(names)-most)
	}
	return strings.Join(names, ", ")
}

// seccomp asks for filters, their actions and flags.
func (r *Report) seccomp() {
	const group, needs = "seccomp", "a kernel with CONFIG_SECCOMP_FILTER"
	r.add(group, "filters", probe.SeccompAction(unix.SECCOMP_RET_ERRNO), "linux.seccomp", needs, "")
	r.add(group, "SCMP_ACT_LOG", probe.SeccompAction(unix.SECCOMP_RET_LOG), "", "Linux 4.14", "")
	r.add(group, "SCMP_ACT_KILL_PROCESS", probe.SeccompAction(unix.SECCOMP_RET_KILL_PROCESS), "",
		"Linux 4.14", "")
	r.add(group, "SCMP_ACT_NOTIFY", probe.SeccompAction(unix.SECCOMP_RET_USER_NOTIF), "",
		"Linux 5.0", "")
	r.add(group, "WAIT_KILLABLE_RECV",
		probe.SeccompFlag(unix.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV|unix.SECCOMP_FILTER_FLAG_NEW_LISTENER), "", "Linux "+seccomp.FlagSince(specs.LinuxSeccompFlagWaitKillableRecv), "")
}

// fileSystems asks for those that images and configurations of engines use.
func (r *Report) fileSystems() {
	names, modules := probe.FileSystems(), probe.Modules(r.Kernel)
	for _, fs := range [...]string{"overlay", "tmpfs", "mqueue", "devpts", "fuse"} {
		f := r.add("file systems", fs, slices.Contains(names, fs), "",
			"the file system in the kernel or as a module", "modprobe "+fs)
		if f.State == No && probe.ModuleOf(fs, modules) {
			*f = Feature{Group: f.Group, Name: f.Name, Detail: "as a module, which a mount loads"}
		}
	}
}

// rootless asks for what users without privileges need.
func (r *Report) rootless() {
	const group = "without root"
	for _, tool := range [...]string{"newuidmap", "newgidmap"} {
		at, err := exec.LookPath(tool)
		r.add(group, tool, err == nil, at, "the program",
			"install uidmap (Debian, Ubuntu) or shadow-utils (Fedora, Arch)")
	}
	if uid := os.Geteuid(); uid != 0 {
		name := strconv.Itoa(uid)
		if f, err := os.Open("/etc/passwd"); err == nil {
			name = user.Name(f, uint32(uid))
			f.Close()
		}
		uids, _, err := idmap.Subordinate(uid, os.Getegid(), name)
		detail := ""
		if err == nil && len(uids) > 1 {
			detail = fmt.Sprintf("%d from %d on", uids[1].Size, uids[1].HostID)
		}
		r.add(group, "subordinate ids", err == nil, detail,
			"ids in /etc/subuid and /etc/subgid, and the two programs",
			"usermod --add-subuids 100000-165535 --add-subgids 100000-165535 "+name)
	}
}

// others asks for what is rarely wanted.
func (r *Report) others(path string) {
	const group = "others"
	program, err := criu.Find(path)
	at := ""
	if err == nil {
		at = program.Path
	} else if errors.Is(err, criu.ErrUntrusted) {
		at = err.Error()
	}
	r.add(group, "criu", err == nil, at, "the program", "install criu")
	dir, err := rdt.Root()
	r.add(group, "Intel RDT", err == nil, dir,
		"a processor with RDT, a kernel with CONFIG_X86_CPU_RESCTRL", "mount -t resctrl none /sys/fs/resctrl")
	quota := read("/proc/sys/kernel/keys/maxkeys")
	if os.Geteuid() == 0 {
		quota = read("/proc/sys/kernel/keys/root_maxkeys")
	}
	r.add(group, "session keyrings", exists("/proc/keys"), "the caller may have "+quota+" keys",
		"a kernel with CONFIG_KEYS", "use --no-new-keyring")
	handlers, _ := os.ReadDir("/proc/sys/fs/binfmt_misc")
	r.add(group, "programs of other machines", len(handlers) > 2,
		fmt.Sprintf("%d handlers of binfmt_misc", max(len(handlers)-2, 0)),
		"a handler in binfmt_misc", "install qemu-user-static and binfmt-support")
}
