package life

import (
	"errors"
	"fmt"
	"path/filepath"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/hutch-project/hutch/internal/config"
	"github.com/hutch-project/hutch/internal/host/cgroup"
	"github.com/hutch-project/hutch/internal/host/systemd"
	"github.com/hutch-project/hutch/internal/part/rootfs"
	"github.com/hutch-project/hutch/internal/validate"
)

// Examination is a bundle as Create would take it, and all that it would refuse in the
// configuration, not the first thing alone.
type Examination struct {
	Dir      string          // of the bundle, absolute
	File     string          // path of the configuration
	Text     []byte          // of the configuration
	Spec     *specs.Spec     // adapted to the caller
	Rootfs   string          // absolute; empty where root.path is
	Wrong    []*config.Error // values of another kind than their properties, which are left out of Spec
	Faults   []error         // what Create refuses else
	Warnings []string        // what it tolerates, each with the element first
	Manager  CgroupManager
	Bus      systemd.Bus // of the service manager, for the driver systemd
}

// Examine reads the bundle of o, and checks its configuration. The error is that of a file
// that cannot be read, or of a text that is no JSON; then the Examination has what is Wrong in it.
func (r *Runtime) Examine(opts *CreateOptions) (*Examination, error) {
	exam := &Examination{Dir: opts.Bundle, File: opts.ConfigFile, Manager: r.CgroupManager, Bus: r.Bus()}
	if err := absolute(&exam.Dir); err != nil {
		return nil, err
	}
	own := *r
	own.Warn = func(text string) { exam.Warnings = append(exam.Warnings, text) }
	read := func() (*specs.Spec, []byte, error) { return config.Load(exam.Dir, "") }
	if exam.File != "" {
		read = func() (*specs.Spec, []byte, error) { return readConfig(exam.File) }
	} else {
		exam.File = filepath.Join(exam.Dir, config.FileName)
	}
	var err error
	if exam.Spec, exam.Text, err = read(); err != nil {
		// Of a value that is wrong: all that are.
		if errors.As(err, new(*config.Error)) {
			exam.Spec, exam.Text, exam.Wrong = config.DecodeAll(exam.Text)
		}
		if exam.Spec == nil {
			return exam, err
		}
	}
	rootfs.AddDefaultOptions(exam.Spec)
	exam.add(own.adapt(exam.Spec))
	exam.add(idmapOptions(exam.Spec))
	exam.add(rawFilter(exam.Spec.Linux, exam.Spec.Annotations))
	for _, named := range [...]func(map[string]string) (string, error){systemd.Subgroup, cgroup.Delegated} {
		_, err := named(exam.Spec.Annotations)
		exam.add(err)
	}
	faults, warnings := validate.All(exam.Spec, validate.Options{Rootless: r.Rootless})
	exam.Faults, exam.Warnings = append(exam.Faults, faults...), append(exam.Warnings, warnings...)
	exam.add(changesHost(exam.Spec))
	if exam.Spec.Root != nil && exam.Spec.Root.Path != "" {
		exam.Rootfs = rootPath(exam.Dir, exam.Spec.Root.Path)
	}
	for i := range exam.Spec.Mounts {
		if m := &exam.Spec.Mounts[i]; rootfs.IsBind(m) && m.Source != "" && !filepath.IsAbs(m.Source) {
			m.Source = filepath.Join(exam.Dir, m.Source)
		}
	}
	if len(exam.Faults)+len(exam.Wrong) == 0 { // what is left shows only when all is put together
		own.Warn = func(string) {} // told of already
		exam.add(own.plannable(opts, exam))
	}
	return exam, nil
}

// plannable returns what keeps the configuration, which has been examined, from being planned.
// It is decoded again: that of x is adapted. Its file, which may be a pipe, is not read again.
func (r *Runtime) plannable(o *CreateOptions, x *Examination) error {
	s, err := config.Decode(x.Text)
	if err != nil {
		return err
	}
	q := r.planRequest(o, "check")
	q.Bundle = x.Dir
	if q.bundle, err = r.newBundle(x.Dir, s, x.Text); err != nil {
		return err
	}
	_, err = r.planOnly(q)
	return err
}

func (x *Examination) add(err error) {
	if err != nil {
		x.Faults = append(x.Faults, err)
	}
}

// named returns o with an id, if it has none.
func (o *CreateOptions) named(id string) *CreateOptions {
	own := *o
	if own.ID == "" {
		own.ID = id
	}
	return &own
}

// Cgroup returns where the container's cgroups would be, and the layout, which the caller
// closes. Both are nil for a container that has none of its own.
func (x *Examination) Cgroup() (*cgroup.Plan, *cgroup.Layout, error) {
	if x.Manager != Cgroupfs {
		return nil, nil, nil
	}
	layout, err := cgroup.Detect(cgroup.Root)
	if err != nil {
		return nil, nil, err
	}
	path := ""
	if x.Spec.Linux != nil {
		path = x.Spec.Linux.CgroupsPath
	}
	plan, err := layout.Plan(path, "check")
	if err != nil {
		layout.Close()
		return nil, nil, fmt.Errorf("linux.cgroupsPath: %w", err)
	}
	return plan, layout, nil
}
