// Package inspect finds what is wrong with a bundle, all of it at once: in config.json, in
// the files that it names, and with this host for it. It makes nothing, and asks as the user
// who calls it.
//
// What a container finds under its mounts is not looked at: only what the root file system
// itself has.
package inspect

import (
	"cmp"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/hutch-project/hutch/internal/config"
	"github.com/hutch-project/hutch/internal/fault"
	"github.com/hutch-project/hutch/internal/host/cgroup"
	"github.com/hutch-project/hutch/internal/host/cgroup/resource"
	"github.com/hutch-project/hutch/internal/life"
	"github.com/hutch-project/hutch/internal/part/seccomp"
)

// Severity is how much a finding matters.
type Severity uint8

const (
	Error   Severity = iota // the container cannot be made, or its program cannot start
	Warning                 // it can, but something that is asked for is not had, or hardly meant
	Note                    // worth to be known
)

// String returns the name of the severity in both forms of a report.
func (s Severity) String() string { return [...]string{"error", "warning", "note"}[s] }

// Finding is one thing that is wrong, or may be.
type Finding struct {
	Severity Severity
	Element  string // of config.json; empty where it is none of one element
	config.Place
	What   string // what is wrong
	Remedy string // what to do about it; may be empty
}

// Report is what Bundle has found.
type Report struct {
	File     string // path of the configuration
	Findings []Finding

	x    *life.Examination
	text []byte
	spec *specs.Spec
	host facts
}

// Bundle returns what it finds wrong with the bundle of o. The error is that of a
// configuration which cannot be read; one that is no JSON is a finding.
func Bundle(r *life.Runtime, o *life.CreateOptions) (*Report, error) {
	x, err := r.Examine(o)
	if err != nil && x != nil && len(x.Wrong) > 0 {
		report := &Report{File: fileOf(o)}
		report.wrong(x.Wrong)
		return report, nil
	}
	if err != nil {
		return nil, err
	}
	return inspect(x, ask()), nil
}

// wrong adds the findings of values that are of another kind than their properties.
func (r *Report) wrong(list []*config.Error) {
	for _, e := range list {
		what, remedy := splitRemedy(e.Fault)
		place := config.Place{Line: e.Line, Column: e.Column}
		r.Findings = append(r.Findings, Finding{Error, e.Element, place, what, remedy})
	}
}

// isWrong reports whether the element, or one around it, is such a value, which the rest of the
// configuration does not have.
func (r *Report) isWrong(element string) bool {
	return r.x != nil && slices.ContainsFunc(r.x.Wrong, func(e *config.Error) bool {
		rest, in := strings.CutPrefix(element, e.Element)
		return in && (rest == "" || rest[0] == '.' || rest[0] == '[' || rest[0] == ',')
	})
}

// fileOf returns the path of the configuration of o.
func fileOf(o *life.CreateOptions) string {
	if o.ConfigFile != "" {
		return o.ConfigFile
	}
	return strings.TrimSuffix(cmp.Or(o.Bundle, "."), "/") + "/" + config.FileName
}

// inspect makes the report of a bundle on a host.
func inspect(x *life.Examination, host facts) *Report {
	report := &Report{File: x.File, x: x, text: x.Text, spec: x.Spec, host: host}
	report.wrong(x.Wrong)
	for _, err := range x.Faults {
		report.fault(Error, err)
	}
	for _, text := range x.Warnings {
		report.fault(Warning, errors.New(strings.TrimSuffix(text, ", ignoring")))
	}
	report.unused()
	report.usedLate()
	report.capabilities()
	report.systemCalls()
	report.covered()
	report.root()
	report.program()
	report.mounts()
	report.namespaces()
	report.hooks()
	report.modules()
	report.kernel()
	report.devices()
	report.cgroups()
	report.sort()
	return report
}

// linux returns the Linux part of the configuration, an empty one where there is none.
func (r *Report) linux() *specs.Linux {
	if r.spec.Linux == nil {
		return &specs.Linux{}
	}
	return r.spec.Linux
}

// namespace returns the container's namespace of the type, nil for none.
func (r *Report) namespace(t specs.LinuxNamespaceType) *specs.LinuxNamespace {
	for i := range r.linux().Namespaces {
		if n := &r.linux().Namespaces[i]; n.Type == t {
			return n
		}
	}
	return nil
}

