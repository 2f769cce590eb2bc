package integration

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// mistake is one that people make in their first hour, and what they have to be told: the
// command, the element, the object, the reason and the remedy.
type mistake struct {
	name  string
	edits []edit
	// prepare makes the mistake in the bundle; the words that it returns are the command line,
	// where that is not run.
	prepare func(b *bundle) []string
	wrap    []string // a command line to run the runtime by
	code    int      // 0 is 1, the status of most
	want    []string // {ID} stands for the container's id, {DIR} for the bundle
}

// words returns a prepare for a command line in which {ID} stands for the container.
func words(line ...string) func(*bundle) []string {
	return func(b *bundle) []string { return line }
}

// started returns a prepare that starts the container first.
func started(line ...string) func(*bundle) []string {
	return func(b *bundle) []string {
		b.create().start()
		return line
	}
}

// edited returns an edit that is a statement.
func edited(change func(s *specs.Spec)) []edit { return []edit{change} }

// inFile returns a prepare that writes a file of the root file system, as the program.
func inFile(name, text string, mode os.FileMode) func(*bundle) []string {
	return func(b *bundle) []string {
		if err := os.WriteFile(b.rootfs(name), []byte(text), mode); err != nil {
			b.t.Fatal(err)
		}
		return nil
	}
}

// foreignELF is the beginning of a program for a machine that nobody has.
func foreignELF() string {
	return "\x7fELF\x02\x01\x01" + strings.Repeat("\x00", 9) + "\x02\x00\xe7\x03" + strings.Repeat("\x00", 44)
}

func configMistakes() []mistake {
	return []mistake{
		{name: "no such bundle", prepare: words("run", "--bundle", "/nosuch", "{ID}"),
			want: []string{"hutch: run {ID}: open /nosuch/config.json: no such file or directory; /nosuch is no bundle: name the directory that has a config.json with --bundle, or write one with the command spec"}},
		{name: "config.json is missing", prepare: func(b *bundle) []string {
			return []string{"run", "--bundle", b.rootfs(), "{ID}"}
		}, want: []string{"hutch: run {ID}: open {DIR}/rootfs/config.json: no such file", "is no bundle: name the directory"}},
		{name: "the root is missing", edits: edited(func(s *specs.Spec) { s.Root.Path = "/nosuch" }),
			want: []string{"hutch: run {ID}: root.path: open the root file system /nosuch: ", "no such file or directory; unpack the files of an image there"}},
		{name: "no JSON", prepare: func(b *bundle) []string {
			b.writeConfig([]byte(`{"ociVersion":"1.0", "process":{"terminal":false,,}}`))
			return nil
		}, want: []string{"hutch: run {ID}: config.json: process: want the name of a property in double quotes, found ',' (line 1, column 50)"}},
		{name: "a string for a list", prepare: func(b *bundle) []string {
			b.writeConfig([]byte("{\"ociVersion\":\"1.0\",\n\"process\": {\"args\": \"sh\"}}"))
			return nil
		}, want: []string{"hutch: run {ID}: config.json: process.args: want an array, found a string (line 2, column 21)"}},
		{name: "args are empty", edits: edited(func(s *specs.Spec) { s.Process.Args = nil }),
			want: []string{"hutch: run {ID}: config.json: process.args: missing; give the program to run and its arguments"}},
		{name: "bind is forgotten", edits: []edit{mount(specs.Mount{Source: "/etc", Destination: "/mnt"})},
			want: []string{"hutch: run {ID}: config.json: mounts[5].type: missing; name a file system, or add the option bind or rbind"}},
		{name: "a seccomp action", edits: edited(func(s *specs.Spec) { s.Linux.Seccomp = &specs.LinuxSeccomp{DefaultAction: "SCMP_ALLOW"} }),
			want: []string{`hutch: run {ID}: config.json: linux.seccomp.defaultAction: "SCMP_ALLOW" is not known; give one of SCMP_ACT_ALLOW, `, "; did you mean SCMP_ACT_ALLOW?"}},
		{name: "a namespace", edits: edited(func(s *specs.Spec) { s.Linux.Namespaces[1].Type = "net" }),
			want: []string{`hutch: run {ID}: config.json: linux.namespaces[1].type: "net" is not known; use pid, network, mount, ipc, uts, user, cgroup or time; did you mean network?`}},
		{name: "a namespace's path", edits: edited(func(s *specs.Spec) { s.Linux.Namespaces[1].Path = "/nosuch" }),
			want: []string{"hutch: run {ID}: linux.namespaces[1].path: join /nosuch: open: no such file or directory; name the namespace of a process that lives"}},
		{name: "a capability", edits: edited(func(s *specs.Spec) {
			s.Process.Capabilities.Bounding = append(s.Process.Capabilities.Bounding, "SYS_ADMIN")
			s.Process.Args = []string{"nosuch"}
		}), want: []string{
			`hutch: warning: process.capabilities: "SYS_ADMIN" is no capability of Linux, ignoring; did you mean CAP_SYS_ADMIN?`,
			`hutch: run {ID}: process.args[0]: exec: "nosuch": executable file not found in $PATH`,
		}},
		{name: "a limit", edits: edited(func(s *specs.Spec) { s.Process.Rlimits = []specs.POSIXRlimit{{Type: "NOFILE", Soft: 1, Hard: 1}} }),
			want: []string{`hutch: run {ID}: config.json: process.rlimits[0].type: "NOFILE" is no resource limit of Linux; see getrlimit(2), for example RLIMIT_NOFILE; did you mean RLIMIT_NOFILE?`}},
		{name: "an id that is not mapped", edits: edited(func(s *specs.Spec) {
			ids := []specs.LinuxIDMapping{{HostID: 100000, Size: 10}}
			s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: specs.UserNamespace})
			s.Linux.UIDMappings, s.Linux.GIDMappings, s.Process.User.UID = ids, ids, 50
		}), want: []string{"hutch: run {ID}: config.json: process.user.uid: 50 is not mapped in the user namespace; add it to linux.uidMappings"}},
	}
}

