package validate

import (
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// hooks checks all hooks: "path [...] MUST be absolute", "timeout [...] MUST be
// greater than zero."
//
// Source: runtime-spec config.md "POSIX-platform Hooks".
func (c *checker) hooks() error {
	h := c.Hooks
	if h == nil {
		return nil
	}
	//lint:ignore SA1019 prestart is deprecated, but engines use it
	lists := [...][]specs.Hook{h.Prestart, h.CreateRuntime, h.CreateContainer, h.StartContainer, h.Poststart, h.Poststop}
	for i, list := range lists {
		name := [...]string{"hooks.prestart", "hooks.createRuntime", "hooks.createContainer", "hooks.startContainer",
			"hooks.poststart", "hooks.poststop"}[i]
		for j := range list {
			if err := hook(name, j, &list[j]); err != nil {
				return err
			}
		}
	}
	return nil
}

// hook checks h, which is the element i of the list name.
func hook(name string, i int, h *specs.Hook) error {
	if !isAbsolute(h.Path) {
		return absolute(at(name, i)+".path", h.Path)
	}
	for j, a := range h.Args {
		if strings.IndexByte(a, 0) >= 0 {
			return cstring(at(at(name, i)+".args", j), a, 0)
		}
	}
	for j, e := range h.Env {
		if strings.IndexByte(e, 0) >= 0 {
			return fault(at(at(name, i)+".env", j), "holds a NUL character", "remove it")
		}
	}
	if h.Timeout != nil && *h.Timeout <= 0 {
		return fault(at(name, i)+".timeout", number(*h.Timeout)+" is no time", "give seconds, at least 1, or leave it out for no limit")
	}
	return nil
}
