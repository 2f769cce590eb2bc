package hook

import (
	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/hutch-project/hutch/internal/check"
	"github.com/hutch-project/hutch/internal/fault"
)

// CheckAll checks all hooks: "path [...] MUST be absolute", "timeout [...] MUST be
// greater than zero."
//
// Source: runtime-spec config.md "POSIX-platform Hooks".
func CheckAll(conf *check.Config) error {
	h := conf.Hooks
	if h == nil {
		return nil
	}
	//lint:ignore SA1019 prestart is deprecated, but engines use it
	lists := [...][]specs.Hook{h.Prestart, h.CreateRuntime, h.CreateContainer, h.StartContainer, h.Poststart, h.Poststop}
	for i, list := range lists {
		name := [...]string{"hooks.prestart", "hooks.createRuntime", "hooks.createContainer", "hooks.startContainer",
			"hooks.poststart", "hooks.poststop"}[i]
		for j := range list {
			conf.Add(checkHook(name, j, &list[j]))
		}
	}
	return nil
}

// checkHook checks h, which is the element i of the list name.
func checkHook(name string, i int, h *specs.Hook) error {
	if !check.IsAbsolute(h.Path) {
		return check.Absolute(fault.At(name, i)+".path", h.Path)
	}
	for j, a := range h.Args {
		if check.HasNUL(a) {
			return check.String(fault.At(fault.At(name, i)+".args", j), a, 0)
		}
	}
	for j, e := range h.Env {
		if check.HasNUL(e) {
			return fault.New(fault.At(fault.At(name, i)+".env", j), "holds a NUL character", "remove it")
		}
	}
	if h.Timeout != nil && *h.Timeout <= 0 {
		return fault.New(fault.At(name, i)+".timeout", check.Number(*h.Timeout)+" is no time", "give seconds, at least 1, or leave it out for no limit")
	}
	return nil
}