func lineMistakes() []mistake {
	unprivileged := []string{"setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "--"}
	return []mistake{
		{name: "no command", prepare: words("crate", "{ID}"), want: []string{`hutch: "crate" is no command; did you mean create?`}},
		{name: "a flag", prepare: words("run", "--bundel", "x", "{ID}"), want: []string{"flag provided but not defined: -bundel; did you mean --bundle?"}},
		{name: "not root", wrap: unprivileged, want: []string{"hutch: run {ID}: make the state directory ", "permission denied: run as root, or name another one with --root"}},
		{name: "list, not root", wrap: unprivileged, prepare: func(b *bundle) []string {
			if err := os.MkdirAll(b.root, 0o700); err != nil {
				b.t.Fatal(err)
			}
			return []string{"list"}
		}, want: []string{"permission denied: run as root, or name another one with --root"}},
		{name: "an id", prepare: words("create", "a/b"), want: []string{`hutch: create: invalid container ID format: "a/b" has the character '/'; use letters, digits and _ + . - only`}},
		{name: "the id is taken", edits: []edit{sh("sleep 1000")}, prepare: started("run", "--bundle", "{DIR}", "{ID}"),
			want: []string{"hutch: run {ID}: container with given ID already exists"}},
		{name: "start twice", edits: []edit{sh("sleep 1000")}, prepare: started("start", "{ID}"), want: []string{"hutch: start {ID}: cannot start an already running container"}},
		{name: "delete one that runs", edits: []edit{sh("sleep 1000")}, prepare: started("delete", "{ID}"),
			want: []string{"hutch: delete {ID}: cannot delete a container that is not stopped: it is running; stop it first, or use --force"}},
		{name: "resume one that runs", edits: []edit{sh("sleep 1000")}, prepare: started("resume", "{ID}"), want: []string{"hutch: resume {ID}: container not paused"}},
		{name: "a signal", edits: []edit{sh("sleep 1000")}, prepare: started("kill", "{ID}", "TREM"), want: []string{`unknown signal "TREM": did you mean TERM?`}},
		{name: "no signal", edits: []edit{sh("sleep 1000")}, prepare: started("kill", "{ID}", "FOOBAR"), want: []string{`unknown signal "FOOBAR": give a name as TERM or SIGTERM, or a number`}},
		{name: "exec of nothing", edits: []edit{sh("sleep 1000")}, prepare: started("exec", "{ID}", "nosuch"), code: 255,
			want: []string{`hutch: exec {ID}: process.args[0]: exec: "nosuch": executable file not found in $PATH`}},
		{name: "a capability of exec", edits: []edit{sh("sleep 1000")}, prepare: started("exec", "--cap", "SYS_ADMN", "{ID}", "nosuch"), code: 255, want: []string{
			`hutch: warning: process.capabilities: "SYS_ADMN" is no capability of Linux, ignoring; did you mean CAP_SYS_ADMIN?`,
			`hutch: exec {ID}: process.args[0]: exec: "nosuch": executable file not found in $PATH`,
		}},
		{name: "a user of exec", edits: []edit{sh("sleep 1000")}, prepare: started("exec", "--user", "nobody", "{ID}", "true"), code: 255,
			want: []string{`hutch: exec {ID}: --user "nobody": "nobody" is not in /etc/passwd of the container; give a name that is, or numbers`}},
		{name: "a size", edits: []edit{sh("sleep 1000")}, prepare: started("update", "--memory", "12Q", "{ID}"),
			want: []string{`hutch: update {ID}: --memory: "12Q" is not a size in bytes, or with b, k, m, g, t, or -1 for no limit`}},
		{name: "processors", edits: []edit{sh("sleep 1000")}, prepare: started("update", "--cpuset-cpus", "999", "{ID}"),
			want: []string{"hutch: update {ID}: linux.resources.cpu.cpus: ", `write "999" to cpuset.cpus: `, "of that number", "the earlier values are in force again"}},
		{name: "exec in a paused one", edits: []edit{sh("sleep 1000")}, prepare: func(b *bundle) []string {
			b.create().start()
			b.rt("pause", b.id).ok(b.t)
			return []string{"exec", "{ID}", "true"}
		}, code: 255, want: []string{"hutch: exec {ID}: cannot exec in a paused container (use --ignore-paused to override)"}},
		{name: "state of nothing", prepare: words("state", "ghost"), want: []string{"hutch: state ghost: container does not exist"}},
		{name: "kill of nothing", prepare: words("kill", "ghost"), want: []string{"hutch: kill ghost: container does not exist"}},
		{name: "delete of nothing", prepare: words("delete", "ghost"), want: []string{"hutch: delete ghost: container does not exist"}},
		{name: "a terminal without a socket", edits: edited(func(s *specs.Spec) { s.Process.Terminal = true }), prepare: words("create", "--bundle", "{DIR}", "{ID}"),
			want: []string{"hutch: create {ID}: cannot allocate tty if runc will detach without setting console socket: give --console-socket, or set process.terminal to false"}},
		{name: "no arguments", prepare: words("start"), want: []string{"hutch: start: requires exactly 1 argument, the container id; got 0"}},
	}
}

func programMistakes() []mistake {
	return []mistake{
		{name: "the program is not found", edits: []edit{args("nosuch")}, want: []string{`hutch: run {ID}: process.args[0]: exec: "nosuch": executable file not found in $PATH`}},
		{name: "the program at a path", edits: []edit{args("/bin/nosuch")}, want: []string{`hutch: run {ID}: process.args[0]: exec: "/bin/nosuch": stat /bin/nosuch: no such file or directory`}},
		{name: "another machine", edits: []edit{args("/bin/wrong")}, prepare: inFile("bin/wrong", foreignELF(), 0o755),
			want: []string{`hutch: run {ID}: process.args[0]: exec: "/bin/wrong": exec format error: the file is for the machine 999 of elf.h, this machine is `}},
		{name: "an interpreter", edits: []edit{args("/bin/scr")}, prepare: inFile("bin/scr", "#!/usr/bin/perl\n", 0o755),
			want: []string{`exec: "/bin/scr": no such file or directory: its first line names the interpreter "/usr/bin/perl", which is missing in the root file system`}},
		{name: "a loader", edits: []edit{args("/bin/dynamic")}, prepare: func(b *bundle) []string {
			data, err := os.ReadFile("/bin/sh")
			if err != nil {
				b.t.Fatal(err)
			}
			return inFile("bin/dynamic", string(data), 0o755)(b)
		}, want: []string{`exec: "/bin/dynamic": no such file or directory: `, "which is missing in the root file system"}},
		{name: "no x bit", edits: []edit{args("/bin/noexec")}, prepare: inFile("bin/noexec", "x", 0o644),
			want: []string{`hutch: run {ID}: process.args[0]: exec: "/bin/noexec": permission denied: the file has no x bit; give it one with chmod +x`}},
		{name: "no first line", edits: []edit{args("/bin/plain")}, prepare: inFile("bin/plain", "echo\n", 0o755),
			want: []string{`exec: "/bin/plain": exec format error: the file is no ELF file, and a script without a first line as #!/bin/sh`}},
		{name: "a directory", edits: []edit{args("/bin")}, want: []string{`hutch: run {ID}: process.args[0]: exec: "/bin": is a directory`}},
		{name: "the working directory is a file", edits: edited(func(s *specs.Spec) { s.Process.Cwd = "/bin/sh" }),
			want: []string{"hutch: run {ID}: process.cwd: change to /bin/sh: ", "not a directory"}},
		{name: "a hook is missing", edits: []edit{hooks("createRuntime", specs.Hook{Path: "/nosuch/hook"})},
			want: []string{"hutch: run {ID}: hooks.createRuntime[0]: run /nosuch/hook: no such file or directory; hooks but startContainer are programs of the host"}},
		{name: "a hook fails", edits: []edit{hooks("createRuntime", hook("echo sorry >&2; exit 7"))},
			want: []string{"hutch: run {ID}: hooks.createRuntime[0]: run /bin/sh: exit status 7: sorry"}},
		{name: "AppArmor", edits: edited(func(s *specs.Spec) { s.Process.ApparmorProfile = "nosuch" }),
			want: []string{`hutch: run {ID}: process.apparmorProfile: "nosuch": AppArmor: the security module is not enabled on this host; leave the profile out`}},
	}
}

func mountMistakes() []mistake {
	return []mistake{
		{name: "a source", edits: []edit{bindMount("/nosuch", "/mnt")}, want: []string{"hutch: run {ID}: mounts[5]: bind /nosuch on /mnt: open source /nosuch: no such file or directory"}},
		{name: "an option of tmpfs", edits: []edit{tmpfsMount("/mnt", "nosiud")},
			want: []string{"hutch: run {ID}: mounts[5]: mount tmpfs on /mnt: option nosiud: invalid argument", "; did you mean nosuid?"}},
		{name: "an option of a bind", edits: []edit{bindMount("/etc", "/mnt", "nosiud")},
			want: []string{`hutch: run {ID}: config.json: mounts[5].options[1]: "nosiud" is not an option for bind mounts`, "; did you mean nosuid?"}},
		{name: "a file system", edits: []edit{mount(specs.Mount{Destination: "/mnt", Type: "tmpfss", Source: "t"})},
			want: []string{"hutch: run {ID}: mounts[5]: mount tmpfss on /mnt: fsopen tmpfss: no such device: the kernel has no such file system; load its module, or see /proc/filesystems; did you mean tmpfs?"}},
		{name: "a mount point in a read-only root", edits: []edit{tmpfsMount("/newdir")}, prepare: func(b *bundle) []string {
			if err := unix.Mount(b.rootfs(), b.rootfs(), "", unix.MS_BIND, ""); err != nil {
				b.t.Fatal(err)
			}
			b.release = append(b.release, func() { unix.Unmount(b.rootfs(), unix.MNT_DETACH) })
			if err := unix.Mount("", b.rootfs(), "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY, ""); err != nil {
				b.t.Fatal(err)
			}
			return nil
		}, want: []string{"hutch: run {ID}: mounts[5]: make /newdir in the container: read-only file system"}},
		{name: "no space for the state", prepare: func(b *bundle) []string {
			if err := os.MkdirAll(b.root, 0o700); err != nil {
				b.t.Fatal(err)
			}
			if err := unix.Mount("full", b.root, "tmpfs", 0, "size=4k"); err != nil {
				b.t.Fatal(err)
			}
			b.release = append(b.release, func() { unix.Unmount(b.root, unix.MNT_DETACH) })
			if err := os.WriteFile(filepath.Join(b.root, "full"), make([]byte, 4096), 0o600); err != nil {
				b.t.Fatal(err)
			}
			return nil
		}, want: []string{"hutch: run {ID}: ", "no space left on device"}},
	}
}

func limitMistakes() []mistake {
	return []mistake{
		{name: "a controller that is not mounted", edits: []edit{pidsLimit(100)}, wrap: []string{"unshare", "-m", "sh", "-c", `umount /sys/fs/cgroup/pids && exec "$@"`, "sh"},
			want: []string{"hutch: run {ID}: linux.resources.pids.limit: cgroup controller is not available: pids, which is in no mounted cgroup v1 hierarchy; mount it, or leave the field out"}},
		{name: "a controller that the host has not", edits: []edit{resources(func(r *specs.LinuxResources) { r.Network = &specs.LinuxNetwork{ClassID: ptr[uint32](7)} })},
			want: []string{"hutch: run {ID}: linux.resources.network.classID: ", "net_cls"}},
		{name: "memory", edits: []edit{memoryLimit(4096)}, want: []string{"hutch: run {ID}: ", "linux.resources.memory.limit", "too low"}},
	}
}

// TestMistakes makes each mistake, and demands of the text what a user needs: which command,
// which container, which element, which object, why, and what to do.
func TestMistakes(t *testing.T) {
	t.Parallel()
	hutchOnly(t, "others have other texts")
	for _, m := range mistakes() {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			m.make(t)
		})
	}
}

