package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// TestTableIsCurrent fails when go generate was forgotten.
func TestTableIsCurrent(t *testing.T) {
	const table = "../../../internal/part/seccomp/table_gen.go"
	want, err := os.ReadFile(table)
	if err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "table_gen.go")
	if err := run(out, "extra.txt"); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s is old; run go generate ./internal/part/seccomp", table)
	}
}

func TestExtraErrors(t *testing.T) {
	for _, text := range []string{"", "x32 a read\n", "x32 0 read read\n", "x32 0 read\n"} {
		if _, err := parseExtra(text, "x32"); err == nil {
			t.Errorf("%q: no error", text)
		}
	}
}
