package compile

import (
	"strings"
	"testing"
)

// TestFaultOfAFilterNamesItsFileOnce: what the part finds says config.json already.
func TestFaultOfAFilterNamesItsFileOnce(t *testing.T) {
	_, err := filter(nil, "%")
	if err == nil || !strings.HasPrefix(err.Error(), "config.json: annotations[run.oci.seccomp_bpf_data]: ") {
		t.Errorf("got %v", err)
	}
}
