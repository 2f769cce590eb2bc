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
	OnRoot     string // what is mounted on "/" in the place of Rootfs: the directory that is bound, or a type; empty for nothing
	OCIVersion string
	Status     string // creating, or, since Dir.SetCreated, created
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
	RootMount uint64
	// RootFile is the directory at Rootfs then, as device:inode; empty is not known.
	RootFile string
	// UserNS and MountNS are the namespaces that init had before it ran anything of the
	// image, as device:inode of their files; empty is not known.
	UserNS, MountNS string
	PrivatePid      bool // the container has a pid namespace of its own
	// Streams are what init's standard descriptors were: a pipe as pipe:[inode], a file or a
	// device as device:inode, empty for others. None is not known.
	Streams []string

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
	Inodes map[string]uint64 // of the directories, by which they are known again; optional
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

// createdMark is the bit in the mode of a container's directory that says that it is
// created. In a directory that only its owner may write the bit has no other meaning, and
// it takes one call in the place of a new record's five.
const createdMark = unix.S_ISVTX

// SetCreated commits that the container is created: what is read from now on has that
// status, whatever Save has written.
func (d *Dir) SetCreated() error {
	if !d.Current() {
		return errDeleted
	}
	if err := unix.Fchmod(d.fd, dirMode|createdMark); err != nil {
		return fmt.Errorf("fchmod %s: %w", d.path, err)
	}
	return nil
}

// DamagedError is the error of a record that cannot be read.
type DamagedError struct {
	Left *Record // the id, the owner and, where that is proven, the process
	err  error
}

func (e *DamagedError) Error() string { return e.err.Error() }

// Save commits r as the container's record. The error is ErrExists for the first one of a
// directory from Root.Create that another create has put its record into.
func (d *Dir) Save(r *Record) error {
	return d.write(recordName, appendRecord(make([]byte, 0, 2048), r))
}

// Record returns the record that was saved last. A container whose create was killed before
// the first one has the status creating, no process, and the time of its directory. The error
// is ErrForeign, wrapped, when another user may have written it, and a *DamagedError when it
// is cut off, of another version or no record at all.
func (d *Dir) Record() (*Record, error) {
	if d.stale {
		if err := trusted(d.st.Dev, d.fd, &d.st); err != nil {
			return nil, fmt.Errorf("state directory %s: %w", d.path, err)
		}
	}
	d.stale = true
	text, err := d.read(recordName)
	if err == unix.ENOENT {
		// What a delete that was killed had taken is the record still.
		text, err = d.read(takenName)
		d.taken = err == nil
	}
	if err != nil && err != unix.ENOENT {
		return nil, err
	}
	rec := &Record{}
	if len(text) == 0 && d.st.Mode&createdMark != 0 && !d.Locked() && d.Current() { // nor is it being deleted
		left := &Record{ID: d.id, Owner: int(d.st.Uid)}
		return nil, &DamagedError{Left: left, err: fmt.Errorf("%s/%s: is empty or missing", d.path, recordName)}
	}
	if len(text) == 0 {
		rec.ID, rec.Status = d.id, "creating"
		rec.Created = time.Unix(d.st.Mtim.Unix()).UTC()
	} else if err := decodeRecord(text, rec); err != nil {
		rec.ID, rec.Owner = d.id, int(d.st.Uid)
		return nil, &DamagedError{Left: rec, err: fmt.Errorf("%s/%s: %w", d.path, recordName, err)}
	}
	if d.st.Mode&createdMark != 0 {
		rec.Status = "created"
	}
	rec.Owner = int(d.st.Uid)
	return rec, nil
}
