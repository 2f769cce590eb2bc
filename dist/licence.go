package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"slices"
	"strings"
)

// module is one that the binary is linked of, with the texts of its licences. Go's own
// library and runtime are the module "std".
type module struct {
	path, version, sum string
	licences           []text
}

// text is a file of a module that its licence wants passed on.
type text struct {
	name, content string
	id            string // SPDX's name of the licence; empty for notices and patents
}

const std = "std"

// marks are the words that each licence is known by, and no other one here has. The
// order matters: a BSD licence with a third clause has the words of one with two.
var marks = [...]struct{ id, words string }{
	{"Apache-2.0", "Apache License Version 2.0, January 2004"},
	{"MPL-2.0", "Mozilla Public License Version 2.0"},
	{"MIT", "Permission is hereby granted, free of charge, to any person obtaining a copy"},
	{"BSD-3-Clause", "endorse or promote products derived from"},
	{"BSD-2-Clause", "Redistributions of source code must retain the above copyright notice"},
}

var (
	spaces    = regexp.MustCompile(`\s+`)
	ofLicence = regexp.MustCompile(`^(LICEN[SC]E|COPYING|COPYRIGHT)([.-].*)?$`)
	passedOn  = regexp.MustCompile(`^(NOTICE|PATENTS|AUTHORS)([.-].*)?$`)
	// declared is what a file says that explains which licence is for what.
	declared = regexp.MustCompile(`SPDX-License-Identifier: ([A-Za-z0-9.-]+ AND [A-Za-z0-9.-]+)`)
)

// licence returns SPDX's name of a licence. An unknown one is an error, since somebody
// has to read it before it is passed on.
func licence(content string) (string, error) {
	plain := spaces.ReplaceAllString(content, " ")
	if found := declared.FindStringSubmatch(content); found != nil {
		return found[1], nil
	}
	for _, m := range marks {
		if strings.Contains(plain, m.words) {
			return m.id, nil
		}
	}
	return "", fmt.Errorf("unknown licence: %.60q", plain)
}

// modules returns what a binary is linked of, by the information that Go leaves in it.
func modules(info *debug.BuildInfo, goTool string) ([]module, error) {
	root, err := exec.Command(goTool, "env", "GOROOT").Output()
	if err != nil {
		return nil, fmt.Errorf("%s env GOROOT: %w", goTool, err)
	}
	all := []module{{path: std, version: strings.TrimPrefix(info.GoVersion, "go")}}
	dirs := map[string]string{std: strings.TrimSpace(string(root))}
	command := exec.Command(goTool, "list", "-m", "-json")
	for _, d := range info.Deps {
		if d.Replace != nil {
			return nil, fmt.Errorf("%s is replaced: its licence and sum are not known", d.Path)
		}
		all = append(all, module{path: d.Path, version: d.Version, sum: d.Sum})
		command.Args = append(command.Args, d.Path)
	}
	if len(info.Deps) > 0 {
		if err := directories(command, dirs); err != nil {
			return nil, err
		}
	}
	for i := range all {
		if all[i].licences, err = texts(dirs[all[i].path]); err != nil {
			return nil, fmt.Errorf("%s: %w", all[i].path, err)
		}
	}
	return all, nil
}

// directories has go list say where modules lie.
func directories(command *exec.Cmd, dirs map[string]string) error {
	command.Stderr = os.Stderr
	out, err := command.Output()
	if err != nil {
		return fmt.Errorf("%v: %w", command.Args, err)
	}
	for list := json.NewDecoder(bytes.NewReader(out)); list.More(); {
		var m struct{ Path, Dir string }
		if err := list.Decode(&m); err != nil {
			return err
		}
		dirs[m.Path] = m.Dir
	}
	return nil
}

// texts reads what lies in a module's directory and has to be passed on.
func texts(dir string) ([]text, error) {
	if dir == "" {
		return nil, fmt.Errorf("the source is not here: run go mod download")
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var all []text
	for _, e := range entries {
		isLicence := ofLicence.MatchString(e.Name())
		if e.IsDir() || !isLicence && !passedOn.MatchString(e.Name()) {
			continue
		}
		content, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			return nil, err
		}
		t := text{name: e.Name(), content: string(content)}
		if isLicence {
			if t.id, err = licence(t.content); err != nil {
				return nil, fmt.Errorf("%s: %w", e.Name(), err)
			}
		}
		all = append(all, t)
	}
	if !slices.ContainsFunc(all, func(t text) bool { return t.id != "" }) {
		return nil, fmt.Errorf("no licence in %s", dir)
	}
	return all, nil
}

// expression is the licence of a module in SPDX's words. Where one file names several,
// it is the one that explains, and the others are the texts.
func (m module) expression() string {
	var ids []string
	for _, t := range m.licences {
		switch {
		case strings.Contains(t.id, " AND "):
			return t.id
		case t.id != "" && !slices.Contains(ids, t.id):
			ids = append(ids, t.id)
		}
	}
	slices.Sort(ids)
	return strings.Join(ids, " AND ")
}

// title is a module's name for a person.
func (m module) title() string {
	if m.path == std {
		return "The Go programming language: runtime and standard library"
	}
	return m.path + " " + m.version
}

// notices is the page of all licences.
func notices(all []module) string {
	var b strings.Builder
	b.WriteString("Hutch is licensed under the Apache License 2.0 (LICENSE). Its binary is linked of the\n" +
		"modules below, too. Each of them stands under its own licence; the source of a module\n" +
		"is to be had, unchanged, under its path and version from where Go modules come from.\n\n")
	for _, m := range all {
		fmt.Fprintf(&b, "- %s: %s\n", m.title(), m.expression())
	}
	for _, m := range all {
		for _, t := range m.licences {
			fmt.Fprintf(&b, "\n%s\n%s, %s\n\n", strings.Repeat("=", 80), m.title(), t.name)
			for line := range strings.Lines(t.content) {
				b.WriteString(strings.TrimRight(line, " \t\r\n") + "\n")
			}
		}
	}
	return b.String()
}
