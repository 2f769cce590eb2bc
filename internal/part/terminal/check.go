package terminal

import (
	"math"

	"github.com/hutch-project/hutch/internal/check"
	"github.com/hutch-project/hutch/internal/fault"
)

// Check checks process.consoleSize: "Runtimes MUST ignore consoleSize if terminal is false or
// unset."
func Check(p *check.Process) error {
	if s := p.ConsoleSize; p.Terminal && s != nil && (s.Height > math.MaxUint16 || s.Width > math.MaxUint16) {
		return fault.New("process.consoleSize", "larger than a terminal can be", "give a width and a height of at most 65535")
	}
	return nil
}