func mistakes() []mistake {
	return slices.Concat(configMistakes(), lineMistakes(), programMistakes(), mountMistakes(), limitMistakes())
}

// make makes the mistake, and looks at what is said.
func (m *mistake) make(t *testing.T) {
	m.skip(t)
	b, res := m.tell(t)
	fill := strings.NewReplacer("{DIR}", b.dir, "{ID}", b.id)
	code := max(m.code, 1)
	if res.code != code || res.stdout != "" {
		t.Errorf("want exit code %d and an empty stdout: %s", code, res)
	}
	for _, want := range m.want {
		if want = fill.Replace(want); !strings.Contains(res.stderr, want) {
			t.Errorf("want %q: %s", want, res)
		}
	}
}

// skip skips a mistake that is none on this host.
func (m *mistake) skip(t *testing.T) {
	switch m.name {
	case "AppArmor":
		if _, err := os.Stat("/sys/kernel/security/apparmor"); err == nil {
			t.Skip("the host has AppArmor")
		}
	case "a controller that is not mounted":
		if _, err := os.Stat("/sys/fs/cgroup/pids"); err != nil {
			t.Skip("the host has cgroup v2")
		}
	}
}

// tell makes the mistake in a bundle of its own, and returns what the runtime says.
func (m *mistake) tell(t *testing.T) (*bundle, result) {
	b := newBundle(t, m.edits...)
	line := []string{"run", "--bundle", "{DIR}", "{ID}"}
	if m.prepare != nil {
		if own := m.prepare(b); own != nil {
			line = own
		}
	}
	fill := strings.NewReplacer("{DIR}", b.dir, "{ID}", b.id)
	line = slices.Clone(line) // the mistake's own
	for i := range line {
		line[i] = fill.Replace(line[i])
	}
	return b, call{root: b.root, args: line, wrap: m.wrap}.do(t)
}
