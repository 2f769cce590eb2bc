package hook

import (
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/outfile"
)

// The annotations that name the files for what hooks write.
//
// Source: crun(1), "run.oci.hooks.stdout", "run.oci.hooks.stderr".
const (
	StdoutAnnotation = "run.oci.hooks.stdout"
	StderrAnnotation = "run.oci.hooks.stderr"
)

// Output names the files that the output of hooks is appended to. Of a stream without one
// an error shows the end.
type Output struct {
	Stdout, Stderr string // paths, absolute; empty for none
}

// OutputOf returns the files that annotations name. A relative path is taken from the
// bundle's directory dir, as the paths of config.json are.
func OutputOf(annotations map[string]string, dir string) Output {
	file := func(name string) string {
		path := annotations[name]
		if path == "" || filepath.IsAbs(path) {
			return path
		}
		return filepath.Join(dir, path)
	}
	return Output{file(StdoutAnnotation), file(StderrAnnotation)}
}

// files returns what a hook has as its standard output and error, which is pipe where no
// file is named, and what closes those that were opened.
func (o *Output) files(pipe *os.File) (stdout, stderr *os.File, done func(), err error) {
	stdout, stderr = pipe, pipe
	var opened []*os.File
	done = func() {
		for _, f := range opened {
			f.Close()
		}
	}
	for _, s := range [...]struct {
		name, path string
		file       **os.File
	}{{StdoutAnnotation, o.Stdout, &stdout}, {StderrAnnotation, o.Stderr, &stderr}} {
		if s.path == "" {
			continue
		}
		f, err := appendTo(s.name, s.path)
		if err != nil {
			done()
			return nil, nil, nil, err
		}
		opened = append(opened, f)
		*s.file = f
	}
	return stdout, stderr, done, nil
}

// appendTo opens the file that the annotation name names. It may lie in the bundle, which
// another user may have unpacked: no link of theirs is followed.
func appendTo(name, path string) (*os.File, error) {
	const flags = unix.O_WRONLY | unix.O_APPEND | unix.O_CREAT | unix.O_CLOEXEC | unix.O_NOCTTY | unix.O_NONBLOCK
	fd, err := outfile.Open(path, flags, 0o600)
	if err == nil {
		err = unix.SetNonblock(fd, false) // a fifo that nobody reads was refused
	}
	if err != nil {
		return nil, fmt.Errorf("annotations[%s]: %w; name a file that can be written", name, err)
	}
	return os.NewFile(uintptr(fd), path), nil
}

// where returns in which files the output of a hook that has failed is to be found.
func (o *Output) where() string {
	switch {
	case o.Stdout == "" && o.Stderr == "":
		return ""
	case o.Stderr == "" || o.Stderr == o.Stdout:
		return " (its output is in " + o.Stdout + ")"
	case o.Stdout == "":
		return " (what it says is in " + o.Stderr + ")"
	}
	return " (its output is in " + o.Stdout + " and " + o.Stderr + ")"
}

// Writer appends what somebody else has read of the output of hooks.
type Writer struct {
	o     Output
	files [2]*os.File
}

// NewWriter returns a writer to the files of o, which are opened when there is something
// to write.
func NewWriter(o Output) *Writer { return &Writer{o: o} }

// Stdout appends to the file for the standard output.
func (w *Writer) Stdout(p []byte) error { return w.write(0, StdoutAnnotation, w.o.Stdout, p) }

// Stderr appends to the file for the standard error.
func (w *Writer) Stderr(p []byte) error { return w.write(1, StderrAnnotation, w.o.Stderr, p) }

func (w *Writer) write(i int, name, path string, p []byte) error {
	if path == "" {
		return nil
	}
	if w.files[i] == nil {
		f, err := appendTo(name, path)
		if err != nil {
			return err
		}
		w.files[i] = f
	}
	if _, err := w.files[i].Write(p); err != nil {
		return fmt.Errorf("annotations[%s]: %w", name, err)
	}
	return nil
}

// Close closes the files.
func (w *Writer) Close() {
	for i, f := range w.files {
		if f != nil {
			f.Close()
			w.files[i] = nil
		}
	}
}
