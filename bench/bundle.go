package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// Bundles, by name: the default container with a program that ends at once, and
// with one that waits; and one as Docker writes it.
const (
	plain  = "plain"
	waits  = "waits"
	docker = "docker"
)

// bundles lays them out. The programs are busybox's, which is static.
func (b *bench) bundles() error {
	text, err := os.ReadFile("internal/part/seccomp/testdata/profiles/docker.json")
	if err != nil {
		return fmt.Errorf("%w: run bench in the project's top folder", err)
	}
	profile := &specs.LinuxSeccomp{}
	if err := json.Unmarshal(text, profile); err != nil {
		return err
	}
	for name, change := range map[string]func(*specs.Spec){
		plain:  func(*specs.Spec) {},
		waits:  func(s *specs.Spec) { s.Process.Args = []string{"/bin/sleep", "1000"} },
		docker: func(s *specs.Spec) { likeDocker(s, profile) },
	} {
		dir := b.bundle(name)
		for _, d := range []string{"bin", "proc", "dev", "sys", "etc", "tmp", "data"} {
			if err := os.MkdirAll(filepath.Join(dir, "rootfs", d), 0o755); err != nil {
				return err
			}
		}
		for _, f := range []string{"hosts", "hostname", "resolv.conf"} {
			if err := os.WriteFile(filepath.Join(dir, "rootfs/etc", f), nil, 0o644); err != nil {
				return err
			}
		}
		if err := copyFile("/bin/busybox", filepath.Join(dir, "rootfs/bin/sleep"), 0o755); err != nil {
			return fmt.Errorf("%w: install busybox-static (tests/install)", err)
		}
		if err := os.Link(filepath.Join(dir, "rootfs/bin/sleep"), filepath.Join(dir, "rootfs/bin/true")); err != nil {
			return err
		}
		s, err := b.defaultSpec(dir)
		if err != nil {
			return err
		}
		s.Version = "1.0.2" // which all know
		s.Process.Terminal = false
		s.Process.Args = []string{"/bin/true"}
		change(s)
		text, err := json.Marshal(s)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, "config.json"), text, 0o644); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) bundle(name string) string { return filepath.Join(b.dir, "bundle-"+name) }

// defaultSpec is what the command spec writes.
func (b *bench) defaultSpec(dir string) (*specs.Spec, error) {
	if out, err := exec.Command(b.subjects[0].prefix[0], "spec", "--bundle", dir).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("hutch spec: %w: %s", err, out)
	}
	text, err := os.ReadFile(filepath.Join(dir, "config.json"))
	if err != nil {
		return nil, err
	}
	s := &specs.Spec{}
	return s, json.Unmarshal(text, s)
}

// likeDocker makes s what Docker asks for: a filter of some hundred names, masks,
// thirty mounts, capabilities.
func likeDocker(s *specs.Spec, profile *specs.LinuxSeccomp) {
	s.Linux.Seccomp = profile
	for i := len(s.Mounts); i < 30; i++ {
		dest := fmt.Sprintf("/data/%d", i)
		s.Mounts = append(s.Mounts, specs.Mount{Destination: dest, Type: "tmpfs", Source: "tmpfs", Options: []string{"nosuid", "nodev", "size=64k"}})
	}
	s.Process.Capabilities = &specs.LinuxCapabilities{}
	for _, set := range []*[]string{&s.Process.Capabilities.Bounding, &s.Process.Capabilities.Effective, &s.Process.Capabilities.Permitted} {
		*set = []string{"CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FSETID", "CAP_FOWNER", "CAP_MKNOD", "CAP_NET_RAW", "CAP_SETGID", "CAP_SETUID",
			"CAP_SETFCAP", "CAP_SETPCAP", "CAP_NET_BIND_SERVICE", "CAP_SYS_CHROOT", "CAP_KILL", "CAP_AUDIT_WRITE"}
	}
}
