package criu

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hutch-project/hutch/tests/criutest"
	"github.com/hutch-project/hutch/tests/testfuse"
	"github.com/hutch-project/hutch/tests/testneed"
)

// TestFindByRootsRules: what somebody else could have put there is not run.
func TestFindByRootsRules(t *testing.T) {
	testneed.Root(t)
	good := criutest.Install(t, &criutest.Behaviour{})
	dir := criutest.Install(t, &criutest.Behaviour{})
	file := filepath.Join(dir, "criu")
	tests := map[string]struct {
		do, undo func()
		why      string
	}{
		"others may write the file":       {func() { must(t, os.Chmod(file, 0o757)) }, func() { must(t, os.Chmod(file, 0o755)) }, "may be written by others"},
		"a group may write the file":      {func() { must(t, os.Chown(file, 0, 7)); must(t, os.Chmod(file, 0o775)) }, func() { must(t, os.Chown(file, 0, 0)); must(t, os.Chmod(file, 0o755)) }, "may be written by others"},
		"it is another user's":            {func() { must(t, os.Chown(file, 7, 0)) }, func() { must(t, os.Chown(file, 0, 0)) }, "belongs to user 7"},
		"others may write the directory":  {func() { must(t, os.Chmod(dir, os.ModeSticky|0o777)) }, func() { must(t, os.Chmod(dir, 0o755)) }, file + ": " + dir + " may be written by others"},
		"the directory is another user's": {func() { must(t, os.Chown(dir, 7, 0)) }, func() { must(t, os.Chown(dir, 0, 0)) }, file + ": " + dir + " belongs to user 7"},
		"it is a link that leads nowhere": {func() {
			must(t, os.Rename(file, file+".real"))
			must(t, os.Symlink(dir+"/none", file))
		}, func() { must(t, os.Rename(file+".real", file)) }, "no such file"},
		"it is not executable": {func() { must(t, os.Chmod(file, 0o644)) }, func() { must(t, os.Chmod(file, 0o755)) }, "is not executable"},
		"it is a link to a place that others may write": {func() {
			must(t, os.Rename(file, file+".real"))
			to := filepath.Join(t.TempDir(), "criu") // below /tmp
			must(t, os.WriteFile(to, []byte("#!/bin/sh\n"), 0o755))
			must(t, os.Symlink(to, file))
		}, func() { must(t, os.Rename(file+".real", file)) }, "may be written by others"},
	}
	for name, c := range tests {
		c.do()
		if p, err := Find(dir + ":" + good); err != nil || p.Path != good+"/criu" {
			t.Errorf("%s: got %+v, %v", name, p, err)
		} else if strings.HasPrefix(c.why, file) && strings.Contains(p.path+":", dir+":") {
			t.Errorf("%s: CRIU looks there for its helpers: %s", name, p.path)
		}
		_, err := Find(dir)
		if err == nil { // a host that has a criu
			err = ErrMissing
		} else if !strings.Contains(err.Error(), c.why) {
			t.Errorf("%s: got %v", name, err)
		}
		if !errors.Is(err, ErrMissing) {
			t.Errorf("%s: got %v", name, err)
		}
		c.undo()
		if p, err := Find(dir + ":" + good); err != nil || p.Path != file {
			t.Errorf("%s, taken back: got %+v, %v", name, p, err)
		}
	}
}

// TestFindByLinks: a directory is known by its own path, not by a link that others have lead
// elsewhere later, and one that a user has mounted is that user's, whoever its files belong to.
func TestFindByLinks(t *testing.T) {
	testneed.Root(t)
	good := criutest.Install(t, &criutest.Behaviour{})
	link := filepath.Join(t.TempDir(), "link")
	must(t, os.Symlink(good, link))
	must(t, os.Lchown(link, 7, 7))
	p, err := Find(link)
	must(t, err)
	if p.Path != good+"/criu" || strings.Contains(p.path, link) || !strings.Contains(p.path, good) {
		t.Errorf("got %+v", p)
	}
	mount := testfuse.Mount(t, 1718, "criu")
	if _, why := trustedDirs(mount); len(why) != 1 || !strings.Contains(why[0], "belongs to user 1718") {
		t.Errorf("a directory on FUSE: got %v", why)
	}
}

// TestFindIgnoresRelativeDirectories: the working directory may be a bundle.
func TestFindIgnoresRelativeDirectories(t *testing.T) {
	testneed.Root(t)
	dir := criutest.Install(t, &criutest.Behaviour{})
	t.Chdir(dir)
	for _, path := range []string{".", "", "./", ":"} {
		if p, err := Find(path); err == nil && strings.HasPrefix(p.Path, dir) {
			t.Errorf("PATH %q leads to %s", path, p.Path)
		}
	}
}

// TestTrustedConfig: settings by which CRIU runs programs are root's alone, also below a
// directory where everybody may make files.
func TestTrustedConfig(t *testing.T) {
	testneed.Root(t)
	dir := t.TempDir() // below /tmp
	file, link := filepath.Join(dir, "x.conf"), filepath.Join(dir, "link.conf")
	must(t, os.WriteFile(file, nil, 0o644))
	must(t, os.Symlink(file, link))
	good := func() {
		t.Helper()
		for _, path := range []string{file, link, filepath.Join(dir, "none")} {
			got, err := TrustedConfig(path)
			must(t, err)
			if path == link && got != file {
				t.Errorf("a link that may lead elsewhere later: got %s", got)
			}
		}
	}
	good()
	for want, c := range map[string][2]func() error{
		file + " belongs to user 7":        {func() error { return os.Chown(file, 7, 0) }, func() error { return os.Chown(file, 0, 0) }},
		dir + " belongs to user 7":         {func() error { return os.Chown(dir, 7, 0) }, func() error { return os.Chown(dir, 0, 0) }},
		file + " may be written by others": {func() error { return os.Chmod(file, 0o646) }, func() error { return os.Chmod(file, 0o644) }},
		dir + " may be written by others":  {func() error { return os.Chmod(dir, 0o777) }, func() error { return os.Chmod(dir, 0o755) }},
	} {
		must(t, c[0]())
		for _, path := range []string{file, link} {
			if _, err := TrustedConfig(path); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("got %v, want %s", err, want)
			}
		}
		must(t, c[1]())
		good()
	}
	must(t, os.Symlink(dir+"/none", dir+"/dangling"))
	if _, err := TrustedConfig(dir + "/dangling/x.conf"); err == nil || !strings.Contains(err.Error(), dir+"/dangling is a symbolic link that leads nowhere") {
		t.Errorf("behind a link that leads nowhere: got %v", err)
	}
	must(t, os.Chmod(dir, os.ModeSticky|0o777))
	if _, err := TrustedConfig(dir + "/none/x.conf"); err == nil || !strings.Contains(err.Error(), dir+" may be written by others") {
		t.Errorf("one that others can make: got %v", err)
	}
	must(t, os.Chmod(dir, 0o755))
	for path, want := range map[string]string{dir: "is no regular file", "/dev/null": "is no regular file", "x.conf": "is no absolute path"} {
		if _, err := TrustedConfig(path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", path, err, want)
		}
	}
}
