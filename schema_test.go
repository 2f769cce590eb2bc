package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/hutch-project/hutch/internal/cli"
)

// TestOutputFitsItsSchema runs the commands that print JSON of Hutch's own, and holds what
// they print against the schema in docs, which has to say of every property what it is.
func TestOutputFitsItsSchema(t *testing.T) {
	bundle := t.TempDir()
	if err := os.Mkdir(filepath.Join(bundle, "rootfs"), 0o755); err != nil {
		t.Fatal(err)
	}
	output(t, "spec", "--bundle", bundle)
	config := filepath.Join(bundle, "config.json")
	broken := filepath.Join(bundle, "broken.json")
	text, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	text = bytes.Replace(text, []byte(`"cwd": "/"`), []byte(`"cwd": "tmp", "cdw": ""`), 1)
	if err := os.WriteFile(broken, text, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		schema string
		words  []string
	}{
		{"check", []string{"check", "-b", bundle, "-f", "json"}},
		{"check", []string{"check", "-b", bundle, "--config", broken, "-f", "json"}},
		{"info", []string{"info", "-f", "json"}},
		{"plan", []string{"plan", "-b", bundle, "-f", "json"}},
		{"proof", []string{"plan", "-b", bundle, "--verify", "-f", "json"}},
	} {
		s := readSchema(t, c.schema)
		for _, fault := range s.faults(s.root, decoded(t, output(t, c.words...)), "") {
			t.Errorf("%s: %s", strings.Join(c.words, " "), fault)
		}
	}
}

// TestSchemasRefuse: each schema, and the walker, refuses what it is not for.
func TestSchemasRefuse(t *testing.T) {
	for _, name := range []string{"check", "info", "plan", "proof"} {
		s := readSchema(t, name)
		for _, text := range []string{`[]`, `{}`, `{"version": "2.0"}`, `{"version": 1}`, `{"version": "1.0", "else": 1}`} {
			if len(s.faults(s.root, decoded(t, []byte(text)), "")) == 0 {
				t.Errorf("%s takes %s", name, text)
			}
		}
	}
	s := readSchema(t, "check")
	for change, want := range map[string]string{
		`"severity": "fatal"`: "is none of", `"severity": "note", "line": 0`: "below", `"severity": "note", "line": 1.5`: "no integer",
		`"severity": "note", "what": ""`: "short", `"severity": "note", "whta": ""`: "not allowed",
	} {
		text := `{"version": "1.0", "file": "f", "errors": 0, "warnings": 0, "notes": 0, "findings": [{"what": "w", ` + change + `}]}`
		if got := fmt.Sprint(s.faults(s.root, decoded(t, []byte(text)), "")); !strings.Contains(got, want) {
			t.Errorf("%s: got %s, want %s", change, got, want)
		}
	}
}

// output returns what a command line prints; its status may be of what it has found.
func output(t *testing.T, words ...string) []byte {
	t.Helper()
	out, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	stdout := os.Stdout
	os.Stdout = out
	defer func() { os.Stdout = stdout }()
	l, err := cli.Parse(&table, words)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Command.Do(l); err != nil {
		if _, isStatus := err.(exitStatus); !isStatus {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(out.Name())
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func decoded(t *testing.T, text []byte) any {
	t.Helper()
	var v any
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return v
}

// schema is a JSON schema with the few keywords that ours have: another one is a mistake.
type schema struct{ root map[string]any }

func readSchema(t *testing.T, name string) schema {
	t.Helper()
	text, err := os.ReadFile("docs/" + name + ".schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return schema{decoded(t, text).(map[string]any)}
}

// faults returns what keeps the value at path from being one of the schema at.
func (s schema) faults(at map[string]any, value any, path string) (faults []string) {
	fail := func(format string, args ...any) {
		faults = append(faults, fmt.Sprintf("%s: ", path)+fmt.Sprintf(format, args...))
	}
	for keyword, want := range at {
		switch keyword {
		case "$schema", "$defs", "title", "description", "properties", "additionalProperties", "items", "required":
		case "$ref":
			name := strings.TrimPrefix(want.(string), "#/$defs/")
			faults = append(faults, s.faults(s.root["$defs"].(map[string]any)[name].(map[string]any), value, path)...)
		case "enum":
			if !slices.Contains(want.([]any), value) {
				fail("%v is none of %v", value, want)
			}
		case "type":
			if got := kindOf(value); got != want && (want != "number" || got != "integer") {
				fail("is no %v: %v", want, value)
			}
		case "pattern":
			if text, _ := value.(string); !regexp.MustCompile(want.(string)).MatchString(text) {
				fail("%q does not match %s", text, want)
			}
		case "minLength":
			if text, _ := value.(string); len(text) < int(want.(float64)) {
				fail("%q is too short", text)
			}
		case "minimum":
			if n, _ := value.(float64); n < want.(float64) {
				fail("%v is below %v", n, want)
			}
		default:
			fail("the keyword %s is not known to this test", keyword)
		}
	}
	return append(faults, s.inside(at, value, path)...)
}

// inside returns what is wrong with the members of an object, or the elements of an array.
func (s schema) inside(at map[string]any, value any, path string) (faults []string) {
	switch v := value.(type) {
	case map[string]any:
		required, _ := at["required"].([]any)
		for _, name := range required {
			if _, ok := v[name.(string)]; !ok {
				faults = append(faults, fmt.Sprintf("%s: %s is missing", path, name))
			}
		}
		properties, _ := at["properties"].(map[string]any)
		for name, member := range v {
			if own, ok := properties[name].(map[string]any); ok {
				faults = append(faults, s.faults(own, member, path+"."+name)...)
			} else if at["additionalProperties"] == false {
				faults = append(faults, fmt.Sprintf("%s: %s is not allowed", path, name))
			}
		}
	case []any:
		if items, ok := at["items"].(map[string]any); ok {
			for i, element := range v {
				faults = append(faults, s.faults(items, element, fmt.Sprintf("%s[%d]", path, i))...)
			}
		}
	}
	return faults
}

// kindOf returns the schema's name of a value's type.
func kindOf(value any) string {
	switch v := value.(type) {
	case map[string]any:
		return "object"
	case []any:
		return "array"
	case string:
		return "string"
	case bool:
		return "boolean"
	case float64:
		if v == math.Trunc(v) {
			return "integer"
		}
		return "number"
	}
	return "null"
}
