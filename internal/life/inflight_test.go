package life

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestDescriptorsInFlightAreExplained: the error names the limit, and stays what it was.
func TestDescriptorsInFlightAreExplained(t *testing.T) {
	err := explainInFlight(fmt.Errorf("clone into the namespaces: %w", unix.ETOOMANYREFS))
	if !errors.Is(err, unix.ETOOMANYREFS) || !strings.Contains(err.Error(), "RLIMIT_NOFILE") {
		t.Errorf("%v", err)
	}
	if err := explainInFlight(unix.EPERM); err != unix.EPERM {
		t.Errorf("another error is %v", err)
	}
}
