// Package features has the document by which engines learn what this build can do. What it
// lists is read from the tables of those who check and emit it.
//
// Source: runtime-spec features.md, features-linux.md.
package features

import (
	"slices"

	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/opencontainers/runtime-spec/specs-go/features"

	"github.com/hutch-project/hutch/internal/enum"
	"github.com/hutch-project/hutch/internal/host/cgroup"
	"github.com/hutch-project/hutch/internal/host/hook"
	"github.com/hutch-project/hutch/internal/host/systemd"
	"github.com/hutch-project/hutch/internal/part/namespace"
	"github.com/hutch-project/hutch/internal/part/rootfs"
	"github.com/hutch-project/hutch/internal/part/seccomp"
	"github.com/hutch-project/hutch/internal/part/user"
)

// Annotations that no part is about.
const (
	PidfdReceiver = "run.oci.pidfd_receiver"
	CRIUConfig    = "org.criu.config" // names a configuration file for CRIU
)

// Document returns what the runtime can do, whatever the host can.
func Document(version, commit string) *features.Features {
	yes := true
	return &features.Features{
		OCIVersionMin: "1.0.0",
		OCIVersionMax: specs.Version,
		Hooks:         []string{"prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"},
		MountOptions:  rootfs.MountOptions(),
		Linux: &features.Linux{
			Namespaces:   slices.Sorted(slices.Values(namespace.Types.Names())),
			Capabilities: enum.Capabilities.Names(),
			Cgroup:       &features.Cgroup{V1: &yes, V2: &yes, Systemd: &yes, SystemdUser: &yes, Rdma: &yes},
			Seccomp: &features.Seccomp{
				Enabled: &yes, Actions: seccomp.Actions(), Operators: seccomp.Operators(), Archs: seccomp.Architectures(),
				KnownFlags: seccomp.Flags(), SupportedFlags: seccomp.Flags(),
			},
			Apparmor:        &features.Apparmor{Enabled: &yes},
			Selinux:         &features.Selinux{Enabled: &yes},
			IntelRdt:        &features.IntelRdt{Enabled: &yes, Schemata: &yes, Monitoring: &yes},
			MemoryPolicy:    &features.MemoryPolicy{Modes: enum.MemoryModes.Names(), Flags: enum.MemoryFlags.Names()},
			MountExtensions: &features.MountExtensions{IDMap: &features.IDMap{Enabled: &yes}},
			NetDevices:      &features.NetDevices{Enabled: &yes},
		},
		// Those that change what the runtime does, a prefix with its dot.
		PotentiallyUnsafeConfigAnnotations: []string{
			systemd.AnnotationPrefix, systemd.SubgroupAnnotation, cgroup.DelegateAnnotation,
			hook.StderrAnnotation, hook.StdoutAnnotation, user.KeepGroups, rootfs.ContextType,
			PidfdReceiver, seccomp.ReceiverAnnotation, seccomp.RawAnnotation, seccomp.FailUnknownAnnotation, CRIUConfig,
		},

		Annotations: map[string]string{
			"hutch.version": version, "hutch.commit": commit,
			// By runc's name, which engines ask for: the commands are there. Whether the host
			// has a CRIU for them is another question.
			"org.opencontainers.runc.checkpoint.enabled": "true",
		},
	}
}
