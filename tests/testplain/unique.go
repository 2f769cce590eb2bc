package testplain

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
)

// RunVariable of the environment is a word that the names of a test's containers have, by
// which whoever has started it finds their cgroups.
const RunVariable = "HUTCH_TEST_RUN"

var serial atomic.Int64

// run is what the names of this process have in common: numbers of processes are those of a
// pid namespace, where another box has the same.
var run = sync.OnceValue(func() string { return os.Getenv(RunVariable) + RandomWord() })

// RandomWord returns eight hexadecimal digits.
func RandomWord() string {
	var b [4]byte
	_, _ = rand.Read(b[:]) // crypto/rand: it never fails
	return hex.EncodeToString(b[:])
}

// Unique returns a name that no other test of the machine has, of this or another run, as the
// ids of containers have to be, which are names of cgroups.
func Unique(prefix string) string { return fmt.Sprintf("%s%d", UniquePrefix(prefix), serial.Add(1)) }

// UniquePrefix returns what all names of this process with the prefix begin with.
func UniquePrefix(prefix string) string { return prefix + "-" + run() + "-" }
