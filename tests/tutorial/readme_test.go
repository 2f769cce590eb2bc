package tutorial

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// readme is what the project shows first.
const readme = "../../README.md"

// codeOf returns the indented blocks of README's section, without the indentation.
func codeOf(t *testing.T, section string) (blocks []string) {
	t.Helper()
	text, err := os.ReadFile(readme)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(text), "\n## "+section+"\n")
	if !found {
		t.Fatalf("README has no section %q", section)
	}
	rest, _, _ = strings.Cut(rest, "\n## ")
	inside := false
	for line := range strings.Lines(rest) {
		code, is := strings.CutPrefix(line, "    ")
		switch {
		case is && !inside:
			blocks = append(blocks, code)
		case is:
			blocks[len(blocks)-1] += code
		}
		inside = is
	}
	return blocks
}

// commandsOf returns the lines of a block as bash is to run them: without what is beside the
// command, and without sudo; as what the words before the command make of the caller.
func commandsOf(block, as string) (lines []string) {
	comment := regexp.MustCompile(` +# .*`)
	for line := range strings.Lines(block) {
		line = comment.ReplaceAllString(strings.TrimSpace(line), "")
		line = strings.NewReplacer("sudo ", "", "./hutch ", "hutch ").Replace(line)
		if line == "make build" { // what is tested is built
			continue
		}
		run := strings.HasPrefix(line, "hutch run ")
		if as != "" {
			line = as + " bash -c '" + line + "'"
		}
		if run { // a shell on a terminal, which is left again
			line = `echo exit | script --quiet --return --command "` + line + `" /dev/null`
		}
		lines = append(lines, line)
	}
	return lines
}

// TestReadmeCommands: the commands of a first container, of the plan and of the one without root
// are such that each succeeds, one after the other.
func TestReadmeCommands(t *testing.T) {
	first := codeOf(t, "A first container")
	rootless := commandsOf(codeOf(t, "Without root")[0], "setpriv --reuid=4711 --regid=4711 --clear-groups")
	for name, c := range map[string]struct {
		lines []string
		want  []string
	}{
		"first": {
			slices.Concat(commandsOf(first[0], ""), commandsOf(first[1], ""), commandsOf(first[2], "")),
			[]string{`"status": "created"`, "linux.namespaces", "no standard descriptor is the host's"},
		},
		"without root": {rootless[:3], []string{"exit"}}, // then come Podman, and what systemd asks for
	} {
		t.Run(name, func(t *testing.T) {
			dir, err := os.MkdirTemp("", "hutch-readme-")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { os.RemoveAll(dir) })
			t.Cleanup(func() { os.Remove("/run/hutch") }) // where it is the test's
			if err := os.Chmod(dir, os.ModeSticky|0o777); err != nil {
				t.Fatal(err)
			}
			session := filepath.Join(dir, "session")
			if err := errors.Join(os.Mkdir(session, 0o700), os.Chown(session, 4711, 4711)); err != nil {
				t.Fatal(err)
			}
			before := namesOnTheMachine(t)
			// What is left by a command that fails holds the output open, if that is no file.
			script := "exec >out 2>&1; trap 'hutch delete --force web1' EXIT; set -ex\n" + strings.Join(c.lines, "\n")
			cmd := exec.Command("timeout", "60", "bash", "-c", script)
			cmd.Dir, cmd.Env = dir, append(environment(t, dir), "XDG_RUNTIME_DIR="+session)
			err = cmd.Run()
			out, readErr := os.ReadFile(filepath.Join(dir, "out"))
			if err = errors.Join(err, readErr); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
			for _, want := range c.want {
				if !strings.Contains(string(out), want) {
					t.Errorf("no %q in\n%s", want, out)
				}
			}
			if after := namesOnTheMachine(t); after != before {
				t.Errorf("left behind: before\n%s\nafter\n%s", before, after)
			}
		})
	}
}

// tables reads what TOML the page has: tables, and in them strings and lists of them.
func tables(t *testing.T, text string) map[string]map[string][]string {
	t.Helper()
	all, table := map[string]map[string][]string{}, map[string][]string(nil)
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		name, is := strings.CutPrefix(line, "[")
		if is {
			name, is = strings.CutSuffix(name, "]")
		}
		key, value, pair := strings.Cut(line, " = ")
		switch {
		case is && all[name] == nil:
			table = map[string][]string{}
			all[name] = table
		case pair && table != nil:
			list := strings.TrimSuffix(strings.TrimPrefix(value, "["), "]")
			var words []string
			if err := json.Unmarshal([]byte("["+list+"]"), &words); err != nil || len(words) == 0 {
				t.Errorf("%q: %v", line, err)
			}
			table[key] = words
		case line != "":
			t.Errorf("%q is neither a table nor a key with a string", line)
		}
	}
	return all
}

