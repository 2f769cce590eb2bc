package config

import (
	"testing"

	"hutch/tests/testplain"
)

func TestMain(m *testing.M) { testplain.Main(m) }
