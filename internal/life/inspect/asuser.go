package inspect

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/hutch-project/hutch/internal/nearest"
	"github.com/hutch-project/hutch/internal/part/user"
	"github.com/hutch-project/hutch/internal/seat"
)

// AsUser makes this process one of the user that text names: an id, or a name of the host's
// passwd file, and behind a colon another group than the user's. It comes before all else,
// and cannot be taken back.
func AsUser(text string) error {
	passwd, _ := os.ReadFile(user.NameFiles[0])
	groups, _ := os.ReadFile(user.NameFiles[1])
	account, err := findUser(text, passwd, groups)
	if err != nil {
		return err
	}
	if os.Geteuid() == int(account.UID) && os.Getegid() == int(account.GID) {
		return nil
	}
	additional := make([]int, len(account.Groups))
	for i, id := range account.Groups {
		additional[i] = int(id)
	}
	return seat.Become(int(account.UID), int(account.GID), additional)
}

// findUser returns the account that text names by the host's files. The number of a user
// who has a name is that user, with the groups that the files say; of another it is the
// group as well.
func findUser(text string, passwd, groups []byte) (user.Account, error) {
	name, group, _ := strings.Cut(text, ":")
	if id, ok := user.Number(name); ok {
		known := user.NameOf(passwd, id)
		if known == "" && group == "" {
			group = name
		}
		name = cmp.Or(known, name)
	}
	account, err := user.Find(name, "", passwd, groups)
	if err == nil && group != "" {
		var other user.Account
		if other, err = user.Find(name, group, passwd, groups); err == nil {
			account.GID = other.GID
		}
	}
	unknown := new(user.Unknown)
	if !errors.As(err, &unknown) {
		return account, err
	}
	err = fmt.Errorf("%w, and is no id", err)
	if hint := nearest.Hint(unknown.Name, unknown.Names); hint != "" {
		err = fmt.Errorf("%w; %s", err, hint)
	}
	return account, err
}
