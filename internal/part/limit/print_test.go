package limit

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/nofile"
)

// print is what a child of a test prints of itself.
func print(what string) {
	switch what {
	case "nofile":
		var now unix.Rlimit
		_ = unix.Getrlimit(unix.RLIMIT_NOFILE, &now)
		soft, hard := nofile.Inherited()
		fmt.Print(soft, hard, now.Cur)
	default:
		fmt.Fprintln(os.Stderr, "what is", what)
		os.Exit(1)
	}
}
