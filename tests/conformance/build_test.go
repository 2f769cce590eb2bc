package conformance

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// The tools' source: one commit of their main branch, of November 2025, which
// speaks runtime-spec 1.3.0. Their last release is of 2019.
const (
	toolsModule  = "github.com/opencontainers/runtime-tools"
	toolsVersion = "v0.9.1-0.20251114084447-edf4cb3d2116"
	toolsSum     = "h1:tAKu3NkKWZYpqBSOJKwTxT1wIGueiF7gcmcNgr5pNTY="
)

// buildTools builds the validation programs in ../../bin/conformance, which git
// ignores, and returns the folder they run in. It holds programs/, runtimetest
// and the root file system's archive.
func buildTools(t *testing.T) string {
	t.Helper()
	tree, err := filepath.Abs("../../bin/conformance")
	if err != nil {
		t.Fatal(err)
	}
	stamp := filepath.Join(tree, "built")
	if data, err := os.ReadFile(stamp); err == nil && string(data) == toolsVersion {
		return tree
	}
	if err := os.RemoveAll(tree); err != nil {
		t.Fatal(err)
	}
	source := filepath.Join(tree, "source")
	if err := os.CopyFS(source, os.DirFS(download(t))); err != nil {
		t.Fatal(err)
	}
	// The module cache's copy lists a vendor folder that it does not have.
	if err := os.RemoveAll(filepath.Join(source, "vendor")); err != nil {
		t.Fatal(err)
	}
	goTool(t, source, "build", "-trimpath", "-o", filepath.Join(tree, "programs")+"/", "./validation/...")
	goTool(t, source, "build", "-trimpath", "-o", filepath.Join(tree, "runtimetest"), "./cmd/runtimetest")
	archives, err := filepath.Glob(filepath.Join(source, "rootfs-*.tar.gz"))
	if err != nil || len(archives) == 0 {
		t.Fatalf("no root file system among the tools (%v)", err)
	}
	for _, path := range archives {
		if err := os.Rename(path, filepath.Join(tree, filepath.Base(path))); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(stamp, []byte(toolsVersion), 0o644); err != nil {
		t.Fatal(err)
	}
	return tree
}

// download fetches the tools by Go's module proxy and returns the folder in
// the module cache.
func download(t *testing.T) string {
	t.Helper()
	out := goTool(t, "", "mod", "download", "-json", toolsModule+"@"+toolsVersion)
	var module struct{ Dir, Sum string }
	if err := json.Unmarshal(out, &module); err != nil {
		t.Fatal(err)
	}
	if module.Sum != toolsSum {
		t.Fatalf("%s %s has the sum %s, want %s", toolsModule, toolsVersion, module.Sum, toolsSum)
	}
	return module.Dir
}

func goTool(t *testing.T, dir string, words ...string) []byte {
	t.Helper()
	cmd := exec.Command("go", words...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-mod=mod -buildvcs=false", "GOWORK=off")
	out, err := cmd.Output()
	if err != nil {
		stderr := ""
		if exit, ok := err.(*exec.ExitError); ok {
			stderr = string(exit.Stderr)
		}
		t.Fatal(fmt.Errorf("%s: %w\n%s%s", cmd, err, out, stderr))
	}
	return out
}