// mostPlaces bounds how many elements are looked for in the text, which is read again for
// each: it may be large, and somebody else's.
const mostPlaces = 200

// add adds a finding about an element.
func (r *Report) add(s Severity, element, what, remedy string) {
	if r.isWrong(element) {
		return
	}
	var p config.Place
	if element != "" && len(r.Findings) < mostPlaces {
		first, _, _ := strings.Cut(element, ", ")
		p, _ = config.Locate(r.text, first)
	}
	r.Findings = append(r.Findings, Finding{s, element, p, what, remedy})
}

// fault adds the finding that err is.
func (r *Report) fault(s Severity, err error) {
	var f *fault.Error
	if errors.As(err, &f) {
		r.add(s, f.Element, f.Fault, f.Remedy)
		return
	}
	element, rest := splitElement(strings.TrimPrefix(strings.TrimPrefix(err.Error(), "plan: "),
		"config.json: "))
	what, remedy := splitRemedy(rest)
	r.add(s, element, what, remedy)
}

// splitElement takes the name of an element off the front of a text.
func splitElement(text string) (element, rest string) {
	element, rest, ok := strings.Cut(text, ": ")
	top, _, _ := strings.Cut(element, ".")
	top, _, _ = strings.Cut(top, "[")
	members := []string{"ociVersion", "process", "root", "hostname", "domainname", "mounts",
		"hooks", "annotations", "linux"}
	if !ok || !slices.Contains(members, top) {
		return "", text
	}
	return element, rest
}

// splitRemedy takes the remedy off the end of a text, which begins behind the last "; ", and
// before a hint at what may be meant.
func splitRemedy(text string) (what, remedy string) {
	hint := ""
	if i := strings.LastIndex(text, "; did you mean "); i > 0 {
		text, hint = text[:i], text[i+2:]
	}
	i := strings.LastIndex(text, "; ")
	switch {
	case i < 0:
		return text, hint
	case hint != "":
		return text[:i], text[i+2:] + "; " + hint
	}
	return text[:i], text[i+2:]
}

// usedLate finds what Create refuses where it uses it, all of it: Create stops at the first.
func (r *Report) usedLate() {
	if raw := r.spec.Annotations[seccomp.RawAnnotation]; raw != "" {
		if _, err := seccomp.Raw(raw, false); err != nil {
			r.late(err)
		}
	} else if s := r.linux().Seccomp; s != nil {
		faults, _ := seccomp.Check(s, runtime.GOARCH)
		for _, err := range faults {
			r.late(err)
		}
	}
	if r.x.Manager != life.Disabled {
		_, faults := resource.All(r.linux().Resources, r.host.mode)
		for _, err := range faults {
			if !errors.Is(err, cgroup.ErrNoCgroups) { // which is the host's lack
				r.late(err)
			}
		}
	}
}

// late adds the finding that err is, unless it is there already.
func (r *Report) late(err error) {
	before := len(r.Findings)
	r.fault(Error, err)
	if n := len(r.Findings); n > before && slices.Contains(r.Findings[:before], r.Findings[n-1]) {
		r.Findings = r.Findings[:before]
	}
}

// sort puts the findings into the order of the file, those of no element first, and leaves
// out what is said twice.
func (r *Report) sort() {
	slices.SortStableFunc(r.Findings, func(a, b Finding) int {
		if a.Element == "" || b.Element == "" {
			return cmp.Compare(a.Element, b.Element)
		}
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column),
			cmp.Compare(a.Severity, b.Severity))
	})
	r.Findings = slices.Compact(r.Findings)
}

// Count returns how many findings have the severity.
func (r *Report) Count(s Severity) (n int) {
	for i := range r.Findings {
		if r.Findings[i].Severity == s {
			n++
		}
	}
	return n
}

// errorf adds an error about an element.
func (r *Report) errorf(element, remedy, format string, args ...any) {
	r.add(Error, element, fmt.Sprintf(format, args...), remedy)
}

// warnf adds a warning about an element.
func (r *Report) warnf(element, remedy, format string, args ...any) {
	r.add(Warning, element, fmt.Sprintf(format, args...), remedy)
}
