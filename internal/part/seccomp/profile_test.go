package seccomp

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// readProfile returns a profile of testdata/profiles.
func readProfile(tb testing.TB, name string) *specs.LinuxSeccomp {
	tb.Helper()
	text, err := os.ReadFile(filepath.Join("testdata/profiles", name+".json"))
	if err != nil {
		tb.Fatal(err)
	}
	s := &specs.LinuxSeccomp{}
	if err := json.Unmarshal(text, s); err != nil {
		tb.Fatalf("%s: %v", name, err)
	}
	return s
}

// profileNames returns the names of all profiles of testdata/profiles.
func profileNames(tb testing.TB) []string {
	tb.Helper()
	files, err := filepath.Glob("testdata/profiles/*.json")
	if err != nil || len(files) < 4 {
		tb.Fatalf("testdata/profiles: %d files, %v", len(files), err)
	}
	for i, file := range files {
		files[i] = strings.TrimSuffix(filepath.Base(file), ".json")
	}
	return files
}
