package probe

import (
	"os"
	"path/filepath"
	"testing"
)

// TestUserNamespaces: each parameter keeps away whom it is about, and no other value of it.
func TestUserNamespaces(t *testing.T) {
	for _, b := range usernsBars {
		dir := t.TempDir() + "/"
		file := map[string]string{
			"user.max_user_namespaces":                     "user/max_user_namespaces",
			"kernel.unprivileged_userns_clone":             "kernel/unprivileged_userns_clone",
			"kernel.apparmor_restrict_unprivileged_userns": "kernel/apparmor_restrict_unprivileged_userns",
		}[b.parameter]
		if err := os.Mkdir(filepath.Dir(dir+file), 0o755); err != nil {
			t.Fatal(err)
		}
		for value, bars := range map[string]bool{b.value: true, "7": false} {
			if err := os.WriteFile(dir+file, []byte(value+"\n"), 0o644); err != nil {
				t.Fatal(err)
			}
			bar := userNamespaces(dir)
			if bars != (bar != nil) || bars && (bar.Everybody != (file == "user/max_user_namespaces") || bar.Why != "the kernel parameter "+b.parameter+" is "+value) {
				t.Errorf("%s is %s: %+v", b.parameter, value, bar)
			}
		}
	}
}
