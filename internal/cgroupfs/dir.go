package cgroupfs

import "golang.org/x/sys/unix"

// Dir is a container's directory in one hierarchy.
type Dir struct {
	FD   int    // of a directory above it, or AT_FDCWD; not the Dir's to close
	Path string // from FD
	Abs  string // for errors, and for what is above it
}

// At returns the Dir of an absolute path.
func At(abs string) Dir { return Dir{unix.AT_FDCWD, abs, abs} }

// Find returns a container's directory in the hierarchy of a controller; ok is false
// when that is in none.
type Find func(controller string) (dir Dir, ok bool)

// Read returns the content of a file of the directory.
func (d Dir) Read(file string) (string, error) { return ReadFile(d.FD, d.Path+"/"+file) }

// ReadLine returns the line of a file of the directory, as the function ReadLine does.
func (d Dir) ReadLine(file string) (string, error) { return ReadLine(d.FD, d.Path+"/"+file) }

// Open opens a file of the directory for writing. The errors of its writes name the
// file alone.
func (d Dir) Open(file string) (*File, error) {
	f, err := OpenFile(d.FD, d.Path+"/"+file)
	if err == nil {
		f.path = file
	}
	return f, err
}

// Write writes text to a file of the directory, in one call.
func (d Dir) Write(file, text string) error {
	f, err := d.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Write(text)
}
