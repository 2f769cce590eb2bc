package features

import (
	"slices"
	"strings"
	"testing"
)

// TestMountOptionsAreThoseOfTheSpecification, and those of crun: engines read the list to
// know what they may write. A row that is taken out of the table of options is missed here.
//
// Source: runtime-spec config.md "Linux mount options".
func TestMountOptionsAreThoseOfTheSpecification(t *testing.T) {
	want := strings.Fields(`async atime bind copy-symlink defaults dest-nofollow dev diratime dirsync exec idmap iversion lazytime loud mand noatime nodev nodiratime
		noexec noiversion nolazytime nomand norelatime nostrictatime nosuid nosymfollow private rasync ratime rbind rdev rdiratime rdirsync relatime remount
		rexec ridmap rmand rnoatime rnodev rnodiratime rnoexec rnomand rnorelatime rnostrictatime rnosuid rnosymfollow ro rprivate rrelatime rro rrw rshared
		rslave rstrictatime rsuid rsymfollow rsync runbindable rw shared silent slave src-nofollow strictatime suid symfollow sync tmpcopyup unbindable`)
	if got := Document("", "").MountOptions; !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

// TestNamespacesAreThoseOfTheSpecification as well, in alphabetical order.
func TestNamespacesAreThoseOfTheSpecification(t *testing.T) {
	want := strings.Fields("cgroup ipc mount network pid time user uts")
	if got := Document("", "").Linux.Namespaces; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestMemoryPolicyIsListed in the order of the specification.
func TestMemoryPolicyIsListed(t *testing.T) {
	want := strings.Fields("MPOL_DEFAULT MPOL_BIND MPOL_INTERLEAVE MPOL_WEIGHTED_INTERLEAVE MPOL_PREFERRED MPOL_PREFERRED_MANY MPOL_LOCAL")
	if got := Document("", "").Linux.MemoryPolicy.Modes; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestUnsafeAnnotationsAreListed: engines take them out of what users write.
//
// Source: runtime-spec features.md "Unsafe annotations in config.json".
func TestUnsafeAnnotationsAreListed(t *testing.T) {
	want := strings.Fields("org.systemd.property. run.oci.systemd.subgroup run.oci.delegate-cgroup run.oci.hooks.stderr run.oci.hooks.stdout run.oci.keep_original_groups run.oci.mount_context_type run.oci.pidfd_receiver run.oci.seccomp.receiver run.oci.seccomp_bpf_data run.oci.seccomp_fail_unknown_syscall org.criu.config")
	if got := Document("", "").PotentiallyUnsafeConfigAnnotations; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
