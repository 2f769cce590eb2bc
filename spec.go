package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/cli"
	"github.com/hutch-project/hutch/internal/life"
	"github.com/hutch-project/hutch/internal/outfile"
)

var specCommand = cli.Command{
	Name:  "spec",
	Usage: "write a default config.json",
	Flags: []cli.Flag{
		{Name: "bundle", Alias: "b", Word: cli.Dir, Usage: "`DIR` to write it to (default: the working directory)"},
		{Name: "file", Alias: "f", Default: "config.json", Word: cli.File, Usage: "`PATH` of it; a relative one is from the bundle"},
		{Name: "rootless", Kind: cli.Bool, Usage: "write one for a caller without privileges"},
	},
	Help: "Writes config.json with a shell as process; one that is there already is not replaced.",
	Examples: []cli.Example{
		{Line: "hutch spec --bundle bundle", Does: "write bundle/config.json"},
		{Line: "hutch spec --rootless -b bundle", Does: "one that needs no root"},
	},
	Do: writeSpec,
}

func writeSpec(l *cli.Line) error {
	text, err := json.MarshalIndent(life.DefaultSpec(l.Bool("rootless")), "", "\t")
	if err != nil {
		return err
	}
	path := l.String("file")
	if !filepath.IsAbs(path) {
		path = filepath.Join(l.String("bundle"), path)
	}
	return writeNew(path, append(text, '\n'))
}

// writeNew writes a file that is not there yet. No symbolic link of another user leads to it.
func writeNew(path string, text []byte) error {
	fd, err := outfile.Open(path, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL, 0o666)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("file %s exists. Remove it first", path)
	}
	if err != nil {
		return err
	}
	f := os.NewFile(uintptr(fd), path)
	defer f.Close()
	_, err = f.Write(text)
	return err
}
