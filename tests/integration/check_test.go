package integration

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// finding is one of hutch check's JSON form.
type finding struct {
	Severity, Element, What, Remedy string
	Line, Column                    int
}

// check runs hutch check on the bundle, and returns its findings, an element after its
// severity.
func (b *bundle) check(code int, flags ...string) []finding {
	b.t.Helper()
	res := b.rt(append([]string{"check", "--bundle", b.dir, "--format", "json"}, flags...)...)
	if res.code != code || res.stderr != "" {
		b.t.Errorf("want exit code %d and an empty stderr: %s", code, res)
	}
	var document struct {
		Version                 string
		Errors, Warnings, Notes int
		Findings                []finding
	}
	if err := json.Unmarshal([]byte(res.stdout), &document); err != nil {
		b.t.Fatalf("%v: %s", err, res)
	}
	count := map[string]int{}
	for _, f := range document.Findings {
		count[f.Severity]++
	}
	if document.Version != "1.0" || count["error"] != document.Errors || count["warning"] != document.Warnings || count["note"] != document.Notes {
		b.t.Errorf("the counts are not those of the findings: %s", res)
	}
	return document.Findings
}

// checkCase is a broken bundle: what is wrong, and the findings that check has to have, each
// as "severity element: a part of what is wrong".
type checkCase struct {
	name   string
	edits  []edit
	change func(b *bundle)
	code   int
	want   []string
}

func brokenBundles() []checkCase {
	seccomp := func(s *specs.Spec) {
		s.Linux.Seccomp = &specs.LinuxSeccomp{DefaultAction: specs.ActAllow, Syscalls: []specs.LinuxSyscall{{Names: []string{"mknodd"}, Action: specs.ActErrno}}}
	}
	return []checkCase{
		{name: "nothing is wrong"},
		{"the image is missing", edited(func(s *specs.Spec) { s.Root.Path, s.Process.Args = "rotfs", []string{"httpd"} }), nil, 1, []string{"error root.path: no such file or directory"}},
		{"an image without the program", []edit{args("httpd"), bindMount("/nosuch", "/mnt")}, nil, 1,
			[]string{"error process.args[0]: executable file not found in $PATH", "error mounts[5].source: open source /nosuch: no such file or directory"}},
		{"an image of another machine", []edit{args("/bin/wrong")}, func(b *bundle) { inFile("bin/wrong", foreignELF(), 0o755)(b) }, 1,
			[]string{"error process.args[0]: the file is for the machine 999 of elf.h"}},
		{"a script without its interpreter", []edit{args("scr")}, func(b *bundle) { inFile("bin/scr", "#!/usr/bin/perl\n", 0o755)(b) }, 1,
			[]string{`error process.args[0]: names the interpreter "/usr/bin/perl", which is missing`}},
		{"written by hand", edited(func(s *specs.Spec) {
			s.Process.Cwd = "tmp"
			s.Process.Env = append(s.Process.Env, "NOVALUE")
			s.Process.Rlimits = []specs.POSIXRlimit{{Type: "NOFILE"}}
			s.Linux.Namespaces[1].Type = "net"
			s.Mounts[0].Destination = "proc"
		}), nil, 1, []string{
			"error process.cwd: is not an absolute path", "error process.env[2]: has no '='", "error process.rlimits[0].type: is no resource limit",
			"error linux.namespaces[1].type: is not known", "warning mounts[0].destination: is not absolute",
		}},
		{"misspelt words that are passed over", append(edited(seccomp), withCapabilities("CAP_CHOWN", "NET_ADMIN")), func(b *bundle) {
			text := strings.Replace(readText(b.t, b.dir+"/config.json"), `"hostname":`, `"hostnam":"x","hostname":`, 1)
			b.writeConfig([]byte(text))
		}, 2, []string{
			"warning hostnam: is no property", "warning process.capabilities.bounding[15]: is no capability", "warning linux.seccomp.syscalls[0].names[0]: is no system call",
		}},
		{"for another host", edited(func(s *specs.Spec) {
			s.Process.SelinuxLabel = "system_u:system_r:container_t:s0"
			s.Linux.NetDevices = map[string]specs.LinuxNetDevice{"hutchnone0": {}}
			s.Linux.Namespaces[1].Path = "/run/netns/hutch-none"
			s.Linux.Namespaces[2].Path = "/proc/self/ns/uts"
			s.Hooks = &specs.Hooks{Poststop: []specs.Hook{{Path: "/opt/hutch-none/hook"}}, CreateRuntime: []specs.Hook{{Path: "/opt/hutch-none/hook"}}}
		}), nil, 1, []string{
			"error process.selinuxLabel: SELinux", "error linux.netDevices.hutchnone0: no network device", "error linux.namespaces[1].path: no such file",
			"error linux.namespaces[2].path: of another type, uts", "error hooks.createRuntime[0].path: run /opt/hutch-none/hook", "warning hooks.poststop[0].path: run",
		}},
		{"mounts in disorder", []edit{
			tmpfsMount("/mnt/below"), tmpfsMount("/mnt"), bindMount("/etc/passwd", "/bin"), bindMount("/etc", "/bin/sh"), mount(specs.Mount{Destination: "/x", Type: "tmpfss"}),
		}, nil, 1, []string{
			"warning mounts[5]: is hidden by mounts[6]", "error mounts[7].destination: which is a directory", "error mounts[9].type: the kernel has no file system tmpfss",
		}},
		{"no JSON", nil, func(b *bundle) { b.writeConfig([]byte("{\n\"process\": {,}}")) }, 1, []string{"error process: want the name of a property in double quotes"}},
		{"a user namespace for another image", edited(func(s *specs.Spec) {
			ids := []specs.LinuxIDMapping{{HostID: 100000, Size: 10}}
			s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: specs.UserNamespace})
			s.Linux.UIDMappings, s.Linux.GIDMappings, s.Process.User.UID = ids, ids, 50
		}), nil, 1, []string{"error process.user.uid: 50 is not mapped", "warning root.path: does not map"}},
	}
}

