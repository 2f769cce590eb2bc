// Package info tells what this host can do for containers, feature by feature, and of what it
// cannot why, and what helps. It asks as the user who calls it, and changes nothing.
package info

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/hutch-project/hutch/internal/fault"
	"github.com/hutch-project/hutch/internal/jsontext"
)

// State is whether the host has a feature.
type State uint8

const (
	Yes State = iota
	Partly
	No
)

// String returns the name of a state in both forms of a report.
func (s State) String() string { return [...]string{"yes", "partly", "no"}[s] }

// Feature is something that configurations or callers may ask for.
type Feature struct {
	Group    string
	Name     string
	State    State
	Detail   string // what there is, or why it is not there; may be empty
	Needs    string // the kernel, its option or the program that brings it; empty for what is there
	Remedy   string // a command or package that helps; may be empty
	Required bool   // no container runs without it
}

// Report is the features of a host.
type Report struct {
	Version  string // Hutch's
	Kernel   string // the release
	Machine  string // a GOARCH
	Caller   string // who asks
	Cgroups  string // v1, hybrid, v2 or none
	Features []Feature
}

// Missing returns the first required feature that the host lacks, nil for none.
func (r *Report) Missing() *Feature {
	for i := range r.Features {
		if f := &r.Features[i]; f.Required && f.State == No {
			return f
		}
	}
	return nil
}

// add adds a feature that is there or not; needs and remedy are those of one that is not.
func (r *Report) add(group, name string, there bool, detail, needs, remedy string) *Feature {
	f := Feature{Group: group, Name: name, Detail: detail}
	if !there {
		f.State, f.Needs, f.Remedy = No, needs, remedy
	}
	r.Features = append(r.Features, f)
	return &r.Features[len(r.Features)-1]
}

// formVersion is that of the JSON form, by docs/info.schema.json: its first number changes
// when a reader of the form before would fail.
const formVersion = "1.0"

// width is the number of columns that a name has.
const width = 32

// WriteText writes a line a feature, by groups, and what helps below those that are missing.
func (r *Report) WriteText(w io.Writer) error {
	var text strings.Builder
	fmt.Fprintf(&text, "hutch %s on Linux %s, %s; %s; cgroups: %s\n", r.Version, r.Kernel, r.Machine,
		r.Caller, r.Cgroups)
	group := ""
	for i := range r.Features {
		feature := &r.Features[i]
		if feature.Group != group {
			group = feature.Group
			text.WriteString("\n" + group + "\n")
		}
		line := fmt.Sprintf("  %-7s %-*s %s", feature.State, width, feature.Name, feature.Detail)
		text.WriteString(strings.TrimRight(line, " ") + "\n")
		indent := strings.Repeat(" ", 2+7+1)
		if feature.Needs != "" {
			text.WriteString(indent + "needs " + feature.Needs + "\n")
		}
		if feature.Remedy != "" {
			text.WriteString(indent + "try   " + feature.Remedy + "\n")
		}
	}
	if f := r.Missing(); f != nil {
		fmt.Fprintf(&text, "\nNo container can run here: %s is missing.\n", f.Name)
	}
	_, err := io.WriteString(w, fault.Printable(text.String()))
	return err
}

// WriteJSON writes one object, by docs/info.schema.json.
func (r *Report) WriteJSON(w io.Writer) error {
	type feature struct {
		Group    string `json:"group"`
		Name     string `json:"name"`
		State    string `json:"state"`
		Detail   string `json:"detail,omitempty"`
		Needs    string `json:"needs,omitempty"`
		Remedy   string `json:"remedy,omitempty"`
		Required bool   `json:"required,omitempty"`
	}
	out := struct {
		Version  string    `json:"version"`
		Hutch    string    `json:"hutch"`
		Kernel   string    `json:"kernel"`
		Machine  string    `json:"machine"`
		Caller   string    `json:"caller"`
		Cgroups  string    `json:"cgroups"`
		Features []feature `json:"features"`
	}{formVersion, r.Version, r.Kernel, r.Machine, r.Caller, r.Cgroups, []feature{}}
	for _, f := range r.Features {
		out.Features = append(out.Features, feature{f.Group, f.Name, f.State.String(), f.Detail,
			f.Needs, f.Remedy, f.Required})
	}
	e := json.NewEncoder(jsontext.Printable(w))
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(out)
}
