package integration

import (
	"strings"
	"testing"
)

// TestRefusedFileIsExplained: what execve refuses is explained by the file itself, by
// whatever way it is executed.
func TestRefusedFileIsExplained(t *testing.T) {
	t.Parallel()
	hutchOnly(t, "1.1 gives the errno alone")
	foreign := make([]byte, 64) // an ELF file of 64 bits for the machine 999
	copy(foreign, "\x7fELF\x02\x01\x01")
	foreign[16], foreign[18], foreign[19] = 2, 999&0xff, 999>>8
	for name, tt := range map[string]struct {
		data []byte
		want string
	}{
		"script":  {[]byte("#!/no/interpreter\n"), `no such file or directory: its first line names the interpreter "/no/interpreter", which is missing in the root file system`},
		"foreign": {foreign, "exec format error: the file is for the machine 999 of elf.h, this machine is "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			running := newBundle(t, args("sleep", "1000"))
			b := newBundle(t, args("/bin/refused"))
			for _, path := range []string{running.rootfs("bin/refused"), b.rootfs("bin/refused")} {
				if err := writeProgram(path, tt.data); err != nil {
					t.Fatal(err)
				}
			}
			if res := running.create().start().exec(nil, "/bin/refused"); res.code != 255 || !strings.Contains(res.stderr, tt.want) {
				t.Errorf("want exit code 255 and %q: %v", tt.want, res)
			}
			b.run().failed(t, tt.want)
			b.create().rt("start", b.id).failed(t, tt.want)
		})
	}
}
