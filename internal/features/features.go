// Package features has the document that tells engines what this build can do.
//
// Source: runtime-spec features.md, features-linux.md.
package features

import (
	"sort"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/opencontainers/runtime-spec/specs-go/features"
)

// Known are the names that other packages know.
type Known struct {
	Capabilities                             []string
	Actions, Operators, Architectures, Flags []string // of seccomp
}

// Document is what the runtime can do, whatever the host can.
func Document(version, commit string, k *Known) *features.Features {
	yes := true
	return &features.Features{
		OCIVersionMin: "1.0.0",
		OCIVersionMax: specs.Version,
		Hooks:         []string{"prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"},
		MountOptions:  mountOptions(),
		Linux: &features.Linux{
			Namespaces:   []string{"cgroup", "ipc", "mount", "network", "pid", "time", "user", "uts"},
			Capabilities: k.Capabilities,
			Cgroup:       &features.Cgroup{V1: &yes, V2: &yes, Systemd: &yes, SystemdUser: &yes, Rdma: &yes},
			Seccomp: &features.Seccomp{
				Enabled: &yes, Actions: k.Actions, Operators: k.Operators, Archs: k.Architectures, KnownFlags: k.Flags, SupportedFlags: k.Flags,
			},
			Apparmor: &features.Apparmor{Enabled: &yes},
			Selinux:  &features.Selinux{Enabled: &yes},
			IntelRdt: &features.IntelRdt{Enabled: &yes, Schemata: &yes, Monitoring: &yes},
			MemoryPolicy: &features.MemoryPolicy{
				Modes: []string{
					string(specs.MpolDefault), string(specs.MpolBind), string(specs.MpolInterleave), string(specs.MpolWeightedInterleave),
					string(specs.MpolPreferred), string(specs.MpolPreferredMany), string(specs.MpolLocal),
				},
				Flags: []string{string(specs.MpolFNumaBalancing), string(specs.MpolFRelativeNodes), string(specs.MpolFStaticNodes)},
			},
			MountExtensions: &features.MountExtensions{IDMap: &features.IDMap{Enabled: &yes}},
			NetDevices:      &features.NetDevices{Enabled: &yes},
		},
		Annotations: map[string]string{"hutch.version": version, "hutch.commit": commit},
	}
}

// mountOptions are those that are no data for a file system.
//
// Source: runtime-spec config.md "Linux mount options".
func mountOptions() []string {
	const plain = "async bind defaults dirsync idmap iversion lazytime loud mand noiversion nolazytime nomand rbind remount ridmap silent sync tmpcopyup " +
		"private rprivate rshared rslave runbindable shared slave unbindable"
	const pairs = "atime dev diratime exec noatime nodev nodiratime noexec norelatime nostrictatime nosuid nosymfollow relatime ro rw strictatime suid symfollow"
	out := strings.Fields(plain)
	for o := range strings.FieldsSeq(pairs) {
		out = append(out, o, "r"+o)
	}
	sort.Strings(out)
	return out
}
