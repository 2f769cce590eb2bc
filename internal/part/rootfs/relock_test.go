package rootfs

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// covering makes name of the world's directory a mount of its own, in which secret/file is
// covered by another.
func (w *world) covering(name string) {
	w.t.Helper()
	dir := w.path(name)
	must(w.t, os.MkdirAll(dir+"/secret", 0o755))
	must(w.t, os.WriteFile(dir+"/secret/file", []byte("secret\n"), 0o644))
	must(w.t, unix.Mount(dir, dir, "", unix.MS_BIND|unix.MS_REC, ""))
	w.t.Cleanup(func() { must(w.t, unix.Unmount(dir, unix.MNT_DETACH)) })
	must(w.t, unix.Mount("tmpfs", dir+"/secret", "tmpfs", 0, "mode=755,size=4k"))
}

// TestWhatTheHostRestrictsIsLocked: root of a user namespace, who may mount, takes back no
// option of the host's mounts, and uncovers nothing, neither in a bind nor in the root.
func TestWhatTheHostRestrictsIsLocked(t *testing.T) {
	w := newUserWorld(t, proc())
	w.reachable()
	w.covering("root/etc")
	w.covering("volume")
	must(t, os.Mkdir(w.path("volume/open"), 0o755))
	must(t, os.Chmod(w.path("volume/open"), 0o777))
	const restricted = unix.MS_RDONLY | unix.MS_NOSUID | unix.MS_NODEV
	must(t, unix.Mount("", w.path("volume"), "", unix.MS_REMOUNT|unix.MS_BIND|restricted, ""))
	w.spec.Mounts = append(w.spec.Mounts, bind(w.path("volume"), "/volume", "rbind"))
	out := w.ok(`for d in /volume /etc; do
	busybox umount $d/secret 2>/dev/null && echo $d/secret is unmounted
	cat $d/secret/file 2>/dev/null
done
mount -o remount,bind,rw,suid,dev /volume 2>/dev/null && echo remounted
busybox touch /volume/open/new 2>/dev/null && echo written
for o in ro nosuid nodev; do grep " /volume " /proc/self/mountinfo | grep -q $o || echo $o is lost; done`)
	if out != "" {
		t.Errorf("got %q", out)
	}
}

// TestUnreachableSourceIsBoundAll: a directory that the child cannot come to is bound all
// the same, and a bind without what is mounted below.
func TestUnreachableSourceIsBoundAll(t *testing.T) {
	w := newUserWorld(t, proc())
	w.reachable()
	w.covering("volume")
	must(t, os.MkdirAll(w.path("closed/dir"), 0o755))
	must(t, os.WriteFile(w.path("closed/dir/file"), []byte("reached\n"), 0o644))
	must(t, os.Chown(w.path("closed"), 77, 77))
	must(t, os.Chmod(w.path("closed"), 0o700))
	w.spec.Mounts = append(w.spec.Mounts, bind(w.path("closed/dir"), "/closed", "ro"), bind(w.path("volume"), "/volume"))
	if out := w.ok("cat /closed/file /volume/secret/file; busybox touch /closed/new 2>/dev/null && echo written; true"); out != "reached\nsecret\n" {
		t.Errorf("got %q", out)
	}
}
