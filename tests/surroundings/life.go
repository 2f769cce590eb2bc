package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// look prints what a process has of its caller's state, one thing a line. It is run in
// containers and as their hooks, by busybox.
const look = `b=/bin/busybox
say() { echo "$who $*"; }
say umask $(umask)
$b grep -E '^Sig(Blk|Ign):' /proc/self/status | while read a c; do say $a $c; done
say descriptors $($b ls /proc/self/fd)
say files $(ulimit -n)
say core $(ulimit -c)
say nice $($b cut -d' ' -f19 /proc/self/stat) policy $($b cut -d' ' -f41 /proc/self/stat)
say cpus $($b grep Cpus_allowed_list /proc/self/status)
$b env | $b sort | while read v; do say variable $v; done`

// made prints the modes of what the runtime has made in a container.
const made = `
for f in /dev/null /dev/shm /dev/pts /dev/hutch-fifo /proc /sys /made /made/dir /made/dir/file /tmp; do say mode $($b stat -c '%a %u %n' $f); done
say cwd $($b pwd); say session $([ $($b cut -d' ' -f6 /proc/$$/stat) = $$ ] && echo own)`

// script is a caller of the runtime: an engine in a shell, which leaves its own state
// as it is. Where it has no PATH it needs none.
const script = `b=/bin/busybox hutch=$1 dir=$2 root=$3 id=${2##*/}
fail() { echo "fail: $*"; "$hutch" --root "$root" delete --force "$id"; "$hutch" --root "$root" delete --force "$id-attached"; exit 1; }
has() { n=0; while ! $b grep -q "$1" "$root.out"; do n=$((n+1)); [ $n -lt 2000 ] || fail "no $1"; $b sleep 0.03; done; }
"$hutch" --root "$root" run --bundle "$dir/run" "$id-run" || fail "run: $?"
: >"$root.out"
"$hutch" --root "$root" run --bundle "$dir/create" "$id-attached" >"$root.out" 2>&1 & run=$!
has ready
for s in HUP USR1 TERM; do $b kill -$s $run; has "got $s"; done
wait $run; echo "status of a run that got TERM $?"
"$hutch" --root "$root" create --bundle "$dir/create" --pid-file "$root.pid" "$id" >"$root.out" 2>&1 || { $b cat "$root.out"; fail "create: $?"; }
for f in "$root" "$root/$id" "$root/$id/state.json" "$root.pid"; do echo "host file $($b stat -c '%a %u' "$f") ${f#$root}"; done
"$hutch" --root "$root" start "$id" || fail "start: $?"
has ready
$b cat "$root.out"
"$hutch" --root "$root" exec "$id" /bin/sh -c 'who=exec
'"$4" || fail "exec: $?"
"$hutch" --root "$root" exec "$id" /bin/sh -c 'exit 7'; echo "status of exec $?"
"$hutch" --root "$root" state "$id" | $b grep '"status"' || fail "state: $?"
"$hutch" --root "$root" kill "$id" TERM || fail "kill: $?"
while ! "$hutch" --root "$root" state "$id" | $b grep -q stopped; do $b sleep 0.01; done
"$hutch" --root "$root" delete "$id" || fail "delete: $?"
$b cat "$root.hook"
exit 0`

// bundle makes the two bundles, of a container that looks and ends and of one that
// lives on, in the directory.
func (b *bench) bundle() error {
	busybox, err := os.ReadFile("/bin/busybox")
	if err != nil {
		return fmt.Errorf("needs a static busybox: %w", err)
	}
	for _, name := range []string{"run", "create"} {
		root := filepath.Join(b.dir, name, "rootfs")
		for _, dir := range []string{"bin", "proc", "sys", "dev", "tmp"} {
			if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
				return err
			}
		}
		for _, file := range []string{"busybox", "sh"} {
			if err := os.WriteFile(filepath.Join(root, "bin", file), busybox, 0o755); err != nil {
				return err
			}
		}
	}
	return nil
}

// configure writes the configuration of a bundle, whose hooks write to a file.
func (b *bench) configure(dir, name, rest, hooks string) error {
	cmd := exec.Command(b.hutch, "spec", "--bundle", dir)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", cmd, err, out)
	}
	path := filepath.Join(dir, "config.json")
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var s specs.Spec
	if err := json.Unmarshal(text, &s); err != nil {
		return err
	}
	s.Root.Path, s.Root.Readonly = filepath.Join(b.dir, name, "rootfs"), false
	s.Process.Terminal = false
	s.Process.Rlimits = nil
	s.Process.Args = []string{"/bin/sh", "-c", "who=" + name + "\n" + look + made + rest}
	s.Mounts = append(s.Mounts, specs.Mount{Destination: "/made", Type: "tmpfs", Source: "tmpfs", Options: []string{"mode=755"}},
		specs.Mount{Destination: "/made/dir/file", Type: "bind", Source: "/etc/hostname", Options: []string{"bind"}})
	s.Linux.Devices = append(s.Linux.Devices, specs.LinuxDevice{Path: "/dev/hutch-fifo", Type: "p"})
	hook := func(who string) []specs.Hook {
		return []specs.Hook{{Path: "/bin/sh", Args: []string{"sh", "-c", "exec >>" + hooks + "; who=" + who + "\n" + look}, Env: []string{"A=b"}}}
	}
	s.Hooks = &specs.Hooks{CreateRuntime: hook("createRuntime"), CreateContainer: hook("createContainer"), Poststop: hook("poststop")}
	if text, err = json.Marshal(&s); err != nil {
		return err
	}
	return os.WriteFile(path, text, 0o644)
}

// life runs a container's life under a surrounding, and returns what was seen.
func (b *bench) life(s surrounding) (string, error) {
	dir, err := os.MkdirTemp(b.dir, "life-")
	if err != nil {
		return "", err
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		return "", err
	}
	root := filepath.Join(dir, "state")
	for name, rest := range map[string]string{"run": "", "create": "\ntrap 'echo got TERM; exit 5' TERM; trap 'echo got HUP' HUP; trap 'echo got USR1' USR1; echo ready; while :; do $b sleep 0.01; done"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil {
			return "", err
		}
		if err := b.configure(filepath.Join(dir, name), name, rest, root+".hook"); err != nil {
			return "", err
		}
	}
	out, err := b.in(s, "/bin/sh", []string{"-c", script, "sh", b.hutch, dir, root, look + made}, "/")
	out = strings.ReplaceAll(strings.ReplaceAll(out, dir, "DIR"), filepath.Base(dir), "ID")
	if err != nil {
		return "", fmt.Errorf("%w\n%s", err, end(out))
	}
	return out, nil
}

// compare tells the difference of two outputs, without the lines that have one of the
// words as their second, which a caller is to pass on.
func compare(usual, seen string, passes []string) error {
	lines := func(text string) (list []string) {
		for line := range strings.Lines(text) {
			f := strings.Fields(line)
			if len(f) < 2 || !slices.Contains(passes, f[1]) {
				list = append(list, strings.TrimSpace(line))
			}
		}
		return list
	}
	want, got := lines(usual), lines(seen)
	var differ []string
	for _, l := range want {
		if !slices.Contains(got, l) {
			differ = append(differ, "- "+l)
		}
	}
	for _, l := range got {
		if !slices.Contains(want, l) {
			differ = append(differ, "+ "+l)
		}
	}
	if len(differ) == 0 && len(want) == len(got) {
		return nil
	}
	return fmt.Errorf("it sees another caller:\n\t%s", strings.Join(differ, "\n\t"))
}
