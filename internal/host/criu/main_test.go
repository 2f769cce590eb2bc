package criu

import (
	"testing"

	"github.com/hutch-project/hutch/tests/criutest"
	"github.com/hutch-project/hutch/tests/testplain"
)

func TestMain(m *testing.M) {
	criutest.Main()
	testplain.Main(m)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
