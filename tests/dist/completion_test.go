package dist

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hutch-project/hutch/tests/testneed"
	"github.com/hutch-project/hutch/tests/testplain"
)

// TestCompletion types words and a tabulator in each shell, as it finds the completion of what
// is installed.
func TestCompletion(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish", "script"} {
		testneed.Programs(t, shell)
	}
	root := t.TempDir()
	do(t, "../..", nil, "make", "install", "DESTDIR="+root)
	share := filepath.Join(root, "usr/local/share")
	env := append(os.Environ(), "PATH="+filepath.Join(root, "usr/local/bin")+":"+os.Getenv("PATH"), "TERM=dumb", "HOME="+root)

	state, bundle, id := t.TempDir(), makeBundle(t), testplain.Unique("waits")
	hutch := filepath.Join(root, "usr/local/bin/hutch")
	// Its streams are the container's.
	command := exec.Command(hutch, "--root", state, "create", "--bundle", bundle, id)
	if err := command.Run(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { do(t, bundle, nil, hutch, "--root", state, "delete", "--force", id) })

	lines := []struct{ typed, line string }{
		{"hutch stat", "hutch state"},
		{"hutch run --bun", "hutch run --bundle"},
		{"hutch list --format j", "hutch list --format json"},
		{"hutch list --format=j", "hutch list --format=json"},
		{"hutch kill x KI", "hutch kill x KILL"},
		{"hutch --root " + state + " start w", "hutch --root " + state + " start " + id},
		{"hutch run --bundle /us", "hutch run --bundle /usr"},
	}
	for shell, setup := range map[string]string{
		"bash --norc --noprofile -i": "source " + share + "/bash-completion/completions/hutch",
		"zsh -f -i":                  "fpath=(" + share + "/zsh/site-functions $fpath); autoload -U compinit; compinit -D -u",
	} {
		t.Run(strings.Fields(shell)[0], func(t *testing.T) {
			var keys strings.Builder
			keys.WriteString("PS1=; " + setup + "\n")
			for _, l := range lines {
				keys.WriteString(l.typed + "\t\x01echo got:\n") // the second key goes to the line's begin
			}
			keys.WriteString("exit\n")
			cmd := exec.Command("script", "-qec", shell, "/dev/null")
			cmd.Env, cmd.Stdin = env, strings.NewReader(keys.String())
			out, err := cmd.CombinedOutput()
			text := strings.ReplaceAll(string(out), "\r", "\n")
			for _, l := range lines {
				if !strings.Contains(text, "\ngot:"+l.line+"\n") && !strings.Contains(text, "\ngot:"+l.line+"/\n") {
					t.Errorf("%q and a tabulator is not %q", l.typed, l.line)
				}
			}
			if t.Failed() {
				t.Logf("%v: %q", err, out)
			}
		})
	}
	t.Run("fish", func(t *testing.T) {
		for _, l := range lines {
			cmd := exec.Command("fish", "--no-config", "-c", "source "+share+"/fish/vendor_completions.d/hutch.fish; complete -C $argv[1]", l.typed)
			cmd.Env = env
			out, err := cmd.CombinedOutput()
			word, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\t")
			if want := l.line[strings.LastIndexByte(l.line, ' ')+1:]; err != nil || strings.TrimSuffix(word, "/") != want {
				t.Errorf("%q is completed to %q, want %q (%v)", l.typed, out, want, err)
			}
		}
	})
}
