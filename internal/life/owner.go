package life

import (
	"os"
	"strconv"

	"github.com/hutch-project/hutch/internal/part/user"
)

// ownerName returns the name of the user uid, its number where the host has none for it.
func ownerName(uid int) string {
	if uid == 0 {
		return "root" // in every passwd file, and most asked for
	}
	f, err := os.Open("/etc/passwd")
	if err != nil {
		return strconv.Itoa(uid)
	}
	defer f.Close()
	return user.Name(f, uint32(uid))
}
