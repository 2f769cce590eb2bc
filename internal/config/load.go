package config

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// FileName is the name of the configuration in a bundle.
//
// Source: runtime-spec bundle.md.
const FileName = "config.json"

// Load reads and decodes the configuration name of the bundle dir. An empty dir
// is the working directory and an empty name is config.json; an absolute name
// stands for itself. It also returns the file's bytes, those of an undecodable one, too.
//
// A file that cannot be opened gives an *fs.PathError, so that errors.Is with
// fs.ErrNotExist or an errno works. Errors of the text wrap an *Error.
func Load(dir, name string) (*specs.Spec, []byte, error) {
	if name == "" {
		name = FileName
	}
	path := name
	if dir != "" && !strings.HasPrefix(name, "/") {
		path = strings.TrimRight(dir, "/") + "/" + name
	}
	data, err := read(path)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR) {
		if dir == "" {
			dir = "the working directory"
		}
		return nil, nil, fmt.Errorf("%w; %s is no bundle: name the directory that has a %s with --bundle, or write one with the command spec",
			err, dir, name)
	}
	if err != nil {
		return nil, nil, err
	}
	s, err := Decode(data)
	if err != nil {
		return nil, data, fmt.Errorf("%s: %w", name, err)
	}
	return s, data, nil
}
