package probe

import "testing"

func TestKernelHas(t *testing.T) {
	for _, tc := range []struct {
		release, since string
		want           bool
	}{
		{"6.18.9-cloud-amd64", "6.18", true},
		{"6.18.9-cloud-amd64", "6.19", false},
		{"6.9.0", "6.18", false}, // numbers, not texts
		{"5.14-rc1", "5.14", true},
		{"5.13.0-52-generic", "5.14", false},
		{"7.0", "6.18", true},
		{"5.12.0", "", true},
		{"", "5.14", false},
	} {
		if got := ParseKernel(tc.release).Has(tc.since); got != tc.want {
			t.Errorf("kernel %q has what is since %q: %v, want %v", tc.release, tc.since, got, tc.want)
		}
	}
}

func TestParseKernel(t *testing.T) {
	for release, want := range map[string]Kernel{
		"6.18.0": {6, 18}, "5.4-rc1+": {5, 4}, "6.1.0-21-amd64": {6, 1}, "x": {}, "": {},
	} {
		if got := ParseKernel(release); got != want {
			t.Errorf("%q: got %v, want %v", release, got, want)
		}
	}
}
