package seccomp

import (
	"encoding/json"
	"math/rand/v2"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// FuzzCompile gives Compile any profile: it must not panic, and what it makes the
// kernel must take and our own reading of it must come to an end.
func FuzzCompile(f *testing.F) {
	for _, name := range profileNames(f) {
		text, err := json.Marshal(readProfile(f, name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text, uint8(0), int32(1), uint64(0))
	}
	for n := range uint64(20) {
		r := rand.New(rand.NewPCG(n, 2))
		text, err := json.Marshal(randomProfile(r, goarches()[int(n)%len(goarches())]))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text, uint8(n), int32(r.Uint32()), r.Uint64())
	}
	f.Fuzz(func(t *testing.T, text []byte, kernel uint8, number int32, arg uint64) {
		s := &specs.LinuxSeccomp{}
		if json.Unmarshal(text, s) != nil {
			return
		}
		goarch := goarches()[int(kernel)%len(goarches())]
		filter, err := Compile(s, goarch)
		if err != nil || filter == nil {
			return
		}
		check(t, filter.Program)
		filter.Verdict(&Data{Number: number, Arch: AuditArch(goarch), Args: [6]uint64{arg, arg, arg, arg, arg, arg}})
	})
}