// TestCheck: check finds all that is wrong with a bundle at once, and where.
func TestCheck(t *testing.T) {
	t.Parallel()
	hutchOnly(t, "others have no check")
	for _, c := range brokenBundles() {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := newBundle(t, c.edits...)
			if c.change != nil {
				c.change(b)
			}
			got := b.check(c.code)
			lines := strings.Split(readText(t, b.dir+"/config.json"), "\n")
			for _, want := range c.want {
				severity, rest, _ := strings.Cut(want, " ")
				element, what, _ := strings.Cut(rest, ": ")
				if !slices.ContainsFunc(got, func(f finding) bool {
					return f.Severity == severity && f.Element == element && strings.Contains(f.What, what) &&
						f.Line > 0 && f.Column > 0 && f.Column <= len(lines[f.Line-1])
				}) {
					t.Errorf("no finding %q with a place in %s", want, fmt.Sprintf("%+v", got))
				}
			}
			if len(c.want) == 0 && len(got) > 0 {
				t.Errorf("findings of a good bundle: %+v", got)
			}
			b.nothingLeft()
		})
	}
}

// TestCheckAgreesWithCreate: what check finds no error in can be created, and what it finds
// one in cannot.
func TestCheckAgreesWithCreate(t *testing.T) {
	t.Parallel()
	hutchOnly(t, "others have no check")
	for _, c := range brokenBundles() {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := newBundle(t, c.edits...)
			if c.change != nil {
				c.change(b)
			}
			res := b.run()
			if failed := res.code != 0; failed != (c.code == 1) {
				t.Errorf("check says %d: %s", c.code, res)
			}
		})
	}
}

// TestCheckAsUser: root sees what another user would be told.
func TestCheckAsUser(t *testing.T) {
	t.Parallel()
	hutchOnly(t, "others have no check")
	b := newBundle(t, tmpfsMount("/newdir"))
	if got := b.check(0); len(got) > 0 {
		t.Errorf("as root: %+v", got)
	}
	got := b.check(1, "--as-user", "65534:65534")
	if !slices.ContainsFunc(got, func(f finding) bool {
		return f.Severity == "error" && f.Element == "mounts[5].destination" && strings.Contains(f.What, "the mount point /newdir is missing, and / is user 0's")
	}) {
		t.Errorf("as 65534: %+v", got)
	}
	if err := os.Chmod(b.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	b.rt("check", "-b", b.dir, "--as-user", "65534").failed(t, "check: open "+b.dir+"/config.json: permission denied")
	b.rt("check", "-b", b.dir, "--as-user", "rooot").failed(t, `check: --as-user: "rooot" is not in /etc/passwd, and is no id; did you mean root?`)
	b.rt("check", "-b", "/nosuch").failed(t, "check: open /nosuch/config.json: no such file or directory; /nosuch is no bundle")
}
