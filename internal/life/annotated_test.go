package life

import (
	"errors"
	"reflect"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/part/seccomp"
	"github.com/hutch-project/hutch/internal/part/user"
	"github.com/hutch-project/hutch/internal/program/spawn"
)

// TestAnnotated: each field of what annotations say of processes is set by one.
func TestAnnotated(t *testing.T) {
	got := reflect.ValueOf(annotated(map[string]string{seccomp.RawAnnotation: "filter", user.KeepGroups: "1"}))
	for i := range got.NumField() {
		if got.Field(i).IsZero() {
			t.Errorf("no annotation sets %s", got.Type().Field(i).Name)
		}
	}
	if none := annotated(nil); !reflect.ValueOf(none).IsZero() {
		t.Errorf("without annotations: %+v", none)
	}
}

// TestTerminalIsConnectedBeforeTheAnswer: what is done with the terminal, which sets its size, is
// over when the child is answered.
func TestTerminalIsConnectedBeforeTheAnswer(t *testing.T) {
	ptmx, err := unix.Open("/dev/pts/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Skipf("needs a terminal: %v", err)
	}
	over := errors.New("over")
	var c console
	h := c.handler("", func() []int { return nil }, func() error { return over })
	if _, err := h.serve(spawn.Event{Fd: ptmx}); !errors.Is(err, over) {
		t.Errorf("answered before it is connected, or in spite of its failure: %v", err)
	}
	c.master.Close()
}
