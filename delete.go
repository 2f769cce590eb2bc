package main

var deleteCommand = command{
	name:    "delete",
	usage:   "delete a container that has stopped or was never started",
	words:   "ID",
	options: []option{{name: "force", alias: "f", kind: boolean, usage: "kill it first; an unknown id is no error"}},
	do: func(f flags) error {
		id, err := oneWord(f, "delete")
		if err != nil {
			return err
		}
		r, err := newRuntime(f)
		if err != nil {
			return err
		}
		return r.Delete(id, f.Bool("force"))
	},
}
