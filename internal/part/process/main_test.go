package process

import (
	"testing"

	"github.com/hutch-project/hutch/internal/part/parttest"
)

func TestMain(m *testing.M) { parttest.Main(m, print) }

const busybox = parttest.Busybox

var (
	tell    = parttest.Tell
	self    = parttest.Self
	run     = parttest.Run
	runEnv  = parttest.RunEnv
	pipeTo1 = parttest.PipeTo1
	finish  = parttest.Finish
	must    = parttest.Must
	status  = parttest.Status
	printed = parttest.Printed
)
