package inspect

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/hutch-project/hutch/internal/fault"
	"github.com/hutch-project/hutch/internal/jsontext"
)

// version is that of the JSON form, by docs/check.schema.json: its first number changes when
// a reader of the form before would fail.
const formVersion = "1.0"

// WriteText writes a line a finding, in the form of compilers, which editors read, and a last
// line with their numbers.
func (r *Report) WriteText(w io.Writer) error {
	var text strings.Builder
	file := fault.Line(r.File)
	for i := range r.Findings {
		f := &r.Findings[i]
		text.WriteString(file)
		if f.Line > 0 {
			fmt.Fprintf(&text, ":%d:%d", f.Line, f.Column)
		}
		text.WriteString(": " + f.Severity.String() + ": " + fault.Line(f.Text()) + "\n")
	}
	fmt.Fprintf(&text, "%s: %s, %s, %s\n", file, number(r.Count(Error), "error"),
		number(r.Count(Warning), "warning"), number(r.Count(Note), "note"))
	_, err := io.WriteString(w, text.String())
	return err
}

// Text returns the finding without its place: ELEMENT: WHAT; REMEDY.
func (f *Finding) Text() string {
	text := f.What
	if f.Element != "" {
		text = f.Element + ": " + text
	}
	if f.Remedy != "" {
		text += "; " + f.Remedy
	}
	return text
}

func number(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}

// WriteJSON writes one object, by docs/check.schema.json.
func (r *Report) WriteJSON(w io.Writer) error {
	type finding struct {
		Severity string `json:"severity"`
		Element  string `json:"element,omitempty"`
		Line     int    `json:"line,omitempty"`
		Column   int    `json:"column,omitempty"`
		What     string `json:"what"`
		Remedy   string `json:"remedy,omitempty"`
	}
	out := struct {
		Version  string    `json:"version"`
		File     string    `json:"file"`
		Errors   int       `json:"errors"`
		Warnings int       `json:"warnings"`
		Notes    int       `json:"notes"`
		Findings []finding `json:"findings"`
	}{formVersion, r.File, r.Count(Error), r.Count(Warning), r.Count(Note), []finding{}}
	for _, f := range r.Findings {
		out.Findings = append(out.Findings, finding{f.Severity.String(), f.Element, f.Line,
			f.Column, f.What, f.Remedy})
	}
	e := json.NewEncoder(jsontext.Printable(w))
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(out)
}
