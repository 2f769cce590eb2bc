package criu

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/trust"
)

// Program is the CRIU of the host.
type Program struct {
	Path    string // absolute, without symbolic links
	Version Version
	path    string // the PATH that it finds its own helpers by, as tar and iptables-restore
}

var (
	// ErrMissing is returned when the host has no CRIU that may be run.
	ErrMissing = errors.New("criu is not installed")
	// ErrUntrusted is returned, beside ErrMissing, when what it has others could replace.
	ErrUntrusted = errors.New("where it may be run as root")
)

// usualDirs are looked in behind the caller's PATH: services often have no sbin in theirs.
const usualDirs = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// Find returns the CRIU that the directories of path, the caller's own PATH, lead to. It
// will run as root on the host. So a directory, or a file, that somebody else than root and
// the caller may write is passed over, and so is a relative one.
func Find(path string) (*Program, error) {
	dirs, why := trustedDirs(path + ":" + usualDirs)
	for _, dir := range dirs {
		at := dir + "/criu"
		real, err := filepath.EvalSymlinks(at)
		if errors.Is(err, fs.ErrNotExist) && !exists(at) {
			continue
		}
		if err == nil {
			err = trustedFile(real)
		}
		if err == nil {
			return &Program{Path: real, path: strings.Join(dirs, ":")}, nil
		}
		why = append(why, err.Error())
	}
	if len(why) > 0 {
		return nil, fmt.Errorf("%w %w: %s", ErrMissing, ErrUntrusted, strings.Join(why, "; "))
	}
	return nil, fmt.Errorf("%w in a directory of PATH that is root's alone (%s); install the package criu",
		ErrMissing, strings.Join(dirs, ", "))
}

// exists reports whether there is a file at path, be it a link that leads nowhere.
func exists(path string) bool {
	var st unix.Stat_t
	return unix.Lstat(path, &st) == nil
}

// trustedDirs returns the directories of a PATH that nobody else may write, each once and without
// symbolic links, which others may have lead elsewhere later, and why a criu in another one is not
// run.
func trustedDirs(path string) (dirs, why []string) {
	seen := map[string]bool{}
	for _, dir := range filepath.SplitList(path) {
		if !filepath.IsAbs(dir) {
			continue
		}
		real, err := filepath.EvalSymlinks(dir)
		if err == nil {
			if seen[real] {
				continue
			}
			seen[real] = true
			err = trustedWay(real)
		}
		if err == nil {
			dirs = append(dirs, real)
		} else if exists(dir + "/criu") {
			why = append(why, fmt.Sprintf("%s/criu: %v", dir, err))
		}
	}
	return dirs, why
}

// trustedFile returns an error unless path, which has no symbolic links, is a program that
// nobody else may change or replace.
func trustedFile(path string) error {
	if err := trustedWay(path); err != nil {
		return err
	}
	if err := regular(path); err != nil {
		return err
	}
	if unix.Access(path, unix.X_OK) != nil {
		return fmt.Errorf("%s is not executable", path)
	}
	return nil
}

// regular returns an error unless path, which has no symbolic links, is a regular file.
func regular(path string) error {
	st, err := os.Lstat(path)
	if err == nil && !st.Mode().IsRegular() {
		err = fmt.Errorf("%s is no regular file", path)
	}
	return err
}

// Programs, and directories that they are looked for in, are anybody's who may write there.
// A file of settings in a sticky directory stays where it is.
var (
	programRule  = trust.Rule{Groups: []int{0}}
	settingsRule = trust.Rule{Groups: []int{0}, Sticky: true}
)

// trustedWay returns an error unless path and all directories above it are root's or the
// caller's, and nobody else's to write.
func trustedWay(path string) error { return upwards(path, programRule) }

// upwards returns an error unless the rule trusts path and all directories above it.
func upwards(path string, rule trust.Rule) error {
	for ; ; path = filepath.Dir(path) {
		if err := trusted(path, rule); err != nil || path == "/" {
			return err
		}
	}
}

// trusted returns an error unless the rule trusts path.
func trusted(path string, rule trust.Rule) error {
	var st unix.Stat_t
	if err := trust.Lstat(path, &st); err != nil {
		return &fs.PathError{Op: "lstat", Path: path, Err: err}
	}
	switch rule.Of(&st) {
	case trust.Foreign:
		return fmt.Errorf("%s belongs to user %d", path, st.Uid)
	case trust.Writable:
		return fmt.Errorf("%s may be written by others (mode %04o); chmod go-w it", path, st.Mode&0o7777)
	}
	return nil
}

// TrustedConfig returns the path without symbolic links, which others may have lead elsewhere
// later, of the file of settings, by which CRIU runs programs. It is an error unless nobody but
// root and the caller can change the file. One that is missing is CRIU's to tell, where nobody
// else can make it.
func TrustedConfig(path string) (string, error) {
	if !filepath.IsAbs(path) {
		return "", fmt.Errorf("%q is no absolute path", path)
	}
	real, err := filepath.EvalSymlinks(path)
	if errors.Is(err, fs.ErrNotExist) {
		return missing(path)
	}
	if err != nil {
		return "", err
	}
	if err := regular(real); err != nil {
		return "", err
	}
	return real, upwards(real, settingsRule)
}

// missing returns the path of a file that is missing without symbolic links. It is an error where
// somebody else can make the file, or what is missing above it.
func missing(path string) (string, error) {
	rest := ""
	for {
		if exists(path) {
			return "", fmt.Errorf("%s is a symbolic link that leads nowhere", path)
		}
		rest, path = filepath.Join(filepath.Base(path), rest), filepath.Dir(path)
		dir, err := filepath.EvalSymlinks(path)
		if err == nil {
			return filepath.Join(dir, rest), errors.Join(trusted(dir, programRule), upwards(dir, settingsRule))
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
	}
}

// Probe asks CRIU for its version, and returns an error when it is older than Floor.
func (p *Program) Probe() error {
	w, err := p.Start(&StartOptions{Stdio: [3]int{-1, -1, -1}})
	if err != nil {
		return err
	}
	defer w.Close()
	r, err := w.ask(encodeRequest(version, nil), version)
	if err != nil {
		return fmt.Errorf("ask %s for its version: %w", p.Path, err)
	}
	p.Version = r.version
	return p.Need("hutch", Floor)
}

// Require returns an error that names the features of f which CRIU or the kernel lacks.
func (p *Program) Require(f Features) error {
	w, err := p.Start(&StartOptions{Stdio: [3]int{-1, -1, -1}})
	if err != nil {
		return err
	}
	defer w.Close()
	r, err := w.ask(encodeFeatures(f), features)
	if err != nil {
		return fmt.Errorf("ask %s for its features: %w", p.Path, err)
	}
	var missing []string
	if f.MemoryTracking && !r.feats.MemoryTracking {
		missing = append(missing, "tracking of memory that changes, which --pre-dump and --parent-path need (Linux's CONFIG_MEM_SOFT_DIRTY)")
	}
	if f.LazyPages && !r.feats.LazyPages {
		missing = append(missing, "lazy pages (userfaultfd with its events, Linux's CONFIG_USERFAULTFD)")
	}
	if len(missing) > 0 {
		return fmt.Errorf("CRIU %s on this kernel has no %s", p.Version, strings.Join(missing, ", and no "))
	}
	return nil
}
