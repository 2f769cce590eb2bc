package sched

import (
	"testing"

	"github.com/hutch-project/hutch/internal/part/parttest"
)

func TestMain(m *testing.M) { parttest.Main(m, print) }

var (
	fails   = parttest.Fails
	status  = parttest.Status
	printed = parttest.Printed
)
