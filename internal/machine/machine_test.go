package machine

import "testing"

// TestCloneArgs: both arguments are passed, the flags first but where the stack is.
func TestCloneArgs(t *testing.T) {
	first, second := CloneArgs(1, 2)
	if StackFirst {
		first, second = second, first
	}
	if first != 1 || second != 2 {
		t.Errorf("got %d, %d", first, second)
	}
}
