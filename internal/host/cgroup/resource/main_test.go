package resource

import (
	"testing"

	"github.com/hutch-project/hutch/tests/testplain"
)

func TestMain(m *testing.M) { testplain.Main(m) }
