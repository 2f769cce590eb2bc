package integration

import (
	"fmt"
	"os"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// hookFiles sets the annotations that name files for what hooks write.
func hookFiles(stdout, stderr string) edit {
	return func(s *specs.Spec) {
		s.Annotations = map[string]string{}
		if stdout != "" {
			s.Annotations["run.oci.hooks.stdout"] = stdout
		}
		if stderr != "" {
			s.Annotations["run.oci.hooks.stderr"] = stderr
		}
	}
}

// TestHookOutputFiles: what hooks of all kinds write is in the files of the annotations, in
// the order in which they run, and more than fits into a pipe of it.
//
// Source: crun(1), "run.oci.hooks.stdout", "run.oci.hooks.stderr".
func TestHookOutputFiles(t *testing.T) {
	t.Parallel()
	hutchOnly(t, "runc has no such annotation")
	const long = 100 << 10
	ways := map[string]func(b *bundle){
		"create": func(b *bundle) { b.create().start().kill("KILL").wait(); b.status("stopped").delete() },
		"run":    func(b *bundle) { b.run().ok(t) },
	}
	for name, way := range ways {
		for _, inUserNamespace := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, user namespace %t", name, inUserNamespace), func(t *testing.T) {
				b := newBundle(t, sh("true"))
				if name == "create" {
					b = newBundle(t, sh("sleep 1000"))
				}
				if inUserNamespace {
					userNamespace(b.spec)
				}
				out, err := b.path("hooks.out"), b.path("hooks.err")
				hookFiles(out, err)(b.spec)
				for _, kind := range hookKinds() {
					hooks(kind, hook("echo "+kind+"; echo "+kind+" >&2; head -c 102400 /dev/zero | tr '\\0' x >&2"))(b.spec)
				}
				b.writeSpec()
				way(b)
				if got, want := readText(t, out), strings.Join(hookKinds(), "\n")+"\n"; got != want {
					t.Errorf("output: %q", got)
				}
				errors := readText(t, err)
				if want := strings.Join(hookKinds(), "\n") + "\n"; strings.ReplaceAll(errors, "x", "") != want || len(errors) != len(want)+6*long {
					t.Errorf("errors: %d bytes, %q", len(errors), strings.ReplaceAll(errors, "x", ""))
				}
			})
		}
	}
}

// TestHookOutputFileOfAFailure: the error of a hook names the file, and shows the stream
// that has none.
func TestHookOutputFileOfAFailure(t *testing.T) {
	t.Parallel()
	hutchOnly(t, "runc has no such annotation")
	for _, kind := range []string{"createRuntime", "createContainer", "startContainer", "poststart"} {
		t.Run(kind, func(t *testing.T) {
			b := newBundle(t, hooks(kind, hook("echo out; echo err >&2; exit 3")))
			file := b.path("file")
			hookFiles(file, "")(b.spec)
			b.writeSpec()
			b.run().failed(t, "exit status 3 (its output is in "+file+"): err")
			if got := readText(t, file); got != "out\n" {
				t.Errorf("%q", got)
			}
		})
	}
}

// TestHookOutputFileIsNotTheImages: a startContainer hook, a program of the image, has no
// descriptor of the host's file.
func TestHookOutputFileIsNotTheImages(t *testing.T) {
	t.Parallel()
	hutchOnly(t, "runc has no such annotation")
	b := newBundle(t, hooks("startContainer", hook("readlink /proc/self/fd/1; readlink /proc/self/fd/2; ls /proc/self/fd/ | wc -l")))
	file := b.path("file")
	hookFiles(file, file)(b.spec)
	b.writeSpec()
	b.run().ok(t)
	if got := readText(t, file); !strings.HasPrefix(got, "/memfd:output (deleted)\n/memfd:errors (deleted)\n4\n") {
		t.Errorf("%q", got)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
}
