package main

import (
	"debug/buildinfo"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hutch-project/hutch/tests/testplain"
	"github.com/hutch-project/hutch/tests/testruntime"
)

func TestMain(m *testing.M) { testplain.Main(m) }

// TestNotices holds that THIRD_PARTY_NOTICES has the licences of what is linked.
func TestNotices(t *testing.T) {
	binary := filepath.Join(t.TempDir(), "hutch")
	if err := testruntime.Build(binary, "..", "-trimpath", "-buildvcs=false", "-tags", testruntime.Tags); err != nil {
		t.Fatal(err)
	}
	// Read so that go test does not take an earlier result when the modules are others.
	if _, err := os.ReadFile("../go.mod"); err != nil {
		t.Fatal(err)
	}
	linked, err := modulesOf(binary, "go")
	if err != nil {
		t.Fatal(err)
	}
	have, err := os.ReadFile("../THIRD_PARTY_NOTICES")
	if err != nil {
		t.Fatal(err)
	}
	if string(have) != notices(linked) {
		t.Error("THIRD_PARTY_NOTICES is another one: run make notices")
	}
	info, err := buildinfo.ReadFile(binary)
	if err != nil {
		t.Fatal(err)
	}
	if len(linked) != len(info.Deps)+1 {
		t.Errorf("%d modules, want Go's own and %d", len(linked), len(info.Deps))
	}
}

func TestLicence(t *testing.T) {
	for _, c := range [...]struct{ text, want string }{
		{"   Apache License\n   Version 2.0, January 2004\n", "Apache-2.0"},
		{"Mozilla Public License\nVersion 2.0\n", "MPL-2.0"},
		{"MIT License\n\nPermission is hereby granted, free of charge, to any person\nobtaining a copy", "MIT"},
		{"Redistributions of source code must retain the above\ncopyright notice ... endorse or promote products\nderived from", "BSD-3-Clause"},
		{"Redistributions of source code must retain the above\ncopyright notice", "BSD-2-Clause"},
		{"some words\n`SPDX-License-Identifier: BSD-3-Clause AND MPL-2.0`", "BSD-3-Clause AND MPL-2.0"},
	} {
		if got, err := licence(c.text); err != nil || got != c.want {
			t.Errorf("%q is %q, %v; want %s", c.text, got, err, c.want)
		}
	}
	if got, err := licence("GNU GENERAL PUBLIC LICENSE Version 3"); err == nil {
		t.Errorf("a licence that nobody has looked at is %q", got)
	}
}

// TestTextsNeedALicence holds that a module that has none is not passed on.
func TestTextsNeedALicence(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "NOTICE"), []byte("a notice"), 0o644); err != nil {
		t.Fatal(err)
	}
	if got, err := texts(dir); err == nil {
		t.Errorf("got %v", got)
	}
	if err := os.WriteFile(filepath.Join(dir, "COPYING.md"), []byte("Mozilla Public License Version 2.0"), 0o644); err != nil {
		t.Fatal(err)
	}
	if got, err := texts(dir); err != nil || len(got) != 2 {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestBillOfMaterials(t *testing.T) {
	linked := []module{
		{path: std, version: "1.26.8", licences: []text{{id: "BSD-3-Clause"}, {name: "PATENTS"}}},
		{path: "example.org/Some_Thing/v2", version: "v2.1.0", sum: "h1:abc=", licences: []text{{id: "MPL-2.0"}, {id: "MIT"}}},
	}
	r := release{version: "0.1.0", commit: "c", epoch: 86400, arch: "arm64"}
	out, err := sbom(r, []byte("binary"), linked)
	if err != nil {
		t.Fatal(err)
	}
	var doc document
	if err := json.Unmarshal(out, &doc); err != nil {
		t.Fatal(err)
	}
	if doc.Creation.Created != "1970-01-02T00:00:00Z" {
		t.Errorf("made at %s", doc.Creation.Created)
	}
	if std := doc.Packages[1]; std.References[0].Locator != "pkg:golang/stdlib@1.26.8" || std.Declared != "BSD-3-Clause" {
		t.Errorf("Go's library is %+v", std)
	}
	other := doc.Packages[2]
	if other.ID != "SPDXRef-Package-example.org-Some-Thing-v2" || other.Declared != "MIT AND MPL-2.0" ||
		other.References[0].Locator != "pkg:golang/example.org/some_thing/v2@v2.1.0" {
		t.Errorf("a module is %+v", other)
	}
	if again, _ := sbom(r, []byte("other"), linked); strings.Contains(string(again), doc.Namespace) {
		t.Error("the document of another binary has the same namespace")
	}
}

// TestLevels holds that the environment of whoever builds does not choose the processor.
func TestLevels(t *testing.T) {
	command := exec.Command("go", "env", "GOAMD64", "GO386", "GOARM", "GOARM64", "GORISCV64", "GOPPC64")
	command.Env = append(append(os.Environ(), "GOAMD64=v3", "GO386=softfloat", "GOARM=5", "GOARM64=v9.0",
		"GORISCV64=rva22u64", "GOPPC64=power9"), levels[:]...)
	out, err := command.Output()
	if want := "v1\nsse2\n7\nv8.0\nrva20u64\npower8\n"; err != nil || string(out) != want {
		t.Errorf("%v, %q, want %q", err, out, want)
	}
}

func TestArchitectures(t *testing.T) {
	makefile, err := os.ReadFile("../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(makefile), "\nARCHES := ")
	line, _, _ := strings.Cut(rest, "\n")
	for _, p := range packagers {
		for _, arch := range strings.Fields(line) {
			if p.arch[arch] == "" {
				t.Errorf("%s has no name for %s", p.name, arch)
			}
		}
		if len(p.arch) != len(strings.Fields(line)) {
			t.Errorf("%s has names for %d architectures, %q are built", p.name, len(p.arch), line)
		}
	}
}
