package engines

import (
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/hutch-project/hutch/tests/testwait"
)

func run(t *testing.T, e *engine) {
	is(t, e.sh(t, nil, "echo hello; cat /proc/1/comm; true"), "hello", "sh")
	if code, _ := e.trySh(t, nil, "exit 42"); code != 42 {
		t.Errorf("exit code %d, want 42", code)
	}
	is(t, e.sh(t, []string{"--hostname", "box", "--env", "WORD=a b", "--workdir", "/etc"}, "hostname; echo $WORD; pwd"), "box", "a b", "/etc")
}

func runImpossible(t *testing.T, e *engine) {
	for _, c := range []struct {
		program string
		code    int
		text    string
	}{
		{"nosuch", 127, "executable file not found"},
		{"/no/such", 127, "no such file or directory"},
		{"/etc/passwd", 126, "permission denied"},
	} {
		code, out := e.try(t, "run", "--rm", "--cgroup-parent", e.parent, e.image, c.program)
		if code != c.code {
			t.Errorf("run %s: exit code %d, want %d", c.program, code, c.code)
		}
		has(t, strings.ToLower(out), c.text)
	}
}

// publishedPort is the whole path: an overlay root with a writable layer,
// limits, a veth pair on a bridge, address translation, a request through the
// published port, and all of it gone afterwards.
func publishedPort(t *testing.T, e *engine) {
	web := e.start(t, []string{"-p", "127.0.0.1:18080:80", "--memory", "64m"},
		"echo served >/tmp/page && exec httpd -f -p 80 -h /tmp")
	out := e.run(t, "exec", web, "sh", "-c", "grep ' / ' /proc/mounts; ls /sys/class/net; cat /sys/fs/cgroup/memory/memory.limit_in_bytes; cat /proc/1/comm")
	has(t, out, "overlay / overlay rw", "lo", "eth0", "67108864", "httpd")
	if veth, _ := exec.Command("ip", "-o", "link", "show", "type", "veth").Output(); len(veth) == 0 {
		t.Error("no veth end on the host")
	}
	rules, err := exec.Command("iptables-save", "-t", "nat").Output()
	if err != nil {
		t.Fatal(err)
	}
	has(t, string(rules), "--dport 18080", ":80", "MASQUERADE")
	answers(t, 18080)
	e.remove(t, web)
	nothingLeft(t, e)
}

// answers waits until the published port of a container has served its page.
func answers(t *testing.T, port int) {
	t.Helper()
	testwait.Until(t, "the published port answers", func() bool {
		answer, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/page", port))
		if err != nil {
			return false
		}
		defer answer.Body.Close()
		page, _ := io.ReadAll(answer.Body)
		return string(page) == "served\n"
	})
}

func stdin(t *testing.T, e *engine) {
	args := append(append([]string{}, e.call...), "run", "--rm", "-i", "--cgroup-parent", e.parent, e.image, "wc", "-c")
	large := strings.Repeat("0123456789abcdef", 1<<16)
	code, out := tryInput(t, large, args...)
	if code != 0 {
		t.Fatalf("exit code %d: %s", code, out)
	}
	is(t, out, fmt.Sprint(len(large)))
	is(t, e.sh(t, nil, "dd if=/dev/zero bs=1M count=8 2>/dev/null | tr '\\0' x | wc -c"), fmt.Sprint(8<<20))
}

func terminal(t *testing.T, e *engine) {
	is(t, e.sh(t, []string{"-t"}, "tty; test -t 0 && test -t 1 && test -t 2 && echo all; test -c /dev/console && echo console"), "/dev/pts/0", "all", "console")
}

func logs(t *testing.T, e *engine) {
	name := e.start(t, nil, "echo out; echo err >&2; exec sleep 1000")
	testwait.Until(t, "both lines are in the log", func() bool {
		_, out := e.try(t, "logs", name)
		return strings.Contains(out, "out") && strings.Contains(out, "err")
	})
	is(t, e.ask(t, name, "{{.State.Running}} {{.State.Status}}"), "true running")
}

func execs(t *testing.T, e *engine) {
	name := e.start(t, []string{"--env", "A=1"}, "exec sleep 1000")
	is(t, e.run(t, "exec", name, "sh", "-c", "echo $A; cat /proc/1/comm"), "1", "sleep")
	is(t, e.run(t, "exec", "-u", "1000:1000", "-w", "/etc", "-e", "B=2", name, "sh", "-c", "id -u; id -g; pwd; echo $A$B"), "1000", "1000", "/etc", "12")
	is(t, e.run(t, "exec", "-t", name, "sh", "-c", "tty; test -t 1 && echo terminal"), "/dev/pts/0", "terminal")
	// Docker 20.10 has 126 for a missing program too.
	for program, codes := range map[string][]int{"false": {1}, "nosuch": {126, 127}, "/etc/passwd": {126}} {
		if code, out := e.try(t, "exec", name, program); !slices.Contains(codes, code) {
			t.Errorf("exec %s: exit code %d, want one of %v: %s", program, code, codes, out)
		}
	}
	e.run(t, "exec", "-d", name, "sh", "-c", "echo done >/tmp/mark")
	testwait.Until(t, "the detached exec has run", func() bool {
		code, _ := e.try(t, "exec", name, "grep", "-q", "done", "/tmp/mark")
		return code == 0
	})
	code, out := tryInput(t, "typed", append(append([]string{}, e.call...), "exec", "-i", name, "cat")...)
	if code != 0 || out != "typed" {
		t.Errorf("exec -i cat: exit code %d, output %q", code, out)
	}
}

// many starts, executes in and removes some containers at the same time.
func many(t *testing.T, e *engine) {
	var wait sync.WaitGroup
	for i := range 8 {
		wait.Go(func() {
			word := fmt.Sprint("word", i)
			if code, out := e.trySh(t, nil, "sleep 0.2; echo "+word); code != 0 || strings.TrimSpace(out) != word {
				t.Errorf("exit code %d, output %q, want %q", code, out, word)
			}
		})
	}
	wait.Wait()
}

func copies(t *testing.T, e *engine) {
	name := e.start(t, nil, "echo made >/tmp/made; exec sleep 1000")
	dir := t.TempDir()
	testwait.Until(t, "the file is there", func() bool {
		code, _ := e.try(t, "cp", name+":/tmp/made", dir+"/made")
		return code == 0
	})
	e.run(t, "cp", dir+"/made", name+":/etc/copied")
	is(t, e.run(t, "exec", name, "cat", "/etc/copied"), "made")
	has(t, e.run(t, "diff", name), "A /etc/copied")
}
