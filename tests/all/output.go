package main

import (
	"bytes"
	"encoding/json"
	"regexp"
	"strings"
)

// event is a line of go test -json. Source: go doc test2json.
type event struct{ Action, Package, Test, Output string }

// output reads what a phase prints: lines of JSON, and others.
type output struct {
	rest  []byte
	full  bytes.Buffer // everything, as go test prints it without -json
	brief bytes.Buffer // without what tests print
	tests []*test
	index map[string]*test
}

// test is what is known of a test that has run.
type test struct {
	pkg, name string
	action    string // pass, fail, skip; empty when it did not end
	reason    string // the last line that it has printed
	printed   bytes.Buffer
}

func newOutput() *output { return &output{index: map[string]*test{}} }

func (o *output) Write(text []byte) (int, error) {
	o.rest = append(o.rest, text...)
	for {
		line, after, whole := bytes.Cut(o.rest, []byte{'\n'})
		if !whole {
			return len(text), nil
		}
		o.line(line)
		o.rest = after
	}
}

// end handles a last line without an end.
func (o *output) end() {
	if len(o.rest) > 0 {
		o.line(o.rest)
	}
}

// worth are lines of tests that say something when all is well.
var worth = regexp.MustCompile(`^(conformance: |box: )`)

func (o *output) line(line []byte) {
	var e event
	if !bytes.HasPrefix(line, []byte(`{"`)) || json.Unmarshal(line, &e) != nil || e.Action == "" {
		for _, to := range []*bytes.Buffer{&o.full, &o.brief} {
			to.Write(line)
			to.WriteByte('\n')
		}
		return
	}
	o.full.WriteString(e.Output)
	if e.Test == "" {
		if e.Output != "PASS\n" {
			o.brief.WriteString(e.Output)
		}
		return
	}
	if worth.MatchString(e.Output) {
		o.brief.WriteString(e.Output)
	}
	o.follow(e)
}

// failures is what tests have printed that failed or did not end.
func (o *output) failures() string {
	var text bytes.Buffer
	for _, t := range o.tests {
		if t.action != "pass" && t.action != "skip" {
			text.Write(t.printed.Bytes())
		}
	}
	return text.String()
}

// reasonLine is what t.Skip prints.
var reasonLine = regexp.MustCompile(`^\s+\S+\.go:\d+: (.*)`)

func (o *output) follow(e event) {
	key := e.Package + " " + e.Test
	t := o.index[key]
	if t == nil {
		t = &test{pkg: strings.TrimPrefix(e.Package, "github.com/hutch-project/hutch/"), name: e.Test}
		o.index[key] = t
		o.tests = append(o.tests, t)
	}
	switch e.Action {
	case "pass", "fail", "skip":
		t.action = e.Action
	case "output":
		t.printed.WriteString(e.Output)
		if m := reasonLine.FindStringSubmatch(e.Output); m != nil {
			t.reason = m[1]
		}
	}
}
