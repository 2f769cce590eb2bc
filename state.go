package main

import (
	"encoding/json"
	"os"
)

var stateCommand = command{
	name:  "state",
	usage: "print the state of a container as JSON",
	words: "ID",
	do: func(f flags) error {
		id, err := oneWord(f, "state")
		if err != nil {
			return err
		}
		r, err := newRuntime(f)
		if err != nil {
			return err
		}
		s, err := r.State(id)
		if err != nil {
			return err
		}
		e := json.NewEncoder(os.Stdout)
		e.SetIndent("", "  ")
		return e.Encode(s)
	},
}
