package life

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/tests/criutest"
	"github.com/hutch-project/hutch/tests/testfuse"
	"github.com/hutch-project/hutch/tests/testneed"
)

// TestImagesOfOthers: what others could have put where CRIU reads and writes as root is
// refused by its name, CRIU is not asked, and the container goes on; taken back, all works.
func TestImagesOfOthers(t *testing.T) {
	w := newCRIUWorld(t, &criutest.Behaviour{}, func(*specs.Spec) {})
	w.start()
	work := filepath.Join(t.TempDir(), "work")
	must(t, os.Mkdir(work, 0o700))
	must(t, w.checkpoint(func(o *DumpOptions) { o.WorkPath, o.LeaveRunning = work, true }))
	asked := len(criutest.Requests(t, w.path))
	secret := filepath.Join(t.TempDir(), "secret")
	must(t, os.WriteFile(secret, []byte("kept"), 0o600))
	for name, c := range hostileImages(t, w.images, work, secret) {
		must(t, c.do())
		err := w.checkpoint(func(o *DumpOptions) { o.WorkPath, o.LeaveRunning = work, true })
		if err == nil || !strings.Contains(err.Error(), c.why) {
			t.Errorf("%s: checkpoint: got %v, want %s", name, err, c.why)
		}
		must(t, c.undo())
	}
	if s := w.status(); s != Running {
		t.Errorf("it is %s", s)
	}
	must(t, w.checkpoint(func(o *DumpOptions) { o.WorkPath = work }))
	reapAll(t)
	for name, c := range hostileImages(t, w.images, work, secret) {
		must(t, c.do())
		err := w.restore(func(o *RestoreOptions) { o.WorkPath = work })
		if err == nil || !strings.Contains(err.Error(), c.why) {
			t.Errorf("%s: restore: got %v, want %s", name, err, c.why)
		}
		must(t, c.undo())
		reapAll(t)
		w.checkNothingLeft(name)
	}
	if n := len(criutest.Requests(t, w.path)); n != asked+1 {
		t.Errorf("CRIU was asked for %d things, want %d", n, asked+1)
	}
	if text, _ := os.ReadFile(secret); string(text) != "kept" {
		t.Errorf("the host's file has %q", text)
	}
	must(t, w.restore(func(o *RestoreOptions) { o.WorkPath = work }))
	w.end()
}

// hostile is a way to have somebody else's say in a directory of images.
type hostile struct {
	do, undo func() error
	why      string
}

