package integration

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// goodConfig is the default configuration as text.
func goodConfig(t testing.TB, b *bundle) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(b.dir, "config.json"))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestBadConfigFile(t *testing.T) {
	t.Parallel()
	replace := func(old, new string) func(data []byte) []byte {
		return func(data []byte) []byte {
			if !bytes.Contains(data, []byte(old)) {
				panic("no " + old + " in " + string(data))
			}
			return bytes.Replace(data, []byte(old), []byte(new), 1)
		}
	}
	text := func(s string) func([]byte) []byte { return func([]byte) []byte { return []byte(s) } }
	cases := []struct {
		name   string
		only   string
		change func(data []byte) []byte
	}{
		{"empty", "", text("")},
		{"white space", "", text(" \n\t ")},
		{"truncated at the start", "", func(d []byte) []byte { return d[:1] }},
		{"truncated", "", func(d []byte) []byte { return d[:len(d)/2] }},
		{"truncated at the end", "", func(d []byte) []byte { return d[:len(d)-1] }},
		{"text after the document", "1.1 reads the first value only", func(d []byte) []byte { return append(d, "{}"...) }},
		{"huge", "1.1 reads it", func(d []byte) []byte { return append(bytes.Repeat([]byte(" "), 17<<20), d...) }},
		{"deeply nested", "", text(strings.Repeat("[", 1<<20))},
		{"null", "1.1 crashes", text("null")},
		{"an array", "", text("[]")},
		{"a string", "", text(`"config"`)},
		{"a byte-order mark", "", func(d []byte) []byte { return append([]byte("\xef\xbb\xbf"), d...) }},
		{"not UTF-8", "1.1 takes it", replace(`"hostname":"inside"`, "\"hostname\":\"in\xff\xfeside\"")},
		{"NUL in a string", "1.1 tells the kernel half of it", replace(`"hostname":"inside"`, `"hostname":"in\u0000side"`)},
		{"NUL in the root's path", "", replace(`"path":"rootfs"`, `"path":"root\u0000fs"`)},
		{"NUL in an argument", "1.1 finds out at start", replace(`"args":["/bin/true"]`, `"args":["/bin/true","a\u0000b"]`)},
		{"NUL in the environment", "", replace(`"PATH=/bin"`, `"PATH=/bin","A=\u0000"`)},
		{"NUL in a mount", "", replace(`"destination":"/sys"`, `"destination":"/s\u0000ys"`)},
		{"process is a list", "", replace(`"process":{`, `"process":[],"was":{`)},
		{"args is a string", "", replace(`"args":["/bin/true"]`, `"args":"/bin/true"`)},
		{"uid is a string", "", replace(`"uid":0`, `"uid":"0"`)},
		{"uid is negative", "", replace(`"uid":0`, `"uid":-1`)},
		{"uid is too large", "", replace(`"uid":0`, `"uid":4294967296`)},
		{"uid is a fraction", "", replace(`"uid":0`, `"uid":0.5`)},
		{"mounts is an object", "", replace(`"mounts":[`, `"mounts":{},"was":[`)},
		{"a lone surrogate in a path", "1.1 takes it", replace(`"path":"rootfs"`, `"path":"rootfs\ud800"`)},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if c.only != "" {
				hutchOnly(t, c.only)
			}
			b := newBundle(t)
			b.writeConfig(c.change(goodConfig(t, b)))
			var texts []string
			if runtimeName == "hutch" && !strings.HasSuffix(c.name, "path") {
				texts = []string{"config.json"}
			}
			res := b.refuse(texts)
			if len(res.stderr) > 4096 {
				t.Errorf("%d bytes of error: %.300q", len(res.stderr), res.stderr)
			}
			if strings.ContainsRune(res.stderr, 0) {
				t.Errorf("the error has a NUL: %q", res.stderr)
			}
		})
	}
	t.Run("missing", func(t *testing.T) {
		t.Parallel()
		b := newBundle(t)
		config := filepath.Join(b.dir, "config.json")
		data := goodConfig(t, b)
		os.Remove(config)
		b.createCall().do(t).failed(t, "config.json")
		b.writeConfig(data)
		b.nothingLeft()
	})
	t.Run("a folder", func(t *testing.T) {
		t.Parallel()
		b := newBundle(t)
		config := filepath.Join(b.dir, "config.json")
		os.Remove(config)
		os.Mkdir(config, 0o755)
		b.createCall().do(t).failed(t, "config.json")
		b.nothingLeft()
	})
	t.Run("a fifo", func(t *testing.T) {
		t.Parallel()
		hutchOnly(t, "1.1 waits for a writer")
		b := newBundle(t)
		config := filepath.Join(b.dir, "config.json")
		os.Remove(config)
		if err := mkfifo(config); err != nil {
			t.Fatal(err)
		}
		b.createCall().do(t).failed(t, "config.json")
		b.nothingLeft()
	})
}

