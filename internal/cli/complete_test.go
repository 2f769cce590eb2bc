package cli

import (
	"os/exec"
	"strings"
	"testing"
)

func completing() *Table {
	t := example()
	t.Signals = func() []string { return []string{"TERM", "TSTP", "KILL"} }
	t.Commands = append(t.Commands, &Command{Name: "shell", Usage: "a shell", Min: 1, Max: 1, Choices: []string{"bash", "zsh"}})
	return t
}

func TestComplete(t *testing.T) {
	list := func(global *Values, states []string) []string {
		return []string{"id-of" + strings.Join(states, "+") + global.String("root")}
	}
	for line, want := range map[string]string{
		"":                      "make in list signal shell",
		"m":                     "make",
		"--":                    "--root --format --mode --debug --help",
		"--de":                  "--debug",
		"--format ":             "text json",
		"--format j":            "json",
		"--format=j":            "--format=json",
		"--mode ":               "true auto",
		"--debug ma":            "make",
		"make --b":              "--bundle",
		"make --o":              "", // hidden
		"make -b ":              ":directories",
		"make id --bundle=":     ":directories",
		"make ":                 "",
		"in ":                   "id-ofrunning",
		"--root /r in -t ":      "id-ofrunning/r",
		"--root=/r in -e A=b i": "id-ofrunning/r",
		"in id ":                ":files", // another program's
		"in id -":               ":files",
		"signal ":               "id-of",
		"signal id T":           "TERM TSTP",
		"signal id SIGT":        "SIGTERM SIGTSTP",
		"signal id TERM ":       "",
		"shell ":                "bash zsh",
		"shell z":               "zsh",
		"nosuch ":               "",
		"--nosuch ma":           "make",
	} {
		var got []string
		for l := range strings.Lines(completing().Complete(strings.Split(line, " "), list).String()) {
			word, _, _ := strings.Cut(strings.TrimSpace(l), "\t")
			got = append(got, word)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%q: got %q, want %q", line, got, want)
		}
	}
}

// TestBashScript runs the script with a hutch that writes down how it is asked.
func TestBashScript(t *testing.T) {
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("needs bash")
	}
	for words, want := range map[string]string{
		"hutch|":                              "[completion][words][] one|--two=val|:x",
		"hutch|kill|-a|SIG":                   "[completion][words][kill][-a][SIG] one|--two=val|:x",
		"hutch|--root|=|/r|start|":            "[completion][words][--root=/r][start][] one|--two=val|:x",
		"hutch|--format|=":                    "[completion][words][--format=] one|val|:x",
		"hutch|--format|=|j":                  "[completion][words][--format=j] one|val|:x",
		"hutch|--env|a b|exec":                "[completion][words][--env][a b][exec] one|--two=val|:x",
		"hutch|exec|-e|A|=|b|id":              "[completion][words][exec][-e][A][=][b][id] one|--two=val|:x",
		"hutch|--root|=|/r|--log-format|=|js": "[completion][words][--root=/r][--log-format=js] one|val|:x",
	} {
		list := strings.Split(words, "|")
		script := `hutch() { printf '[%s]' "$@" >&2; printf 'one\tdoes\n--two=val\t\n:x\t\n'; }
` + strings.ReplaceAll(bashScript, "2>/dev/null)", ")") + `
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _hutch
IFS='|'; printf ' %s' "${COMPREPLY[*]}" >&2`
		out, err := exec.Command(bash, append([]string{"--norc", "-c", script, "bash"}, list...)...).CombinedOutput()
		if err != nil || strings.TrimSpace(string(out)) != want {
			t.Errorf("%s: %v\ngot  %s\nwant %s", words, err, out, want)
		}
	}
}

func TestScripts(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish"} {
		text := Script(shell)
		if !strings.Contains(text, "hutch completion "+shell) || !strings.Contains(text, "completion words") {
			t.Errorf("%s: %q", shell, text)
		}
		path, err := exec.LookPath(shell)
		if err != nil {
			continue
		}
		cmd := exec.Command(path, "-n")
		cmd.Stdin = strings.NewReader(text)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s -n: %v\n%s", shell, err, out)
		}
	}
	if Script("tcsh") != "" {
		t.Error("a script for tcsh")
	}
}
