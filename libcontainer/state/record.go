package state

import (
	"fmt"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// version is that of the record's form. A change that an older Hutch would read
// wrongly raises it; new members alone do not, since unknown ones are skipped.
const version = 1

// Record is what is known of a container.
type Record struct {
	ID         string
	Bundle     string // absolute path
	Rootfs     string // absolute path
	OCIVersion string
	Status     string // as last committed: creating, created, running, stopped
	Pid        int    // init in the runtime's pid namespace; 0 before there is one
	PidStart   uint64 // init's start time, see package proc
	Created    time.Time

	Annotations map[string]string
	Cgroup      Cgroup
	Rdt         Rdt
	Namespaces  []Namespace
	HasProcess  bool // config.json had a process
	// Process is what exec needs of config.json, as config.Excerpt gives it;
	// empty until the container is created.
	Process string
	// Resources is linux.resources in the same form, with what update changed.
	Resources  string
	OwnKeyring bool // the container has a session keyring of its own
	// Keyring is the keyring's name, which is a secret, and KeyringSerial its
	// serial number; 0 is not known.
	Keyring       string
	KeyringSerial int64
	// RootMount is, for a container in the runtime's mount namespace, the id of
	// the mount that Rootfs was on before the container was made: what lies on
	// top of it at the end is the container's. 0 for others.
	RootMount    uint64
	PrivatePid   bool   // the container has a pid namespace of its own
	ConfigDigest string // of config.json, as the caller defines it; empty is none

	// AfterStart has the texts of what can fail after start, when only start is
	// there to tell.
	AfterStart []Failure
	Hooks      Hooks

	// Owner is the user id that the directory belongs to. It is read from there
	// and not written down.
	Owner int
}

// Cgroup is where the container's processes are.
type Cgroup struct {
	Driver string            // cgroupfs, systemd or disabled; empty is cgroupfs
	Unit   string            // systemd's name for the container, with its driver
	User   bool              // the unit is one of the user's service manager
	Paths  map[string]string // absolute directory for each v1 hierarchy; for "", that of v2
	Own    bool              // Hutch has made them and removes them
}

// Rdt is the container's resource control group.
type Rdt struct {
	Dir     string // absolute; empty for none
	Monitor string // its monitoring group, or empty
	Own     bool   // Dir goes with the container
}

// Namespace is one of the configuration.
type Namespace struct {
	Type string
	Path string // empty for a new one
}

// Failure is an instruction of init's program and the words for its failure.
type Failure struct {
	PC   int
	Text string
}

// Hooks are those that run after create.
type Hooks struct {
	StartContainer, Poststart, Poststop []specs.Hook
}

// Save commits r as the container's record.
func (d *Dir) Save(r *Record) error {
	return d.write(recordName, appendRecord(make([]byte, 0, 2048), r))
}

// Record reads the record. A container whose create was killed before the first
// one has the status creating, no process, and the time of its directory.
func (d *Dir) Record() (*Record, error) {
	var st unix.Stat_t
	if err := unix.Fstat(d.fd, &st); err != nil {
		return nil, fmt.Errorf("fstat %s: %w", d.path, err)
	}
	text, err := d.read(recordName)
	if err != nil && err != unix.ENOENT {
		return nil, err
	}
	r := &Record{}
	// A crash of the host may leave an empty file where the directory is on a
	// disk. Nothing that the record told of has outlived that.
	if len(text) == 0 {
		r.ID, r.Status = d.id, "creating"
		r.Created = time.Unix(st.Mtim.Unix()).UTC()
	} else if err := decodeRecord(text, r); err != nil {
		return nil, fmt.Errorf("%s/%s: %w", d.path, recordName, err)
	}
	r.Owner = int(st.Uid)
	return r, nil
}
