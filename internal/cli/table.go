// Package cli is Hutch's command line: a table of commands and flags, the one parser that
// reads a command line by it, and what is made from it: help texts, completion and manual
// pages.
//
// The parser knows nothing of github.com/urfave/cli/v2, whose set-up takes longer than a
// whole state or kill; that renders help texts, and nothing of it runs before one is asked
// for.
package cli

import "slices"

// Table is a program's command line.
type Table struct {
	Name, Version string
	Usage         string // one line: what the program does
	Help          string // a paragraph
	Globals       []Flag // before the command
	Commands      []*Command
	Signals       func() []string // the names of the signals
}

// Command is one row of the table.
type Command struct {
	Name      string
	Alias     string // empty for most
	Usage     string // one line, without a full stop
	Arguments string // as the synopsis shows them
	// Wants completes "NAME: requires ..., got 3"; empty for a command without arguments.
	Wants    string
	Min, Max int    // number of arguments; Many is no upper bound
	Words    []Word // what the arguments are, for completion
	// Choices are what the only argument may be, for completion.
	Choices []string
	// Shared are flags that another command has, too, and Flags the others. They are two so
	// that the table is data of the linker: nothing puts it together at start-up.
	Shared, Flags []Flag
	// Verbatim is set when what follows the first argument belongs to another program's
	// command line.
	Verbatim bool
	Help     string // a paragraph
	Examples []Example
	Exits    []Exit // 0 and 1 mean the same for every command, and are not listed
	// Failed is the exit status when the command fails; 0 stands for 1.
	Failed int
	// States are those of the containers that completion offers; none is all.
	States []string
	Do     func(*Line) error
}

// Many is a Command's Max without a bound.
const Many = 1 << 30

// Example is a command line and what it does.
type Example struct{ Line, Does string }

// Exit is an exit status and when it is returned.
type Exit struct{ Status, When string }

// Kind is the type of a flag's value.
type Kind uint8

const (
	String Kind = iota
	Bool
	Int
	Duration
	List // of strings: the flag may be given again
)

// Word is what an argument, or a flag's value, stands for: what completion offers.
type Word uint8

const (
	Any Word = iota
	File
	Dir
	ID     // of a container
	Signal // its name
	Name   // of a command
)

// Flag is one flag.
type Flag struct {
	Name  string
	Alias string // a letter, or empty
	Kind  Kind
	// Usage is one line without a full stop. A word in backquotes is the value's name.
	Usage   string
	Default string // of a String or Duration
	// Choices are the only values that a String may have, or, with Open, the usual ones.
	Choices []string
	Open    bool
	Word    Word
	Hidden  bool // accepted, but in no help text
}

// helpFlag is a flag of each command and of the program.
var helpFlag = Flag{Name: "help", Alias: "h", Kind: Bool, Usage: "show this help"}

// AllFlags returns the command's flags, those for --help left out.
func (c *Command) AllFlags() []Flag { return append(slices.Clip(c.Shared), c.Flags...) }

// Find returns the command of a name, nil when there is none.
func (t *Table) Find(name string) *Command {
	for _, c := range t.Commands {
		if c.Name == name || c.Alias == name && name != "" {
			return c
		}
	}
	return nil
}

// Lookup returns the command of a name; the error of one that is not there names the one
// that may be meant.
func (t *Table) Lookup(name string) (*Command, error) {
	if c := t.Find(name); c != nil {
		return c, nil
	}
	return nil, t.unknownCommand(name)
}

// find returns the flag of a name or an alias, nil when there is none.
func find(name string, lists ...[]Flag) *Flag {
	for _, flags := range lists {
		for i := range flags {
			if f := &flags[i]; f.Name == name || f.Alias == name && name != "" {
				return f
			}
		}
	}
	if name == helpFlag.Name || name == helpFlag.Alias {
		return &helpFlag
	}
	return nil
}
