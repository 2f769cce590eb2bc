package compile

import (
	"bytes"
	"strings"
	"testing"

	"github.com/hutch-project/hutch/internal/template"
)

// TestContextType: each new file system takes the label by the option of the annotation.
func TestContextType(t *testing.T) {
	s := template.Spec()
	s.Linux.MountLabel, s.Linux.MaskedPaths = "u:object_r:t:s0", []string{"/proc/acpi"}
	s.Annotations = map[string]string{"run.oci.mount_context_type": "rootcontext"}
	in := inputs()["default"]
	in.Spec = s
	var text bytes.Buffer
	writeListing(t, in, &text)
	if n := strings.Count(text.String(), `"rootcontext", "u:object_r:t:s0"`); n < 2 || strings.Contains(text.String(), `"context", "u:object_r:t:s0"`) {
		t.Errorf("%d file systems have the label by rootcontext", n)
	}
}
