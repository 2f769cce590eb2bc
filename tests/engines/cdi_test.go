package engines

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// cdiDevice is the name of the device that a specification of the Container Device
// Interface describes. The specification is in a folder that every engine looks into.
const cdiDevice = "hutch.test/gpu=one"

// cdiHook does what the hooks of GPU vendors do, each in its own way: they find the root
// by the bundle of the state, as the namespaces have it, and change what is there before
// the container's program begins.
const cdiHook = `#!/bin/sh
set -e
state=$(cat)
value() { tr -d '\n' | sed -n "s/.*\"$1\": *\"\{0,1\}\([^\",}]*\).*/\1/p"; }
bundle=$(printf %s "$state" | value bundle)
pid=$(printf %s "$state" | value pid)
root=$(tr -d '\n' <"$bundle/config.json" | sed -n 's/.*"root": *{[^}]*"path": *"\([^"]*\)".*/\1/p')
case $root in /*) ;; *) root=$bundle/$root ;; esac
case $1 in
links) # nvidia-cdi-hook create-symlinks
	mkdir -p "$root/usr/lib/gpu-links"
	ln -s ../gpu/libgpu.so.1 "$root/usr/lib/gpu-links/libgpu.so" ;;
ldcache) # nvidia-cdi-hook update-ldcache: the container's own program, in its root
	chroot "$root" /bin/sh -c 'ls /usr/lib/gpu >/etc/gpu.cache' ;;
chmod) # nvidia-cdi-hook chmod
	chmod 0711 "$root/usr/lib/gpu-links" ;;
enter) # nvidia-container-runtime-hook: from the runtime's namespaces into init's
	nsenter -t "$pid" -m sh -c 'mkdir -p "$1/opt/late" && mount --bind "$2" "$1/opt/late"' sh "$root" "$3" ;;
esac
`

// writeCDI lays out a device with a node, files, variables and hooks.
func writeCDI(t *testing.T) {
	t.Helper()
	base := filepath.Join(space, "cdi")
	for _, dir := range []string{base + "/lib", base + "/late", "/run/cdi"} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	write(t, base+"/lib/libgpu.so.1", "library\n")
	write(t, base+"/late/file", "late\n")
	hook := base + "/hook"
	if err := os.WriteFile(hook, []byte(cdiHook), 0o755); err != nil {
		t.Fatal(err)
	}
	type object = map[string]any
	hooked := func(when string, args ...string) object {
		return object{"hookName": when, "path": hook, "args": append([]string{"hook"}, args...)}
	}
	text, err := json.Marshal(object{
		"cdiVersion": "0.3.0",
		"kind":       strings.Split(cdiDevice, "=")[0],
		"devices": []object{{
			"name": strings.Split(cdiDevice, "=")[1],
			"containerEdits": object{
				"env":         []string{"GPU=one"},
				"deviceNodes": []object{{"path": "/dev/gpu0", "type": "c", "major": 1, "minor": 5, "permissions": "rw"}},
				"mounts":      []object{{"hostPath": base + "/lib", "containerPath": "/usr/lib/gpu", "options": []string{"ro", "nosuid", "nodev", "bind"}}},
				"hooks": []object{
					hooked("prestart", "enter", "-", base+"/late"),
					hooked("createContainer", "links"),
					hooked("createContainer", "ldcache"),
					hooked("createContainer", "chmod"),
				},
			},
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	write(t, "/run/cdi/hutch.json", string(text))
	t.Cleanup(func() { os.Remove("/run/cdi/hutch.json") })
}

// cdiLook prints what the device has brought, one line each.
const cdiLook = `echo $GPU; head -c 3 /dev/gpu0 | wc -c; cat /usr/lib/gpu-links/libgpu.so
cat /etc/gpu.cache; stat -c %a /usr/lib/gpu-links; cat /opt/late/file
touch /usr/lib/gpu/x 2>/dev/null || echo read-only`

// cdiWant is what cdiLook prints.
func cdiWant() []string {
	return []string{"one", "3", "library", "libgpu.so.1", "711", "late", "read-only"}
}

// podmanCDI runs a container with a device of a specification.
func podmanCDI(t *testing.T, e *engine) {
	writeCDI(t)
	is(t, e.sh(t, []string{"--device", cdiDevice}, cdiLook), cdiWant()...)
	userns := []string{"--device", cdiDevice, "--uidmap", "0:300000:65536", "--gidmap", "0:300000:65536"}
	is(t, e.sh(t, userns, cdiLook), cdiWant()...)
}

// ctrCDI does it by a containerd that knows of such devices.
func ctrCDI(t *testing.T, e *engine) {
	writeCDI(t)
	is(t, attached(t, e, ctr(e, "cdi", []string{"--rm", "--device", cdiDevice}), cdiLook), cdiWant()...)
}
