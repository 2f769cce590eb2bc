package life

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/host/criu"
	"github.com/hutch-project/hutch/internal/outfile"
	"github.com/hutch-project/hutch/internal/trust"
)

// Files of the runtime beside CRIU's images.
const (
	// outsideName has what the images know by a key alone.
	outsideName = "hutch.json"
	// streamsName has the standard streams, as runc writes them.
	streamsName = "descriptors.json"
)

// outside is what of a container is not in its images, since it belongs to the host or to
// others: a restore puts its own in the place of each key.
type outside struct {
	Mounts     []outsideMount     `json:"mounts,omitempty"`
	Namespaces []outsideNamespace `json:"namespaces,omitempty"`
	// Streams are CRIU's keys for the standard streams. Empty is one that it opens again by
	// itself.
	Streams [3]string `json:"streams"`

	keys int // that have been given out
}

// outsideMount is one of the mounts of the container.
type outsideMount struct {
	Key  string `json:"key"`
	Path string `json:"path"` // where it is in the container, without symbolic links
	// Options are those that it had, as a mountinfo file has them.
	Options string `json:"options"`
}

// outsideNamespace is a namespace that the container has joined.
type outsideNamespace struct {
	Key  string `json:"key"`
	Type string `json:"type"` // as in linux.namespaces
}

func (o *outside) key() string {
	o.keys++
	return criu.Key(o.keys - 1)
}

// save writes what a restore reads to the directory at the descriptor dir, which is at path.
func (o *outside) save(dir int, path string) error {
	for _, file := range []struct {
		name    string
		content any
	}{{outsideName, o}, {streamsName, o.Streams}} {
		text, err := json.Marshal(file.content)
		if err == nil {
			err = ofPath(outfile.Replace(inDir(dir, file.name), text), filepath.Join(path, file.name))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// readOutside reads what a checkpoint has written. Its keys are held to what they are given
// out as: they become a part of what CRIU is told.
func readOutside(fd int, dir string) (*outside, error) {
	text, err := readImage(fd, outsideName)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("--image-path: %s has no %s: it is no checkpoint of hutch's, or only a --pre-dump", dir, outsideName)
	}
	if err != nil {
		return nil, fmt.Errorf("--image-path: %s/%s: %w", dir, outsideName, err)
	}
	out := &outside{}
	if err := json.Unmarshal(text, out); err != nil {
		return nil, fmt.Errorf("%s/%s: %w", dir, outsideName, err)
	}
	var keys []string
	for _, m := range out.Mounts {
		keys = append(keys, m.Key)
	}
	for _, n := range out.Namespaces {
		keys = append(keys, n.Key)
	}
	for _, key := range keys {
		if _, ok := criu.KeyNumber(key); !ok {
			return nil, fmt.Errorf("%s/%s: %q is no key", dir, outsideName, key)
		}
	}
	for _, s := range out.Streams {
		if s != "" && !criu.IsStream(s) {
			return nil, fmt.Errorf("%s/%s: %q is no stream", dir, outsideName, s)
		}
	}
	return out, nil
}

// passOn makes a directory of images one that a restore into a user namespace can read, by a
// group. CRIU's processes there open images as root of the host, as long as the namespace has no
// mappings, and as its own root afterwards: one of the two owns the directory, and the group is the
// other's. Who else could is not let in.
//
// Source: CRIU, criu/cr-restore.c: restore_task_with_children opens the time namespace's image
// beside prepare_userns, which writes the mappings.
func passOn(fd int, path string, uid, gid int) error {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return fmt.Errorf("fstat %s: %w", path, err)
	}
	const readable = 0o055
	if uid == 0 || st.Mode&readable == readable {
		return nil
	}
	if int(st.Uid) == uid {
		gid = 0
	}
	if err := unix.Fchown(fd, -1, gid); err != nil {
		return fmt.Errorf("have the container's root read the images: chown :%d %s: %w", gid, path, err)
	}
	if err := unix.Fchmod(fd, st.Mode&0o7777|readable&0o070); err != nil {
		return fmt.Errorf("have the container's root read the images: chmod g+rx %s: %w", path, err)
	}
	return nil
}

// openDir opens a directory of images or logs, which is made where it is missing. What is
// in images is the memory of the container's processes: nobody else may read it. No symbolic
// link of another user leads there.
func openDir(path string, make bool) (int, error) {
	if make {
		return outfile.MakeDir(path, unix.O_RDONLY)
	}
	return outfile.Open(path, unix.O_RDONLY|unix.O_DIRECTORY, 0)
}

// openFormer opens the former images of a chain, the path of which is from the directory of
// images at the descriptor dir. CRIU opens them itself, by that path: so nobody else may put
// another directory there, unless it is in that of the images.
func openFormer(dir int, path string) (int, error) {
	from := path
	if !filepath.IsAbs(path) {
		from = inDir(dir, path)
	}
	fd, err := openDir(from, false)
	if err != nil {
		return -1, ofPath(err, path)
	}
	if isIn(fd, dir) {
		return fd, nil
	}
	if err := trust.Above(fd, 0); err != nil {
		unix.Close(fd)
		return -1, fmt.Errorf("%w, and have CRIU do anything as root; move the images", err)
	}
	return fd, nil
}

// isIn reports whether the directory fd is in the directory dir itself.
func isIn(fd, dir int) bool {
	var above, in unix.Stat_t
	return unix.Fstatat(fd, "..", &above, 0) == nil && unix.Fstat(dir, &in) == nil && above.Dev == in.Dev && above.Ino == in.Ino
}

// inDir returns a path of what is in the directory at a descriptor.
func inDir(dir int, name string) string { return fmt.Sprintf("/proc/self/fd/%d/%s", dir, name) }

// ofPath has the error err name the path, by which the caller knows the file.
func ofPath(err error, path string) error {
	var of *os.PathError
	if errors.As(err, &of) {
		of.Path = path
	}
	return err
}
