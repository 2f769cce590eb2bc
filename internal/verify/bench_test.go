package verify_test

import (
	"testing"

	"github.com/hutch-project/hutch/internal/verify"
)

// BenchmarkRandomPrograms is the compiling and proving of random configurations.
func BenchmarkRandomPrograms(b *testing.B) {
	b.ReportAllocs()
	steps := 0
	for i := range b.N {
		if p, e := randomProgram(uint64(i) + 1); p != nil {
			if r, err := verify.Program(p, e); err == nil {
				steps += r.Steps
			}
		}
	}
	b.ReportMetric(float64(steps)/float64(b.N), "steps/op")
}