func hostileImages(t *testing.T, images, work, secret string) map[string]hostile {
	t.Helper()
	in := func(name string) string { return filepath.Join(images, name) }
	remove := func(name string) func() error { return func() error { return os.RemoveAll(in(name)) } }
	saved := filepath.Join(t.TempDir(), outsideName)
	save := func() error { return os.Rename(in(outsideName), saved) }
	restore := func() error { return errors.Join(os.RemoveAll(in(outsideName)), os.Rename(saved, in(outsideName))) }
	other := t.TempDir()
	must(t, os.Chown(other, 7, 7))
	return map[string]hostile{
		"the directory is another user's": {func() error { return os.Chown(images, 7, 0) }, func() error { return os.Chown(images, 0, 0) },
			"--image-path: " + images + " belongs to user 7"},
		"others may write the directory": {func() error { return os.Chmod(images, os.ModeSticky|0o777) }, func() error { return os.Chmod(images, 0o700) },
			"may be written by others (mode 1777)"},
		"a group may write the directory": {func() error { return errors.Join(os.Chown(images, 0, 7), os.Chmod(images, 0o770)) },
			func() error { return errors.Join(os.Chown(images, 0, 0), os.Chmod(images, 0o700)) }, "may be written by others (mode 0770)"},
		"the directory of logs is another user's": {func() error { return os.Chown(work, 7, 0) }, func() error { return os.Chown(work, 0, 0) },
			"--work-path: " + work + " belongs to user 7"},
		"a link for an image":     {func() error { return os.Symlink(secret, in("core-1.img")) }, remove("core-1.img"), "core-1.img is a symbolic link"},
		"a link for a log":        {func() error { return os.Symlink(secret, filepath.Join(work, dumpLog)) }, func() error { return os.Remove(filepath.Join(work, dumpLog)) }, dumpLog + " is a symbolic link"},
		"a fifo for an image":     {func() error { return unix.Mkfifo(in("x\ny.img"), 0o600) }, remove("x\ny.img"), `"x\ny.img" is no regular file`},
		"a directory of an image": {func() error { return os.Mkdir(in("fs-1.img"), 0o700) }, remove("fs-1.img"), "fs-1.img is no regular file"},
		"an image is another user's": {func() error {
			return errors.Join(os.WriteFile(in("pages-1.img"), nil, 0o600), os.Chown(in("pages-1.img"), 7, 0))
		},
			remove("pages-1.img"), "pages-1.img belongs to user 7"},
		"others may write an image": {func() error {
			return errors.Join(os.WriteFile(in("pages-1.img"), nil, 0o600), os.Chmod(in("pages-1.img"), 0o666))
		},
			remove("pages-1.img"), "pages-1.img may be written by others"},
		"a chain to another user's":     {func() error { return os.Symlink(other, in(parentName)) }, remove(parentName), "parent belongs to user 7"},
		"a chain in a ring":             {func() error { return os.Symlink(".", in(parentName)) }, remove(parentName), "a chain of more than 1000 directories of images"},
		"a link for the runtime's file": {func() error { return errors.Join(save(), os.Symlink(secret, in(outsideName))) }, restore, outsideName},
		"a fifo for the runtime's file": {func() error { return errors.Join(save(), unix.Mkfifo(in(outsideName), 0o600)) }, restore, outsideName},
		"a large file of the runtime's": {func() error {
			return errors.Join(save(), os.WriteFile(in(outsideName), nil, 0o600), os.Truncate(in(outsideName), 1<<40), os.Chmod(in(outsideName), 0o666))
		}, restore, outsideName},
	}
}

// TestImagesBehindLinksOfOthers: no link of another user leads to a directory of images or logs,
// nor is one made where it leads, nor may another user exchange what is on the way to former
// images, which CRIU takes itself.
func TestImagesBehindLinksOfOthers(t *testing.T) {
	w := newCRIUWorld(t, &criutest.Behaviour{}, func(*specs.Spec) {})
	dir := t.TempDir()
	kept, theirs := filepath.Join(dir, "kept"), filepath.Join(dir, "theirs")
	way := filepath.Join(theirs, "way")
	must(t, errors.Join(os.MkdirAll(kept+"/pre", 0o700), os.MkdirAll(theirs+"/own", 0o700), os.Symlink(kept, way)))
	must(t, errors.Join(os.Lchown(theirs, 1000, 1000), os.Lchown(way, 1000, 1000)))
	w.start()
	must(t, w.checkpoint(func(o *DumpOptions) { o.LeaveRunning = true }))
	asked := len(criutest.Requests(t, w.path))
	refused := func(what, want string, err error) {
		t.Helper()
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", what, err, want)
		}
	}
	const link = `"way" is a symbolic link that another user may have made`
	for _, at := range []string{way, way + "/pre", way + "/new/images"} {
		refused(at, "--image-path: open "+at+": too many", w.checkpoint(func(o *DumpOptions) { o.ImagePath = at }))
		refused(at, link, w.checkpoint(func(o *DumpOptions) { o.WorkPath = at }))
	}
	up, err := filepath.Rel(w.images, dir)
	must(t, err)
	refused("a parent", link, w.checkpoint(func(o *DumpOptions) { o.ParentPath = up + "/theirs/way/pre" }))
	refused("a parent", "another user may exchange what is in "+theirs, w.checkpoint(func(o *DumpOptions) { o.ParentPath = up + "/theirs/own" }))
	if s := w.status(); s != Running {
		t.Errorf("it is %s", s)
	}
	must(t, w.checkpoint(func(*DumpOptions) {}))
	reapAll(t)
	must(t, unix.Rename(w.images, kept+"/images"))
	refused("restore", "--image-path: open "+way+"/images: too many", w.restore(func(o *RestoreOptions) { o.ImagePath = way + "/images" }))
	w.images = kept + "/images"
	refused("restore", "--work-path: open "+way+"/work: too many", w.restore(func(o *RestoreOptions) { o.WorkPath = way + "/work" }))
	must(t, os.Symlink(way+"/pre", w.images+"/parent"))
	refused("restore", link, w.restore(func(*RestoreOptions) {}))
	must(t, os.Remove(w.images+"/parent"))
	if n := len(criutest.Requests(t, w.path)); n != asked+1 {
		t.Errorf("CRIU was asked for %d things, want %d", n, asked+1)
	}
	if names, err := filepath.Glob(kept + "/*"); err != nil || len(names) != 2 {
		t.Errorf("there are %q, %v", names, err)
	}
	must(t, errors.Join(os.Symlink("kept", dir+"/mine"), os.Symlink("../pre", w.images+"/parent")))
	must(t, w.restore(func(o *RestoreOptions) { o.ImagePath, o.WorkPath = dir+"/mine/images", dir+"/mine/logs/new" }))
	w.end()
}

