package main

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// column is the numbers of one architecture: name to number without base.
type column struct {
	name    string // Go constant
	sources []string
	base    int
	numbers map[string]int
}

// table is all columns, in the order of the Go constants.
type table []column

// unified is the first number that is the same on every architecture for good:
// the calls below it are in extra.txt.
const unified = 451

// columns are the columns and what they are read from: files of x/sys/unix that
// have to agree, or a column of extra.txt.
func columns() table {
	return table{
		{name: "colX86", sources: []string{"386"}},
		{name: "colX8664", sources: []string{"amd64"}},
		{name: "colX32"},
		{name: "colARM", sources: []string{"arm"}},
		{name: "colARM64", sources: []string{"arm64"}},
		{name: "colMIPS", sources: []string{"mips", "mipsle"}, base: 4000},
		{name: "colMIPS64", sources: []string{"mips64", "mips64le"}, base: 5000},
		{name: "colN32"},
		{name: "colPPC", sources: []string{"ppc"}},
		{name: "colPPC64", sources: []string{"ppc64", "ppc64le"}},
		{name: "colS390"},
		{name: "colS390X", sources: []string{"s390x"}},
		{name: "colPARISC"},
		{name: "colPARISC64"},
		{name: "colRISCV64", sources: []string{"riscv64"}},
		{name: "colLoong64", sources: []string{"loong64"}},
		{name: "colM68K"},
		{name: "colSH"},
	}
}

// armPrivate are the calls of arch/arm/include/uapi/asm/unistd.h; their numbers
// begin at 0x0f0000.
func armPrivate() []string {
	return []string{"breakpoint", "cacheflush", "usr26", "usr32", "set_tls", "get_tls"}
}

// load reads all columns.
func load(unixDir, extra string) (table, error) {
	t := columns()
	text, err := os.ReadFile(extra)
	if err != nil {
		return nil, err
	}
	for i := range t {
		c := &t[i]
		if c.sources == nil {
			c.numbers, err = parseExtra(string(text), strings.ToLower(strings.TrimPrefix(c.name, "col")))
			if err != nil {
				return nil, err
			}
			continue
		}
		for _, arch := range c.sources {
			numbers, err := parseUnix(filepath.Join(unixDir, "zsysnum_linux_"+arch+".go"), c.base)
			if err != nil {
				return nil, err
			}
			if c.numbers != nil && !maps.Equal(c.numbers, numbers) {
				return nil, fmt.Errorf("%s: the numbers of %v differ", c.name, c.sources)
			}
			c.numbers = numbers
		}
		if c.name == "colARM" {
			for n, name := range armPrivate() {
				c.numbers[name] = private + n + 1
			}
		}
	}
	t.unify()
	return t, nil
}

// unify gives the columns of extra.txt the calls from unified on: those that all
// other columns agree on.
func (t table) unify() {
	for name, number := range t[1].numbers {
		if number < unified {
			continue
		}
		everywhere := !slices.ContainsFunc(t, func(c column) bool {
			n, ok := c.numbers[name]
			return c.sources != nil && (!ok || n != number)
		})
		if !everywhere {
			continue
		}
		for i := range t {
			// The kernel's table for x86_64 gives map_shadow_stack to the 64-bit ABI alone.
			if t[i].sources == nil && (name != "map_shadow_stack" || t[i].name != "colX32") {
				t[i].numbers[name] = number
			}
		}
	}
}

// parseUnix reads the SYS_ constants of a file of x/sys/unix. Placeholders that
// name no system call are left out.
func parseUnix(file string, base int) (map[string]int, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	none := regexp.MustCompile(`^(unused|reserved)[0-9]+$|^arch_specific_syscall$|^syscall_mask$`)
	numbers := map[string]int{}
	for _, m := range regexp.MustCompile(`(?m)^\tSYS_(\w+)\s+= (\d+)$`).FindAllStringSubmatch(string(text), -1) {
		name := strings.ToLower(m[1])
		n, err := strconv.Atoi(m[2])
		if err != nil {
			return nil, err
		}
		if !none.MatchString(name) {
			numbers[name] = n - base
		}
	}
	if len(numbers) < 300 {
		return nil, fmt.Errorf("%s: only %d system calls", file, len(numbers))
	}
	return numbers, nil
}

// parseExtra reads a column of extra.txt.
func parseExtra(text, column string) (map[string]int, error) {
	numbers := map[string]int{}
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) == 0 || f[0] != column {
			continue
		}
		first, err := strconv.Atoi(f[1])
		if err != nil {
			return nil, fmt.Errorf("extra.txt: %q: %w", line, err)
		}
		for i, name := range f[2:] {
			if _, twice := numbers[name]; twice {
				return nil, fmt.Errorf("extra.txt: %s has %s twice", column, name)
			}
			numbers[name] = first + i
		}
	}
	if len(numbers) < 300 {
		return nil, fmt.Errorf("extra.txt: %s has only %d system calls", column, len(numbers))
	}
	return numbers, nil
}