// manifest reads what YAML the page has: keys with a text, in maps that are indented by two; a
// value in the flow style is a text.
func manifest(t *testing.T, text string) map[string]string {
	t.Helper()
	key := regexp.MustCompile(`^((?:  )*)([A-Za-z]+):(?: ([^#]*[^# ]))?(?: +#.*)?$`)
	all := map[string]string{}
	var path []string
	for line := range strings.Lines(text) {
		m := key.FindStringSubmatch(strings.TrimSuffix(line, "\n"))
		if m == nil {
			t.Errorf("%q is no key with a value", line)
			continue
		}
		depth := len(m[1]) / 2
		if depth > len(path) {
			t.Errorf("%q is indented too far", line)
			continue
		}
		path = append(path[:depth:depth], m[2])
		name := strings.Join(path, ".")
		if _, twice := all[name]; twice {
			t.Errorf("%q is there twice", name)
		}
		if all[name] = m[3]; m[3] != "" { // nothing is below it
			path = path[:depth]
		}
	}
	return all
}

// TestReadmeHandlers: the engines' files of README can be read, lead to the installed binary, and
// call the runtime by the name that the RuntimeClass has as its handler, and a pod the class's.
//
// Source: Kubernetes, "Runtime Class": a handler is a DNS label.
func TestReadmeHandlers(t *testing.T) {
	const binary = "/usr/local/bin/hutch"
	var docker struct {
		Default  string `json:"default-runtime"`
		Runtimes map[string]struct{ Path string }
	}
	podman, containerd, crio := "", "", ""
	var class, pod map[string]string
	for _, block := range codeOf(t, "Engines") {
		switch {
		case strings.HasPrefix(block, "{"):
			if err := json.Unmarshal([]byte(block), &docker); err != nil {
				t.Errorf("%v in %s", err, block)
			}
		case strings.HasPrefix(block, "apiVersion:"):
			first, second, _ := strings.Cut(block, "---\n")
			class, pod = manifest(t, first), manifest(t, second)
		case strings.HasPrefix(block, "["):
			for table, keys := range tables(t, block) {
				dir, name := filepath.Split(strings.ReplaceAll(table, ".", "/"))
				switch {
				case table == "engine":
					podman = keys["runtime"][0]
					if !slices.Contains(keys["runtime_supports_json"], podman) {
						t.Errorf("%q: %q", table, keys)
					}
				case table == "engine.runtimes":
					if !slices.Equal(keys["hutch"], []string{binary}) {
						t.Errorf("%q: %q", table, keys)
					}
				case dir == "crio/runtime/runtimes/":
					crio = name
					if !slices.Equal(keys["runtime_path"], []string{binary}) {
						t.Errorf("%q: %q", table, keys)
					}
				case name == "options":
					if !slices.Equal(keys["BinaryName"], []string{binary}) {
						t.Errorf("%q: %q", table, keys)
					}
				case strings.HasSuffix(dir, "/containerd/runtimes/"):
					containerd = name
					if !slices.Equal(keys["runtime_type"], []string{"io.containerd.runc.v2"}) {
						t.Errorf("%q: %q", table, keys)
					}
				default:
					t.Errorf("the table %q is no engine's", table)
				}
			}
		default:
			t.Errorf("a block of another kind:\n%s", block)
		}
	}
	handler := class["handler"]
	if !regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`).MatchString(handler) ||
		class["apiVersion"] != "node.k8s.io/v1" || class["kind"] != "RuntimeClass" {
		t.Errorf("the class is %q", class)
	}
	if containerd != handler || crio != handler {
		t.Errorf("the handler is %q, and the runtime is %q to containerd and %q to CRI-O", handler, containerd, crio)
	}
	if pod["kind"] != "Pod" || pod["spec.runtimeClassName"] != class["metadata.name"] || class["metadata.name"] == "" {
		t.Errorf("the pod is %q, the class %q", pod, class)
	}
	if podman != "hutch" || docker.Default != "hutch" || docker.Runtimes["hutch"].Path != binary {
		t.Errorf("Podman's is %q, Docker's %+v", podman, docker)
	}
}