// TestLogsOfAnExchangedDirectory: CRIU's log is read where CRIU has written it, and that of its
// check is written beside, whatever another user has put into the place of the directory since.
func TestLogsOfAnExchangedDirectory(t *testing.T) {
	w := newCRIUWorld(t, &criutest.Behaviour{At: "network-lock", Do: "fail", Log: "Error (criu/x.c:1): what it says\n", NoKernel: true}, func(*specs.Spec) {})
	w.start()
	was, secret := w.images+".was", filepath.Join(t.TempDir(), "secret")
	must(t, os.WriteFile(secret, []byte("Error (criu/x.c:1): a secret\n"), 0o600))
	testPhase = func(name string) {
		if name == "pre-dump" {
			must(t, errors.Join(os.Rename(w.images, was), os.Mkdir(w.images, 0o700)))
			must(t, errors.Join(os.Symlink(secret, filepath.Join(w.images, dumpLog)), os.Symlink(secret, filepath.Join(w.images, "check.log"))))
		}
	}
	defer func() { testPhase = nil }()
	if err := w.checkpoint(func(*DumpOptions) {}); err == nil || !strings.Contains(err.Error(), "what it says") || strings.Contains(err.Error(), "a secret") {
		t.Errorf("got %v", err)
	}
	if text, _ := os.ReadFile(secret); string(text) != "Error (criu/x.c:1): a secret\n" {
		t.Errorf("the file that the links lead to has %q", text)
	}
	if _, err := os.Stat(filepath.Join(was, "check.log")); err != nil {
		t.Error(err)
	}
	w.end()
}

// TestImagesGivenToTheContainersRoot: those of a restore into a user namespace, and of it the
// next checkpoint, are its root's.
func TestImagesGivenToTheContainersRoot(t *testing.T) {
	testneed.Root(t)
	dir := t.TempDir()
	must(t, os.Chown(dir, 100000, 100000))
	must(t, os.Chmod(dir, 0o770))
	fd, err := openDir(dir, false)
	must(t, err)
	defer unix.Close(fd)
	must(t, imageGuard{"--image-path", 100000}.check(fd, dir))
	for _, owner := range []int{-1, 100001} {
		if err := (imageGuard{"--image-path", owner}).check(fd, dir); err == nil || !strings.Contains(err.Error(), "belongs to user 100000") {
			t.Errorf("for root %d: got %v", owner, err)
		}
	}
	// Former images may be in them, and nowhere else in a directory of its.
	must(t, errors.Join(os.MkdirAll(filepath.Join(dir, "sub", "pre"), 0o700), os.Symlink("sub", filepath.Join(dir, parentName))))
	must(t, imageGuard{"--image-path", 100000}.check(fd, dir))
	must(t, errors.Join(os.Remove(filepath.Join(dir, parentName)), os.Symlink("sub/pre", filepath.Join(dir, parentName))))
	if err := (imageGuard{"--image-path", 100000}).check(fd, dir); err == nil || !strings.Contains(err.Error(), "another user may exchange what is in "+dir) {
		t.Errorf("further down: %v", err)
	}
	if uid := rootOf(os.Getpid()); uid != 0 {
		t.Errorf("root is %d", uid)
	}
}

