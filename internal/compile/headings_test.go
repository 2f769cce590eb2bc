package compile

import (
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// Each instruction of a golden program stands under an element that config.json can
// have, and its comment says what it is for.
func TestInstructionsAreLabelled(t *testing.T) {
	files, err := filepath.Glob("testdata/*.golden")
	if err != nil || len(files) < 5 {
		t.Fatalf("%d golden files, %v", len(files), err)
	}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		labelledLines(t, filepath.Base(f), string(text))
	}
}

func labelledLines(t *testing.T, file, text string) {
	t.Helper()
	instruction := regexp.MustCompile(`^  [a-z]`)
	heading, n := "", 0
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		switch {
		case line == "parent:" || line == "child:":
			heading = ""
		case strings.HasPrefix(line, "# "):
			heading = strings.TrimPrefix(line, "# ")
			if !inConfiguration(heading) {
				t.Errorf("%s: %q is no element of config.json", file, heading)
			}
		case instruction.MatchString(line):
			n++
			if heading == "" {
				t.Errorf("%s: no element: %s", file, line)
			}
			if _, comment, _ := strings.Cut(line, "  # "); comment == "" {
				t.Errorf("%s: no comment: %s", file, line)
			}
		}
	}
	if n == 0 {
		t.Errorf("%s: no instruction", file)
	}
}

// inConfiguration reports whether config.json can have the element.
func inConfiguration(element string) bool {
	of := reflect.TypeFor[specs.Spec]()
	for name := range strings.SplitSeq(regexp.MustCompile(`\[[^]]*\]`).ReplaceAllString(element, "[]"), ".") {
		name, indexed := strings.CutSuffix(name, "[]")
		for of.Kind() == reflect.Pointer {
			of = of.Elem()
		}
		if of.Kind() != reflect.Struct {
			return false
		}
		field, ok := of.FieldByNameFunc(func(f string) bool {
			s, _ := of.FieldByName(f)
			tag, _, _ := strings.Cut(s.Tag.Get("json"), ",")
			return tag == name
		})
		if !ok {
			return false
		}
		if of = field.Type; indexed {
			if of.Kind() != reflect.Slice && of.Kind() != reflect.Map {
				return false
			}
			of = of.Elem()
		}
	}
	return true
}

// TestInConfiguration is the check of the test above.
func TestInConfiguration(t *testing.T) {
	for element, want := range map[string]bool{
		"": false, "process": true, "process.args[0]": true, `linux.sysctl["net.ipv4.ip_forward"]`: true, "linux.devices": true,
		"default devices": false, "mounts[3].type": true, "mounts.type": false, "process.args.x": false, "hooks.startContainer[1]": true,
	} {
		if got := inConfiguration(element); got != want {
			t.Errorf("%q: %v", element, got)
		}
	}
}
