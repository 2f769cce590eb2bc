package program

import "testing"

// A label is of the Builder that it was asked of: neither those before it nor a function
// that is called with one can change another's.
func TestLabelsAreScoped(t *testing.T) {
	b := New()
	callee := func(b *Builder) {
		b = b.Element(T("mounts")).Doing(T("bind")).Step(T("attach"))
		b.Exit(0)
	}
	b.Exit(0)
	root := b.Element(T("root"))
	doing := root.Doing(T("open %s", "/r"))
	step := doing.Step(T("resolve"))
	step.Exit(0)
	callee(step)
	step.Exit(0)
	doing.Exit(0)
	step.Step(T("again")).Exit(0)
	step.Doing(T("close")).Exit(0)
	step.Element(T("process")).Exit(0)
	root.Step(T("look")).Exit(0)
	b.Exit(0)
	p, err := b.Program()
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"", "root: open /r: resolve", "mounts: bind: attach", "root: open /r: resolve", "root: open /r",
		"root: open /r: again", "root: close", "process", "root: look", ""}
	for i := range want {
		if got := p.Note(&p.Child[i]).String(); got != want[i] {
			t.Errorf("instruction %d: %q, want %q", i, got, want[i])
		}
	}
}
