package integration

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

var writeMistakes = flag.Bool("mistakes", false, "write docs/mistakes.md, with what runc and crun say beside")

// mistakesPage is the page of the mistakes of a first hour, with what each runtime says.
const mistakesPage = "../../docs/mistakes.md"

const mistakesHead = `# The mistakes of a first hour

What three runtimes say to those who begin: the exit status in brackets, then what is on standard
error. A good text names the command, the container, the element of config.json, the object, the
reason and the remedy. The other two are Debian 12's runc 1.1.5 and crun 1.8.1, on a host with
cgroup v1; "web1" is the container, "/bundle" its bundle. The page is written by
` + "`go test ./tests/integration -run TestMistakesPage -mistakes`" + `, and TestMistakes and TestMistakesPage
hold it to what Hutch says.
`

// TestMistakesPage: the page has each mistake, and what it shows of Hutch is what TestMistakes
// demands.
func TestMistakesPage(t *testing.T) {
	hutchOnly(t, "the page is Hutch's")
	if *writeMistakes {
		writeMistakesPage(t)
	}
	var names []string
	for section := range strings.SplitSeq(readText(t, mistakesPage), "\n## ") {
		name, text, _ := strings.Cut(section, "\n")
		if strings.HasPrefix(section, "# ") {
			continue
		}
		names = append(names, name)
		i := slices.IndexFunc(mistakes(), func(m mistake) bool { return m.name == name })
		if i < 0 {
			t.Errorf("%q is no mistake that is tested", name)
			continue
		}
		m := mistakes()[i]
		own, _, _ := strings.Cut(text, "\n    runc ")
		if first := fmt.Sprintf("    hutch [%d] ", max(m.code, 1)); !strings.Contains(own, first) {
			t.Errorf("%s: want %q in %q", name, first, own)
		}
		for _, want := range m.want {
			if want = strings.NewReplacer("{DIR}", "/bundle", "{ID}", "web1").Replace(want); !strings.Contains(own, want) {
				t.Errorf("%s: want %q in %q", name, want, own)
			}
		}
	}
	if len(names) != len(mistakes()) {
		t.Errorf("the page has %d mistakes, the test %d: %q", len(names), len(mistakes()), names)
	}
}

// writeMistakesPage makes each mistake with each runtime, one after the other.
func writeMistakesPage(t *testing.T) {
	var page strings.Builder
	page.WriteString(mistakesHead)
	own := runtimePath
	defer func() { runtimePath = own }()
	for _, m := range mistakes() {
		m.edits = append([]edit{func(s *specs.Spec) { s.Version = "1.0.2" }}, m.edits...) // which all know
		fmt.Fprintf(&page, "\n## %s\n\n", m.name)
		for _, name := range []string{"hutch", "runc", "crun"} {
			path := own
			if name != "hutch" {
				var err error
				path, err = exec.LookPath(name)
				needs(t, name, err == nil)
			}
			t.Run(m.name+", "+name, func(t *testing.T) {
				runtimePath = path
				if name == "crun" { // this one refuses a hybrid host
					runtimePath = withoutUnified(t, path)
				}
				b, res := m.tell(t)
				fmt.Fprintf(&page, "    %-5s [%d] %s\n", name, res.code, plainly(b, res.stderr))
			})
		}
	}
	if err := os.WriteFile(mistakesPage, []byte(page.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}

// withoutUnified returns a program that runs another one where no cgroup v2 is mounted beside
// those of v1.
func withoutUnified(t *testing.T, path string) string {
	name := workDir + "/crun-on-v1"
	script := "#!/bin/sh\nexec unshare --mount sh -c 'umount /sys/fs/cgroup/unified 2>/dev/null; exec \"$0\" \"$@\"' " + path + " \"$@\"\n"
	if err := writeProgram(name, []byte(script)); err != nil {
		t.Fatal(err)
	}
	return name
}

var (
	ofTheTime = regexp.MustCompile(`time="[^"]*" |^\d{4}-\d\d-\d\dT[0-9:.]+Z: `)
	ofProcess = regexp.MustCompile(`/proc/\d+/`)
)

// plainly returns the text of a runtime without what is this test's.
func plainly(b *bundle, text string) string {
	text = strings.NewReplacer(b.dir, "/bundle", b.root, "/run/state", b.tmp, "/tmp", b.id, "web1", workDir, "/tmp").Replace(strings.TrimSpace(text))
	var lines []string
	for line := range strings.Lines(text) {
		line = ofProcess.ReplaceAllString(ofTheTime.ReplaceAllString(strings.TrimSpace(line), ""), "/proc/PID/")
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n              ")
}
