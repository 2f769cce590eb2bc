package life

import (
	"os"
	"testing"

	"github.com/hutch-project/hutch/tests/criutest"
	"github.com/hutch-project/hutch/tests/isolate"
	"github.com/hutch-project/hutch/tests/testplain"
)

// TestMain has a mount namespace of its own: the tests compare the mount table, which
// others on the machine change.
func TestMain(m *testing.M) {
	criutest.Main()
	if os.Geteuid() != 0 {
		testplain.Main(m)
	}
	if code, first := isolate.Mounts(); first {
		os.Exit(code)
	}
	os.Exit(m.Run())
}
