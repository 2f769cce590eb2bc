package integration

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A process that sets itself up for a container has descriptors of the host,
// and names of the image are resolved while it has them: /proc/self/fd/N is a
// way out, whether the program, PATH, the first line of a script or an ELF
// program's interpreter names it. Marking them close-on-exec is too late.

// bait is a program on the host that the image is after.
type bait struct {
	g    *guest
	c    *canary
	path string
	text string
}

func newBait(g *guest) *bait {
	g.t.Helper()
	c := g.newCanary()
	path := g.path("bait/busybox")
	if err := os.Mkdir(g.path("bait"), 0o755); err != nil {
		g.t.Fatal(err)
	}
	if out, err := exec.Command("cp", filepath.Join(workDir, "assets", "busybox"), path).CombinedOutput(); err != nil {
		g.t.Fatalf("cp: %v %s", err, out)
	}
	// A container that gets hold of it may write to it.
	if err := os.Chmod(path, 0o777); err != nil {
		g.t.Fatal(err)
	}
	return &bait{g: g, c: c, path: path, text: readText(g.t, path)}
}

// check shows that the bait is what it was.
func (b *bait) check(after string) {
	b.g.t.Helper()
	if readText(b.g.t, b.path) != b.text {
		b.g.t.Errorf("a program of the host was overwritten by %s", after)
		b.text = readText(b.g.t, b.path)
	}
}

// mark is written by the image's script when a program of the host runs it.
const mark = "/tmp/reached"

// reached reports whether something of the host ran, and forgets it.
func (b *bait) reached() bool {
	err := os.Remove(b.g.rootfs(mark))
	return err == nil
}

// form is a way in which an image names a file by a descriptor.
type form struct {
	name string
	file bool // the descriptor itself is executed, not something beneath it
	lay  func(b *bait, n int) program
}

func (b *bait) file(name string, text []byte) string {
	b.g.t.Helper()
	path := b.g.rootfs(name)
	os.Remove(path)
	if err := writeProgram(path, text); err != nil {
		b.g.t.Fatal(err)
	}
	return "/" + name
}

func (b *bait) up(n int) string {
	return fmt.Sprintf("/proc/self/fd/%d/%s", n, climb(b.path))
}

// spoil is what the image's script does when it is run by the host's program.
const spoil = "\necho reached >" + mark + "\n(echo spoilt >>/proc/self/exe) 2>/dev/null\n"

var spoils = []string{"sh", "-c", "echo reached >" + mark}

func forms() []form {
	return []form{
		{"program", false, func(b *bait, n int) program {
			return program{args: append([]string{b.up(n)}, spoils...)}
		}},
		{"script", false, func(b *bait, n int) program {
			return program{args: []string{b.file("entry", []byte("#!"+b.up(n)+" sh"+spoil))}}
		}},
		{"elf", false, func(b *bait, n int) program {
			return program{args: []string{b.file("entry", interpretedBy(b.g.t, b.up(n)))}}
		}},
		{"link", false, func(b *bait, n int) program {
			b.g.replace("busybox", b.up(n))
			return program{args: append([]string{"/busybox"}, spoils...)}
		}},
		{"PATH", false, func(b *bait, n int) program {
			return program{args: append([]string{"busybox"}, spoils...), env: []string{"PATH=" + strings.TrimSuffix(b.up(n), "/busybox")}}
		}},
		{"script by link", false, func(b *bait, n int) program {
			b.g.replace("busybox", b.up(n))
			return program{args: []string{b.file("entry", []byte("#!/busybox sh"+spoil))}}
		}},
		{"file as script", true, func(b *bait, n int) program {
			return program{args: []string{b.file("entry", fmt.Appendf(nil, "#!/proc/self/fd/%d\n", n))}}
		}},
		{"file as program", true, func(b *bait, n int) program {
			return program{args: append([]string{fmt.Sprintf("/proc/self/fd/%d", n)}, spoils...)}
		}},
		{"file in PATH", true, func(b *bait, n int) program {
			return program{args: append([]string{fmt.Sprint(n)}, spoils...), env: []string{"PATH=/proc/self/fd"}}
		}},
		{"file as elf", true, func(b *bait, n int) program {
			return program{args: []string{b.file("entry", interpretedBy(b.g.t, fmt.Sprintf("/proc/self/fd/%d", n)))}}
		}},
		{"file of thread", true, func(b *bait, n int) program {
			return program{args: []string{b.file("entry", fmt.Appendf(nil, "#!/proc/thread-self/fd/%d\n", n))}}
		}},
	}
}

// fits reports whether a hook, whose path is absolute, can have the form.
func (f form) fits(w way) bool { return !w.hook || !strings.Contains(f.name, "PATH") }

func (b *bait) strike(w way, f form, n int, files []*os.File, flags ...string) {
	b.g.t.Helper()
	p := f.lay(b, n)
	p.files, p.flags = files, flags
	b.strikeBy(w, p, fmt.Sprintf("%s by descriptor %d", f.name, n))
}

func (b *bait) strikeBy(w way, p program, attack string) {
	b.g.t.Helper()
	res := w.run(b.g, p)
	if b.reached() {
		b.g.t.Errorf("%s: a program of the host ran in the container:\n%s", attack, res)
	}
	b.g.notExecuted(w, res, attack)
	b.check(attack)
}

