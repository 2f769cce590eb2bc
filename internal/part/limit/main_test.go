package limit

import (
	"testing"

	"github.com/hutch-project/hutch/internal/part/parttest"
)

func TestMain(m *testing.M) { parttest.Main(m, print) }

const busybox = parttest.Busybox

var (
	self   = parttest.Self
	run    = parttest.Run
	runEnv = parttest.RunEnv
	must   = parttest.Must
	fails  = parttest.Fails
)
