// Command dist makes what is released of Hutch, for each architecture that is named: an
// archive, a deb, an rpm, a bill of materials; and the sums of all. What is in them is
// what `make install` installs. All that it writes depends on the source and on Go's
// version alone, so that others can make the same and compare the sums.
//
// With -notices it writes the licences of the linked modules to standard output.
package main

import (
	"crypto/sha256"
	"debug/buildinfo"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

const modulePath = "github.com/hutch-project/hutch"

// release is what is made for one architecture.
type release struct {
	version, commit string
	epoch           int64 // seconds; the time of everything
	arch            string
	goTool, nfpm    string
	out             string // the directory of the results
}

// name is that of a release's files, without their ends.
func (r release) name() string { return "hutch-" + r.version + "-linux-" + r.arch }

func main() {
	var r release
	flag.StringVar(&r.version, "version", "", "Hutch's `version`")
	flag.StringVar(&r.commit, "commit", "unknown", "the `commit` of the source")
	flag.Int64Var(&r.epoch, "epoch", 0, "the time that all files bear, in `seconds`")
	flag.StringVar(&r.goTool, "go", "go", "the `command` go")
	flag.StringVar(&r.nfpm, "nfpm", "", "the `command` nfpm")
	flag.StringVar(&r.out, "out", "bin/dist", "the `directory` of the results, which is made anew")
	only := flag.String("notices", "", "write the licences of what this `binary` is linked of, and do nothing else")
	flag.Parse()
	err := run(r, *only, flag.Args())
	if err != nil {
		fmt.Fprintln(os.Stderr, "dist:", err)
		os.Exit(1)
	}
}

func run(r release, only string, arches []string) error {
	if only != "" {
		linked, err := modulesOf(only, r.goTool)
		if err != nil {
			return err
		}
		_, err = os.Stdout.WriteString(notices(linked))
		return err
	}
	switch {
	case r.epoch <= 0:
		return fmt.Errorf("-epoch: the time of the source is not known here: set SOURCE_DATE_EPOCH")
	case r.version == "" || r.nfpm == "" || len(arches) == 0:
		return fmt.Errorf("want -version, -nfpm and architectures, as `make dist` has them")
	}
	if err := os.RemoveAll(r.out); err != nil {
		return err
	}
	if err := os.MkdirAll(r.out, 0o755); err != nil {
		return err
	}
	for _, arch := range arches {
		r.arch = arch
		if err := r.make(); err != nil {
			return fmt.Errorf("%s: %w", arch, err)
		}
	}
	return sums(r.out)
}

// make makes all that is released for one architecture.
func (r release) make() error {
	fmt.Println("dist", r.arch)
	work, err := os.MkdirTemp("", "hutch-dist-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	binary, stage := filepath.Join(work, "hutch"), filepath.Join(work, "stage")
	if err := r.build(binary, stage); err != nil {
		return err
	}
	linked, err := modulesOf(binary, r.goTool)
	if err != nil {
		return err
	}
	if err := r.agrees(stage, linked); err != nil {
		return err
	}
	content, err := os.ReadFile(binary)
	if err != nil {
		return err
	}
	bill, err := sbom(r, content, linked)
	if err != nil {
		return err
	}
	for _, file := range [...]string{
		filepath.Join(r.out, r.name()+".spdx.json"),
		filepath.Join(stage, "usr/share/doc/hutch/hutch.spdx.json"),
	} {
		if err := os.WriteFile(file, bill, 0o644); err != nil {
			return err
		}
	}
	if err := settle(stage, r.epoch); err != nil {
		return err
	}
	if err := archive(filepath.Join(r.out, r.name()+".tar.gz"), stage+"/usr", r.name(), r.epoch); err != nil {
		return err
	}
	return r.packages(stage)
}

// agrees reports whether the notices that are installed are those of what is linked.
func (r release) agrees(stage string, linked []module) error {
	installed, err := os.ReadFile(filepath.Join(stage, "usr/share/doc/hutch/THIRD_PARTY_NOTICES"))
	if err != nil {
		return err
	}
	if string(installed) != notices(linked) {
		return fmt.Errorf("THIRD_PARTY_NOTICES is not what this Go and these modules make: run make notices")
	}
	return nil
}

func modulesOf(binary, goTool string) ([]module, error) {
	info, err := buildinfo.ReadFile(binary)
	if err != nil {
		return nil, err
	}
	return modules(info, goTool)
}

// sums writes SHA256SUMS, as sha256sum -c reads it.
func sums(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	var lines []string
	for _, e := range entries {
		content, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			return err
		}
		lines = append(lines, fmt.Sprintf("%x  %s\n", sha256.Sum256(content), e.Name()))
	}
	return os.WriteFile(filepath.Join(dir, "SHA256SUMS"), []byte(strings.Join(lines, "")), 0o644)
}
