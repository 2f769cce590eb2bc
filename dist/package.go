package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// levels are the oldest processors that each architecture's binary is for, by name, so
// that the environment of whoever builds does not choose.
var levels = [...]string{
	"GOAMD64=v1", "GO386=sse2", "GOARM=7", "GOARM64=v8.0", "GORISCV64=rva20u64", "GOPPC64=power8",
}

// packagers are nfpm's kinds of packages, with what they call the architectures.
var packagers = [...]struct {
	name string
	arch map[string]string
}{
	{"deb", map[string]string{"amd64": "amd64", "arm64": "arm64", "arm": "armhf", "386": "i386",
		"riscv64": "riscv64", "ppc64le": "ppc64el", "s390x": "s390x", "loong64": "loong64"}},
	{"rpm", map[string]string{"amd64": "x86_64", "arm64": "aarch64", "arm": "armv7hl", "386": "i686",
		"riscv64": "riscv64", "ppc64le": "ppc64le", "s390x": "s390x", "loong64": "loongarch64"}},
}

// build builds the binary, and installs it with all that belongs to it below stage.
func (r release) build(binary, stage string) error {
	command := exec.Command("make", "--no-print-directory", "build", "install",
		"BINARY="+binary, "DESTDIR="+stage, "PREFIX=/usr", "COMMIT="+r.commit, "GO="+r.goTool)
	command.Env = append(append(os.Environ(), "GOOS=linux", "GOARCH="+r.arch), levels[:]...)
	if out, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("make build install: %w\n%s", err, out)
	}
	return nil
}

// packages makes the deb and the rpm of what is below stage. The pages of the manual are
// compressed there, as distributions have them.
func (r release) packages(stage string) error {
	if err := compressManual(stage); err != nil {
		return err
	}
	if err := settle(stage, r.epoch); err != nil {
		return err
	}
	for _, p := range packagers {
		arch, ok := p.arch[r.arch]
		if !ok {
			return fmt.Errorf("no name of the architecture for %s", p.name)
		}
		command := exec.Command(r.nfpm, "package", "--config", "dist/nfpm.yaml", "--packager", p.name, "--target", r.out)
		command.Env = append(os.Environ(), "ARCH="+arch, "VERSION="+r.version, "STAGE="+stage,
			"SOURCE_DATE_EPOCH="+strconv.FormatInt(r.epoch, 10))
		if out, err := command.CombinedOutput(); err != nil {
			return fmt.Errorf("nfpm %s: %w\n%s", p.name, err, out)
		}
	}
	return nil
}

func compressManual(stage string) error {
	pages, err := filepath.Glob(stage + "/usr/share/man/man8/*.8")
	if err != nil || len(pages) == 0 {
		return fmt.Errorf("no pages of the manual: %w", err)
	}
	for _, page := range pages {
		content, err := os.ReadFile(page)
		if err != nil {
			return err
		}
		packed, err := compressed(content)
		if err != nil {
			return err
		}
		if err := os.WriteFile(page+".gz", packed, 0o644); err != nil {
			return err
		}
		if err := os.Remove(page); err != nil {
			return err
		}
	}
	return nil
}

// settle puts the release's time on all that is staged, and the modes that files have
// everywhere: who builds has a umask.
func settle(stage string, epoch int64) error {
	at := time.Unix(epoch, 0)
	return filepath.WalkDir(stage, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		mode := fs.FileMode(0o644)
		switch {
		case !d.IsDir() && !info.Mode().IsRegular():
			return fmt.Errorf("%s is no plain file", path)
		case info.Mode().Perm()&0o100 != 0:
			mode = 0o755
		}
		if err := os.Chmod(path, mode); err != nil {
			return err
		}
		return os.Chtimes(path, at, at)
	})
}

// archive writes what is settled below dir to a compressed archive, below a folder of the given
// name, in the order of names, as root's, with one time.
func archive(file, dir, name string, epoch int64) error {
	var packed bytes.Buffer
	w := tar.NewWriter(&packed)
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		header := &tar.Header{
			Name: name + strings.TrimPrefix(path, dir), Mode: 0o755, Uname: "root", Gname: "root",
			ModTime: time.Unix(epoch, 0), Format: tar.FormatUSTAR, Typeflag: tar.TypeDir,
		}
		if d.IsDir() {
			header.Name += "/"
			return w.WriteHeader(header)
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		header.Typeflag, header.Mode, header.Size = tar.TypeReg, int64(info.Mode().Perm()), int64(len(content))
		if err := w.WriteHeader(header); err != nil {
			return err
		}
		_, err = w.Write(content)
		return err
	})
	if err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	content, err := compressed(packed.Bytes())
	if err != nil {
		return err
	}
	return os.WriteFile(file, content, 0o644)
}

// compressed is gzip -9n.
func compressed(content []byte) ([]byte, error) {
	var packed bytes.Buffer
	w, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(content); err != nil {
		return nil, err
	}
	err = w.Close()
	return packed.Bytes(), err
}