// TestImagesAreReadInAUserNamespace: by processes of CRIU's that have no mappings yet, and by the
// root of a user namespace.
func TestImagesAreReadInAUserNamespace(t *testing.T) {
	testneed.Root(t)
	for _, owner := range []int{0, 100000} {
		dir := t.TempDir()
		must(t, os.WriteFile(filepath.Join(dir, "image"), nil, 0o644))
		must(t, errors.Join(os.Chown(dir, owner, owner), os.Chmod(dir, 0o700)))
		fd, err := openDir(dir, false)
		must(t, err)
		open := os.NewFile(uintptr(fd), dir)
		defer open.Close()
		must(t, passOn(fd, dir, 100000, 100000))
		var st unix.Stat_t
		if must(t, unix.Fstat(fd, &st)); int(st.Uid) != owner || st.Mode&0o7777 != 0o750 {
			t.Errorf("the directory of %d is %d's, with mode %#o", owner, st.Uid, st.Mode&0o7777)
		}
		for name, attr := range map[string]*syscall.SysProcAttr{
			"no mappings": {Cloneflags: unix.CLONE_NEWUSER},
			"root": {
				Cloneflags:  unix.CLONE_NEWUSER,
				UidMappings: []syscall.SysProcIDMap{{HostID: 100000, Size: 1}}, GidMappings: []syscall.SysProcIDMap{{HostID: 100000, Size: 1}},
				Credential: &syscall.Credential{},
			},
		} {
			cmd := exec.Command("cat", "/proc/self/fd/3/image")
			cmd.ExtraFiles, cmd.SysProcAttr = []*os.File{open}, attr
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("the directory of %d, %s: %v: %s", owner, name, err, out)
			}
		}
	}
}

// TestLogsKeepTheirFile: an engine makes the log with the label that CRIU may write.
func TestLogsKeepTheirFile(t *testing.T) {
	w := newCRIUWorld(t, &criutest.Behaviour{At: "request", Do: "fail"}, func(*specs.Spec) {})
	w.start()
	must(t, os.MkdirAll(w.images, 0o700))
	log := filepath.Join(w.images, dumpLog)
	must(t, os.WriteFile(log, []byte("Error (criu/old.c:1): Some file locks are hold\n"), 0o600))
	before, err := os.Stat(log)
	must(t, err)
	if err := w.checkpoint(func(*DumpOptions) {}); err == nil || strings.Contains(err.Error(), "file-locks") {
		t.Errorf("got %v", err)
	}
	if after, err := os.Stat(log); err != nil || !os.SameFile(before, after) || after.Size() != 0 {
		t.Errorf("the log is another file, or has the old text: %v, %v", after, err)
	}
	w.end()
}

// TestImagesOnFUSE: a directory in what a user has mounted is that user's, whoever it says it is.
func TestImagesOnFUSE(t *testing.T) {
	for uid, refused := range map[int]bool{1718: true, 1719: false} {
		dir, err := unix.Open(testfuse.Mount(t, uid, "core-1.img"), unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		must(t, err)
		err = imageGuard{"--image-path", 1719}.check(dir, "images")
		unix.Close(dir)
		if refused != (err != nil && strings.Contains(err.Error(), "images belongs to user 1718")) || !refused && err != nil {
			t.Errorf("of user %d: %v", uid, err)
		}
	}
}