// TestHostileDescriptorAttacksWork shows that each attack would get through:
// where the engine hands a folder of the host on, it does.
func TestHostileDescriptorAttacksWork(t *testing.T) {
	t.Parallel()
	for _, w := range ways() {
		if w.hook {
			continue // nothing is handed on to a hook
		}
		t.Run(w.name, func(t *testing.T) {
			t.Parallel()
			b := newBait(standings()[0].guest(t))
			folder := b.c.hostFolders(1)
			for _, f := range forms() {
				if f.file || f.name == "elf" {
					continue // busybox as an ELF interpreter runs, but says nothing
				}
				p := f.lay(b, 3)
				p.files, p.flags = folder, []string{"--preserve-fds", "1"}
				if res := w.run(b.g, p); !b.reached() {
					t.Errorf("%s: the attack itself does not work:\n%s", f.name, res)
				}
			}
		})
	}
}

// everyNumber gives a PATH of folders with a link each, so that one start tries
// all descriptors as far as the search goes.
func (b *bait) everyNumber(file bool) program {
	b.g.t.Helper()
	var path []string
	for n := 3; n <= 40; n++ {
		dir, name, target := fmt.Sprintf("links/%d", n), "busybox", b.up(n)
		if file {
			name, target = "itself", fmt.Sprintf("/proc/self/fd/%d", n)
		}
		b.g.replace(dir+"/"+name, target)
		path = append(path, "/"+dir)
	}
	p := program{args: append([]string{"busybox"}, spoils...), env: []string{"PATH=" + strings.Join(path, ":")}}
	if file {
		p.args[0] = "itself"
	}
	return p
}

// TestHostileOwnDescriptors is after what the runtime itself has open. Links in PATH
// try all numbers in one start; what names one number only tries some of them in each
// way, others in the next, since TestHostileDescriptorsInSight looks at all.
func TestHostileOwnDescriptors(t *testing.T) {
	t.Parallel()
	everyWay(t, func(t *testing.T, s standing, w way) {
		b := newBait(s.guest(t))
		if !w.hook {
			for _, file := range []bool{false, true} {
				b.strikeBy(w, b.everyNumber(file), fmt.Sprintf("links in PATH, file %v", file))
			}
		}
		plain := s.uid == 0 && len(s.edits) == 0
		all := plain && slowness == 1 && (w.name == "exec" || w.name == "run")
		step := 12
		if all {
			step = 3
		} else if plain {
			step = 6
		}
		first := slices.IndexFunc(ways(), func(other way) bool { return other.name == w.name })
		for i, n := range quick(3, 40) {
			if i%step != first%step {
				continue
			}
			for _, f := range forms() {
				if f.name == "file as script" || f.name == "script" && w.hook || all && f.name == "script" || all && f.name == "file as elf" {
					b.strike(w, f, n, nil)
				}
			}
			if t.Failed() {
				return
			}
		}
	})
}

// TestHostileDescriptorsOfTheEngine has a caller that forgot to close folders
// and programs of the host: every number is then a way out, if they stay open.
func TestHostileDescriptorsOfTheEngine(t *testing.T) {
	t.Parallel()
	everyWay(t, func(t *testing.T, s standing, w way) {
		b := newBait(s.guest(t))
		files := b.c.hostFolders(30)
		for i := 1; i < len(files); i += 2 { // every other one is the program
			f, err := os.Open(b.path)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { f.Close() })
			files[i] = f
		}
		for i, f := range forms() {
			if !f.fits(w) {
				continue
			}
			n := 3 + 2*i
			if f.file {
				n++ // programs have the even numbers
			}
			b.strike(w, f, n, files)
		}
	})
}

// TestHostileDescriptorsBesidePreserved hands one folder on, by which nothing
// but that folder may be reached, and asks for more than is open.
func TestHostileDescriptorsBesidePreserved(t *testing.T) {
	t.Parallel()
	everyWay(t, func(t *testing.T, s standing, w way) {
		if w.hook {
			return
		}
		g := s.guest(t)
		b := newBait(g)
		file := openFiles(t, g.bundle, 1)
		script := forms()[slices.IndexFunc(forms(), func(f form) bool { return f.name == "script" })]
		for n := 4; n <= 12; n += 2 {
			b.strike(w, script, n, file, "--preserve-fds", "12")
		}
	})
}

// TestHostileCwdOfExec: the working directory is a name of the image too.
func TestHostileCwdOfExec(t *testing.T) {
	t.Parallel()
	for _, s := range standings() {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			g := s.guest(t)
			c := g.newCanary()
			g.asleep()
			folders := c.hostFolders(8)
			try := func(cwd string, files []*os.File) {
				t.Helper()
				cmd := g.execCall(program{files: files}, "--cwd", cwd)
				cmd.args = append(cmd.args, "ls")
				if res := cmd.do(t); res.code == 0 || res.stdout != "" {
					t.Errorf("cwd %s: want a refusal:\n%s", cwd, res)
				}
			}
			for _, n := range quick(0, 40) {
				try(fmt.Sprintf("/proc/self/fd/%d", n), nil)
			}
			for n := 3; n <= 10; n++ {
				try(fmt.Sprintf("/proc/self/fd/%d/../../..", n), folders)
				g.replace("work", fmt.Sprintf("/proc/self/fd/%d", n))
				try("/work", folders)
			}
			c.check("the execs")
		})
	}
}
