package user

import (
	"testing"

	"github.com/hutch-project/hutch/internal/part/parttest"
)

func TestMain(m *testing.M) { parttest.Main(m, nil) }

const busybox = parttest.Busybox

var (
	tell   = parttest.Tell
	run    = parttest.Run
	status = parttest.Status
)