func TestBadPaths(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("/"+strings.Repeat("x", 200), 21)
	name := "/" + strings.Repeat("x", 256)
	destination := func(path string) edit { return tmpfsMount(path) }
	cases := []struct {
		name string
		only string
		edit edit
	}{
		{"root of 4096 bytes", "", func(s *specs.Spec) { s.Root.Path = long }},
		{"root with a name of 256 bytes", "", func(s *specs.Spec) { s.Root.Path = name }},
		{"root above the bundle, missing", "", func(s *specs.Spec) { s.Root.Path = "../../../no/such" }},
		{"destination of 4096 bytes", "", destination(long)},
		{"destination with a name of 256 bytes", "", destination(name)},
		{"source of 4096 bytes", "", bindMount(long, "/mnt")},
		{"cwd of 4096 bytes", "", func(s *specs.Spec) { s.Process.Cwd = long }},
		{"program of 4096 bytes", "", args(long)},
		{"hook of 4096 bytes", "", hooks("createRuntime", specs.Hook{Path: long})},
		{"device of 4096 bytes", "", device(specs.LinuxDevice{Path: long, Type: "c", Major: 1, Minor: 3})},
		{"namespace of 4096 bytes", "", namespace(specs.NetworkNamespace, long)},
		{"cgroup of 4096 bytes", "", func(s *specs.Spec) { s.Linux.CgroupsPath = long }},
		{"host name of 65 bytes", "", func(s *specs.Spec) { s.Hostname = strings.Repeat("h", 65) }},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if c.only != "" {
				hutchOnly(t, c.only)
			}
			refused(t, nil, c.edit)
		})
	}
}

// TestDotDotStaysInside: ".." in a path of the container stops at its root.
func TestDotDotStaysInside(t *testing.T) {
	t.Parallel()
	b := newBundle(t, sh("echo inside >/mnt/file; cat /mnt/file"), tmpfsMount("/../../../../../../../mnt"), maskPaths("/../../../../etc/passwd"))
	if out := b.run().ok(t).stdout; out != "inside\n" {
		t.Errorf("%q", out)
	}
	if data, err := os.ReadFile("/etc/passwd"); err != nil || len(data) == 0 {
		t.Errorf("the machine's /etc/passwd: %d bytes, %v", len(data), err)
	}
}

// TestCgroupsPathStaysInside: ".." never leads out of the hierarchies.
func TestCgroupsPathStaysInside(t *testing.T) {
	t.Parallel()
	b := newBundle(t, args("sleep", "1000"), func(s *specs.Spec) {
		s.Linux.CgroupsPath = "/../../../../../../" + s.Process.Env[1][len(idVariable)+1:]
	})
	res := b.createCall().do(t)
	if res.code != 0 {
		res.failed(t)
		b.nothingLeft()
		return
	}
	b.readPid()
	if len(cgroupsNamed(b.id)) == 0 {
		t.Error("its cgroup is not below the machine's")
	}
}

func TestBadIDs(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	canary := writeText(t, filepath.Join(filepath.Dir(b.root), "canary", "state.json"), "{}")
	for _, id := range []string{"", ".", "..", "../canary", "a/b", "/abs", "a b", "a\nb", "a\x01b", "é", "-x y", strings.Repeat("x", 300), strings.Repeat("x", 70_000), "$(id)", "a*"} {
		if len(id) > 1000 && runtimeName != "hutch" {
			continue // 1.1 prints all of it
		}
		for _, words := range [][]string{
			{"create", "--bundle", b.dir, "--", id}, {"run", "--bundle", b.dir, "--", id}, {"state", "--", id}, {"start", "--", id},
			{"kill", "--", id, "9"}, {"delete", "--", id}, {"ps", "--", id},
		} {
			res := b.rt(words...)
			if res.code != 1 || strings.TrimSpace(res.stderr) == "" || len(res.stderr) > 4096 {
				res.line, res.stderr = res.line[:min(200, len(res.line))], res.stderr[:min(300, len(res.stderr))]
				t.Errorf("id %.40q: %s", id, res)
			}
		}
		// Force is for ids that may be gone, not for paths.
		b.rt("delete", "--force", "--", id)
	}
	if got := readText(t, canary); got != "{}" {
		t.Errorf("the file beside the state directory is now %q", got)
	}
	b.nothingLeft()
}

// TestGoodIDs: every character that is allowed, and a long one.
func TestGoodIDs(t *testing.T) {
	t.Parallel()
	for _, id := range []string{"A-z_0.9+" + uniqueID(), uniqueID() + strings.Repeat("x", 64)} {
		b := newBundle(t)
		b.id = id
		b.run().ok(t)
	}
}

