package compile

import (
	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/hutch-project/hutch/internal/template"
)

// extensions returns a configuration with what the specification has not, and crun has.
func extensions() *specs.Spec {
	s := template.Spec()
	s.Process.Terminal = false
	s.Hooks = &specs.Hooks{StartContainer: []specs.Hook{{Path: "/bin/hook"}}}
	return s
}
