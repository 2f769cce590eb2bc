package main

import (
	"fmt"
	"regexp"

	"github.com/hutch-project/hutch/internal/cli"
	"github.com/hutch-project/hutch/internal/life"
)

// regexUsage describes the flag --regex of kill and delete.
const regexUsage = "the id is a regular expression: do it to each container that it matches"

// eachMatch does something to the containers whose ids the line's first argument matches,
// anywhere in them. What fails for one is warned of, and the others are gone on with.
//
// Source: crun's kill and delete.
func eachMatch(l *cli.Line, r *life.Runtime, do func(id string) error) error {
	expression, err := regexp.CompilePOSIX(l.Words[0])
	if err != nil {
		return fmt.Errorf("%s: --regex: %w", l.Command.Name, err)
	}
	all, err := r.List()
	if err != nil {
		return err
	}
	for _, s := range all {
		if !expression.MatchString(s.ID) {
			continue
		}
		if err := do(s.ID); err != nil {
			warn(err.Error() + ", ignoring")
		}
	}
	return nil
}
