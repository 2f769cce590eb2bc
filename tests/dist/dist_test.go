// Package dist makes the packages of this machine's architecture, twice, from two places
// and in two surroundings, and uses them: it installs each in a root of its own, runs a
// container with what is there, and takes it away again.
package dist

import (
	"crypto/sha256"
	"debug/elf"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/hutch-project/hutch/tests/isolate"
	"github.com/hutch-project/hutch/tests/testneed"
	"github.com/hutch-project/hutch/tests/testplain"
)

func TestMain(m *testing.M) {
	if os.Geteuid() != 0 {
		fmt.Fprintln(os.Stderr, "tests/dist: needs root: packages are installed, and a container run")
		os.Exit(1)
	}
	if code, first := isolate.Rerun(); first {
		os.Exit(code)
	}
	os.Exit(m.Run())
}

// installed is what every package brings, below its prefix.
var installed = [...]string{
	"bin/hutch", "share/man/man8/hutch.8", "share/man/man8/hutch-run.8",
	"share/bash-completion/completions/hutch", "share/zsh/site-functions/_hutch",
	"share/fish/vendor_completions.d/hutch.fish", "share/doc/hutch/LICENSE",
	"share/doc/hutch/THIRD_PARTY_NOTICES",
}

func TestDist(t *testing.T) {
	source := archived(t)
	commit, epoch, _ := strings.Cut(do(t, source, nil, "dist/commit"), " ")
	first, second := t.TempDir(), t.TempDir()
	// From a repository, and from an archive elsewhere, by somebody with other habits.
	makeDist(t, "../..", first, nil, "COMMIT="+commit, "SOURCE_DATE_EPOCH="+epoch)
	makeDist(t, source, second, []string{"TZ=Asia/Tokyo", "LC_ALL=C"})
	sums := read(t, first, "SHA256SUMS")
	if again := read(t, second, "SHA256SUMS"); again != sums {
		t.Errorf("the same source makes\n%s, and in another place\n%s", sums, again)
	}
	do(t, first, nil, "sha256sum", "--check", "--strict", "SHA256SUMS")
	if listed, all := strings.Count(sums, "\n"), len(files(t, first)); listed != all-1 || listed != 4 {
		t.Errorf("SHA256SUMS has %d of %d files", listed, all)
	}
	bundle := makeBundle(t)
	t.Run("archive", func(t *testing.T) { testArchive(t, first, bundle, commit) })
	t.Run("deb", func(t *testing.T) { testDeb(t, first, bundle, commit) })
	t.Run("rpm", func(t *testing.T) { testRPM(t, first, bundle, commit) })
}

// TestUninstall holds that make uninstall takes away what make install has brought.
func TestUninstall(t *testing.T) {
	root := t.TempDir()
	do(t, "../..", nil, "make", "install", "DESTDIR="+root)
	for _, file := range installed {
		if _, err := os.Stat(filepath.Join(root, "usr/local", file)); err != nil {
			t.Error(err)
		}
	}
	do(t, "../..", nil, "make", "uninstall", "DESTDIR="+root)
	if left := files(t, root); len(left) > 0 {
		t.Errorf("left: %q", left)
	}
}

// TestAppArmorProfile: the profile is in the words of AppArmor 4, whose parser takes it as it is;
// to an older one, which cannot know user namespaces, all else of it is right.
//
// Source: apparmor.d(5), "Feature ABI", "USER NAMESPACE".
func TestAppArmorProfile(t *testing.T) {
	text := read(t, "../../dist", "apparmor/hutch")
	for _, line := range [...]string{"abi <abi/4.0>,", "profile hutch /usr/bin/hutch flags=(unconfined) {", "  userns,"} {
		if !strings.Contains(text, "\n"+line+"\n") {
			t.Errorf("no line %q", line)
		}
	}
	if _, err := os.Stat("/etc/apparmor.d/abi/4.0"); err != nil {
		text = strings.NewReplacer("abi/4.0", "abi/3.0", "  userns,\n", "").Replace(text)
	}
	file := filepath.Join(t.TempDir(), "hutch")
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	do(t, "", nil, "apparmor_parser", "--skip-kernel-load", "--skip-cache", file)
	bad := strings.Replace(text, "flags=(unconfined) {", "flags=(unconfined) {\n  usernss,", 1)
	if err := os.WriteFile(file, []byte(bad), 0o644); err != nil {
		t.Fatal(err)
	}
	if exec.Command("apparmor_parser", "--skip-kernel-load", "--skip-cache", file).Run() == nil {
		t.Error("the parser takes what is no rule")
	}
}

