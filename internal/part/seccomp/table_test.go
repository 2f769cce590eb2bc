package seccomp

import (
	"maps"
	"slices"
	"testing"
)

func TestNamesAreSorted(t *testing.T) {
	for row := range rows {
		if row > 0 && rowName(row-1) >= rowName(row) {
			t.Errorf("%q is before %q", rowName(row-1), rowName(row))
		}
		if got := findRow(rowName(row)); got != row {
			t.Errorf("findRow(%q) = %d, want %d", rowName(row), got, row)
		}
	}
	for _, name := range []string{"", "a", "rea", "readd", "zzz", "Read"} {
		if row := findRow(name); row != -1 {
			t.Errorf("findRow(%q) = %d, want -1", name, row)
		}
	}
}

// TestTableHasLibseccompsNumbers compares each architecture that libseccomp has:
// each of its calls is here with its number, and what is here beyond that is
// newer than libseccomp, or in the list.
func TestTableHasLibseccompsNumbers(t *testing.T) {
	l := newLibrary(t)
	compared := 0
	for _, a := range arches() {
		if !libraryKnows(&a) {
			continue
		}
		theirs := l.names(t, &a)
		for _, name := range slices.Sorted(maps.Keys(theirs)) {
			row := findRow(name)
			if row < 0 {
				t.Errorf("%s: no %s (%d)", a.name, name, theirs[name])
				continue
			}
			slot, ok := a.column.slot(row)
			if n := a.base + slotNumber(slot); !ok || n != theirs[name] {
				t.Errorf("%s: %s is %d (%t), libseccomp has %d", a.name, name, n, ok, theirs[name])
			}
			compared++
		}
		for row := range rows {
			slot, ok := a.column.slot(row)
			// These came after libseccomp 2.5.4, below the numbers that go on.
			late := []string{"uprobe", "uretprobe", "riscv_hwprobe"}
			if _, both := theirs[rowName(row)]; ok && !both && slot <= 450 && !slices.Contains(late, rowName(row)) {
				t.Errorf("%s: %s is %d, libseccomp has it not", a.name, rowName(row), slot)
			}
		}
	}
	t.Logf("%d numbers compared", compared)
}
