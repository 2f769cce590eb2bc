// Command generate writes the default profiles of Docker, containerd and Podman
// as an OCI runtime gets them on amd64, for a container with Docker's default
// capabilities. It is a module of its own, so that Hutch does not depend on theirs:
//
//	cd internal/part/seccomp/testdata/profiles/generate && go run -tags seccomp . ..
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	containerd "github.com/containerd/containerd/v2/contrib/seccomp"
	docker "github.com/moby/profiles/seccomp"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	podman "go.podman.io/common/pkg/seccomp"
)

func main() {
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
		os.Exit(1)
	}
}

// spec returns a container with Docker's default capabilities.
func spec() *specs.Spec {
	list := []string{"CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FSETID", "CAP_FOWNER", "CAP_MKNOD", "CAP_NET_RAW", "CAP_SETGID", "CAP_SETUID",
		"CAP_SETFCAP", "CAP_SETPCAP", "CAP_NET_BIND_SERVICE", "CAP_SYS_CHROOT", "CAP_KILL", "CAP_AUDIT_WRITE"}
	return &specs.Spec{
		Process: &specs.Process{Capabilities: &specs.LinuxCapabilities{Bounding: list, Effective: list, Permitted: list}},
		Linux:   &specs.Linux{},
	}
}

func run(dir string) error {
	d, err := docker.GetDefaultProfile(spec())
	if err != nil {
		return err
	}
	p, err := podman.GetDefaultProfile(spec())
	if err != nil {
		return err
	}
	for name, profile := range map[string]*specs.LinuxSeccomp{"docker": d, "podman": p, "containerd": containerd.DefaultProfile(spec())} {
		text, err := json.MarshalIndent(profile, "", " ")
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, name+".json"), append(text, '\n'), 0o644); err != nil {
			return err
		}
	}
	return nil
}
