package validate

import (
	"errors"
	"strconv"

	"github.com/hutch-project/hutch/internal/fault"
)

// maxIDLength bounds a container's id, in bytes, as runc does.
const maxIDLength = 1024

// ID checks a container's id, which becomes the name of a directory and of a
// cgroup: letters, digits and _ + . - in ASCII, neither "." nor "..".
func ID(id string) error {
	const remedy = "; use letters, digits and _ + . - only"
	switch {
	case id == "":
		return errors.New("container id cannot be empty; give one as argument")
	case id == "." || id == "..":
		return errors.New("invalid container ID format: " + fault.Quote(id) + " names a directory of its own" + remedy)
	case len(id) > maxIDLength:
		return errors.New("invalid container ID format: " + fault.Quote(id) + " has " + strconv.Itoa(len(id)) +
			" bytes; use at most " + strconv.Itoa(maxIDLength))
	}
	for _, r := range id {
		if !alphanumeric(r) && r != '_' && r != '+' && r != '.' && r != '-' {
			return errors.New("invalid container ID format: " + fault.Quote(id) + " has the character " + strconv.QuoteRune(r) + remedy)
		}
	}
	return nil
}