// TestBadState: what is not a container's state is an error, not a crash.
func TestBadState(t *testing.T) {
	t.Parallel()
	for name, lay := range map[string]func(dir string) error{
		"empty folder": func(dir string) error { return os.MkdirAll(dir, 0o755) },
		"garbage": func(dir string) error {
			os.MkdirAll(dir, 0o755)
			return os.WriteFile(dir+"/state.json", []byte("garbage"), 0o600)
		},
		"empty file": func(dir string) error { os.MkdirAll(dir, 0o755); return os.WriteFile(dir+"/state.json", nil, 0o600) },
		"a file":     func(dir string) error { os.MkdirAll(filepath.Dir(dir), 0o755); return os.WriteFile(dir, nil, 0o600) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBundle(t)
			if err := lay(filepath.Join(b.root, b.id)); err != nil {
				t.Fatal(err)
			}
			for _, words := range [][]string{{"start", b.id}, {"kill", b.id, "9"}} {
				b.rt(words...).failed(t)
			}
			// A folder alone is what a killed create leaves: a container without
			// a process may be told of.
			if res := b.rt("state", b.id); res.code != 1 && !strings.Contains(res.stdout, `"pid": 0`) {
				t.Errorf("%s", res)
			}
			if res := b.rt("list"); strings.Contains(res.stderr, "goroutine ") {
				t.Errorf("%s", res)
			}
			b.rt("delete", "--force", b.id)
			os.RemoveAll(filepath.Join(b.root, b.id)) // where the runtime keeps its hands off
		})
	}
}

// TestFilesOfFlagsAreRegular: a file that may wait for ever, or has no end, is an
// error at once, where a pipe that the caller has opened itself is read.
func TestFilesOfFlagsAreRegular(t *testing.T) {
	t.Parallel()
	b := asleep(t)
	fifo := b.path("odd-fifo")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		fifo:                 "is a named pipe",
		b.dir:                "is a directory",
		"/dev/zero":          "is a device",
		"/proc/self/environ": "is the kernel's",
	} {
		for _, line := range [][]string{{"exec", "--process", path, b.id}, {"update", "--resources", path, b.id}} {
			hutchOnly(t, "1.1 reads it")
			if res := (call{root: b.root, args: line}).do(t); res.code == 0 || !strings.Contains(res.stderr, "read "+path+": "+want) {
				t.Errorf("want %s: %s", want, res)
			}
		}
	}
	process := `{"args":["echo","hello"],"cwd":"/","user":{"uid":0,"gid":0},"env":["PATH=/bin"]}`
	for _, c := range []struct {
		fd   int
		path string
	}{{0, "/dev/stdin"}, {3, "/dev/fd/3"}, {3, "/proc/self/fd/3"}} {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.WriteString(process); err != nil {
			t.Fatal(err)
		}
		w.Close()
		line := call{root: b.root, args: []string{"exec", "--process", c.path, b.id}}
		if c.fd == 0 {
			line.stdin = r
		} else {
			line.files = []*os.File{r}
		}
		if out := line.do(t).ok(t); out.stdout != "hello\n" {
			t.Errorf("%s: %s", c.path, out)
		}
		r.Close()
	}
}

// TestDamagedState: a record that is cut off, gone, empty or somebody else's is told of;
// list shows the others; delete --force ends the container and takes the directory away,
// and signals nobody else.
func TestDamagedState(t *testing.T) {
	t.Parallel()
	hutchOnly(t, "1.1 removes nothing")
	for name, damage := range map[string]func(file string) error{
		"missing": os.Remove,
		"empty":   func(file string) error { return os.Truncate(file, 0) },
		"cut off": func(file string) error { return os.Truncate(file, 40) },
		"cut off behind the process": func(file string) error {
			text, err := os.ReadFile(file)
			if err != nil {
				return err
			}
			return os.Truncate(file, int64(strings.Index(string(text), `"pidStart"`)+len(`"pidStart":`)+8))
		},
		"foreign": func(file string) error {
			return os.WriteFile(file, []byte(`{"version":"99","init_process_pid":1,"pid":1}`), 0o600)
		},
		"of another version": func(file string) error {
			return os.WriteFile(file, []byte(`{"version":99,"pid":1,"pidStart":1}`), 0o600)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBundle(t, args("sleep", "100"))
			b.create().start()
			good := newBundle(t, args("sleep", "100"))
			good.root = b.root
			good.create().start()
			if err := damage(filepath.Join(b.root, b.id, "state.json")); err != nil {
				t.Fatal(err)
			}
			if res := b.rt("state", b.id).failed(t); !strings.Contains(res.stderr, "state.json") {
				t.Errorf("%s", res)
			}
			if res := b.rt("list", "-q"); res.code != 0 || res.stdout != good.id+"\n" {
				t.Errorf("%s", res)
			}
			b.rt("delete", b.id).failed(t)
			if res := b.rt("delete", "--force", b.id); res.code != 0 || !strings.Contains(res.stderr, "state.json") {
				t.Errorf("%s", res)
			}
			if _, err := os.Stat(filepath.Join(b.root, b.id)); err == nil {
				t.Error("the directory is left")
			}
			b.wait() // it has ended
			good.status("running").kill("KILL").wait()
			good.delete()
		})
	}
}