// archived returns a directory with the working tree as git archive gives it out: of a
// commit of its own, since the tree need not be committed.
func archived(t *testing.T) string {
	t.Helper()
	repository, source := t.TempDir(), t.TempDir()
	do(t, "../..", nil, "sh", "-c", `tar --exclude=./bin --exclude=./.git --exclude=./hutch -cf - . | tar -xf - -C "$1"`,
		"sh", repository)
	// In an archive of an archive the place is filled in already.
	script := filepath.Join(repository, "dist/commit")
	text := regexp.MustCompile(`(?m)^archived=.*`).ReplaceAllLiteralString(read(t, script), "archived='$Format:%H %ct$'")
	if err := os.WriteFile(script, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	env := []string{"GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null",
		"GIT_AUTHOR_NAME=test", "GIT_AUTHOR_EMAIL=test@test", "GIT_COMMITTER_NAME=test", "GIT_COMMITTER_EMAIL=test@test"}
	do(t, repository, env, "sh", "-c", `git init -q && git add -A && git commit -q -m test && git archive HEAD | tar -xf - -C "$1"`,
		"sh", source)
	want := do(t, repository, env, "git", "log", "-1", "--abbrev=12", "--format=%h %ct")
	for _, dir := range [...]string{repository, source} {
		if got := do(t, dir, env, "dist/commit"); got != want {
			t.Fatalf("%s: dist/commit prints %q, want %q", dir, got, want)
		}
	}
	return source
}

func makeDist(t *testing.T, source, out string, env []string, variables ...string) {
	t.Helper()
	nfpm, err := filepath.Glob("../../bin/nfpm-*")
	if err != nil || len(nfpm) == 0 {
		t.Fatalf("no nfpm: make dist-test installs it (%v)", err)
	}
	if nfpm[0], err = filepath.Abs(nfpm[0]); err != nil {
		t.Fatal(err)
	}
	line := `umask 077; exec "$@"`
	if env == nil {
		line = `umask 002; exec "$@"`
	}
	words := append([]string{"-c", line, "sh", "make", "dist", "ARCHES=" + runtime.GOARCH, "DISTDIR=" + out, "NFPM=" + nfpm[0]}, variables...)
	do(t, source, env, "sh", words...)
}

func testArchive(t *testing.T, dir, bundle, commit string) {
	root := t.TempDir()
	name := "hutch-" + version(t) + "-linux-" + runtime.GOARCH
	do(t, root, nil, "tar", "-xf", filepath.Join(dir, name+".tar.gz"))
	checkRoot(t, filepath.Join(root, name), "", bundle, commit)
	checkBill(t, filepath.Join(dir, name+".spdx.json"), filepath.Join(root, name, "bin/hutch"))
}

func testDeb(t *testing.T, dir, bundle, commit string) {
	testneed.Programs(t, "dpkg")
	root := t.TempDir()
	for _, sub := range [...]string{"info", "updates"} {
		if err := os.MkdirAll(filepath.Join(root, "var/lib/dpkg", sub), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(root, "var/lib/dpkg/status"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	before := files(t, root)
	do(t, root, nil, "dpkg", "--root="+root, "--install", one(t, dir, "*.deb"))
	checkRoot(t, filepath.Join(root, "usr"), ".gz", bundle, commit)
	if got := do(t, root, nil, "chroot", root, "/usr/bin/hutch", "--version"); !strings.Contains(got, commit) {
		t.Errorf("in its root it prints %q", got)
	}
	do(t, root, nil, "dpkg", "--root="+root, "--verify", "hutch")
	do(t, root, nil, "dpkg", "--root="+root, "--purge", "hutch")
	nothingLeft(t, root, before)
}

func testRPM(t *testing.T, dir, bundle, commit string) {
	testneed.Programs(t, "rpm")
	root := t.TempDir()
	rpm := []string{"--root", root}
	do(t, root, nil, "rpm", append(rpm, "--initdb")...)
	if _, err := os.Stat("/etc/debian_version"); err == nil {
		rpm = append(rpm, "--force-debian")
	}
	before := files(t, root)
	do(t, root, nil, "rpm", append(rpm, "--install", one(t, dir, "*.rpm"))...)
	checkRoot(t, filepath.Join(root, "usr"), ".gz", bundle, commit)
	do(t, root, nil, "rpm", append(rpm, "--verify", "hutch")...)
	do(t, root, nil, "rpm", append(rpm, "--erase", "hutch")...)
	nothingLeft(t, root, before)
}

// checkRoot looks at what is installed below a prefix, and runs a container with it.
func checkRoot(t *testing.T, prefix, pageEnd, bundle, commit string) {
	t.Helper()
	for _, file := range installed {
		if strings.HasSuffix(file, ".8") {
			file += pageEnd
		}
		info, err := os.Stat(filepath.Join(prefix, file))
		if err != nil {
			t.Fatal(err)
		}
		want := fs.FileMode(0o644)
		if file == "bin/hutch" {
			want = 0o755
		}
		if info.Mode() != want || info.Size() == 0 {
			t.Errorf("%s has the mode %v and %d bytes", file, info.Mode(), info.Size())
		}
	}
	binary := filepath.Join(prefix, "bin/hutch")
	isStatic(t, binary)
	if got, want := do(t, prefix, nil, binary, "--version"), "hutch version "+version(t)+"\ncommit: "+commit+"\n"; !strings.HasPrefix(got, want) {
		t.Errorf("hutch --version prints %q, want %q", got, want)
	}
	state := t.TempDir()
	if got := do(t, prefix, nil, binary, "--root", state, "run", "--bundle", bundle, testplain.Unique("dist-test")); got != "1" {
		t.Errorf("the container printed %q", got)
	}
	if left := files(t, state); len(left) > 0 {
		t.Errorf("of the container is left: %q", left)
	}
}

// isStatic holds that nothing has to be there for the binary to run: no loader, no library.
func isStatic(t *testing.T, binary string) {
	t.Helper()
	file, err := elf.Open(binary)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for _, p := range file.Progs {
		if p.Type == elf.PT_INTERP || p.Type == elf.PT_DYNAMIC {
			t.Errorf("the binary has a segment %v", p.Type)
		}
	}
}

// checkBill holds that the bill of materials is that of the binary.
func checkBill(t *testing.T, file, binary string) {
	t.Helper()
	var bill struct {
		Packages []struct {
			Name      string
			Checksums []struct{ Algorithm, ChecksumValue string }
		}
		Relationships []struct{ RelationshipType string }
	}
	if err := json.Unmarshal([]byte(read(t, file)), &bill); err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf("%x", sha256.Sum256([]byte(read(t, binary))))
	if own := bill.Packages[0]; own.Name != "hutch" || own.Checksums[0].ChecksumValue != want {
		t.Errorf("the first package is %v, want hutch and %s", own, want)
	}
	linked := do(t, ".", nil, "go", "version", "-m", binary)
	if deps := strings.Count(linked, "\n\tdep\t"); deps == 0 || len(bill.Packages) != deps+2 || len(bill.Relationships) != deps+2 {
		t.Errorf("%d packages and %d relationships, for %d modules", len(bill.Packages), len(bill.Relationships), deps)
	}
}

// makeBundle makes one of a container that prints its process id.
func makeBundle(t *testing.T) string {
	t.Helper()
	bundle := t.TempDir()
	do(t, bundle, nil, "sh", "-c", `mkdir -p rootfs/bin && cp /bin/busybox rootfs/bin/sh && cat >config.json`+` <<'END'
{"ociVersion": "1.3.0", "root": {"path": "rootfs"},
 "process": {"cwd": "/", "args": ["/bin/sh", "-c", "echo $$"], "user": {"uid": 0, "gid": 0}},
 "linux": {"namespaces": [{"type": "pid"}, {"type": "mount"}]}}
END`)
	return bundle
}

// nothingLeft holds that there are no files but those from before, and of the packager.
func nothingLeft(t *testing.T, root string, before []string) {
	t.Helper()
	for _, file := range files(t, root) {
		if !slices.Contains(before, file) && !strings.HasPrefix(file, "var/") {
			t.Errorf("left: %s", file)
		}
	}
}

// files lists what is below a directory.
func files(t *testing.T, dir string) []string {
	t.Helper()
	var all []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			all = append(all, strings.TrimPrefix(path, dir+"/"))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// version is that of main.go.
func version(t *testing.T) string {
	t.Helper()
	found := regexp.MustCompile(`(?m)^const version = "(.*)"`).FindStringSubmatch(read(t, "../../main.go"))
	if found == nil {
		t.Fatal("main.go has no version")
	}
	return found[1]
}

func one(t *testing.T, dir, pattern string) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, pattern))
	if err != nil || len(found) != 1 {
		t.Fatalf("%s: %q %v", pattern, found, err)
	}
	return found[0]
}

func read(t *testing.T, path ...string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(path...))
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// do runs a program and returns what it prints, without spaces around it.
func do(t *testing.T, dir string, env []string, program string, words ...string) string {
	t.Helper()
	command := exec.Command(program, words...)
	command.Dir, command.Env = dir, append(os.Environ(), env...)
	var errors strings.Builder
	command.Stderr = &errors
	out, err := command.Output()
	if err != nil {
		t.Fatalf("%s %q: %v\n%s%s", program, words, err, out, errors.String())
	}
	return strings.TrimSpace(string(out))
}
