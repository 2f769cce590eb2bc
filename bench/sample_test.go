package main

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestCompare(t *testing.T) {
	b := &bench{}
	// The pairs' ratios are 0.5, 2, 0.25: their median is no quotient of medians.
	b.compare("work", "ms", "a", "b", []float64{1, 4, 2}, []float64{2, 2, 8})
	r := b.rows[0]
	if r.n != 3 || r.ratio != [3]float64{0.25, 0.5, 2} || r.p50 != 2 || r.p99 != 4 || r.peer50 != 2 {
		t.Errorf("got %+v", r)
	}
}

func TestAt(t *testing.T) {
	v := []float64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}
	for q, want := range map[float64]float64{0: 1, 0.5: 6, 0.9: 10, 1: 10} {
		if got := at(v, q); got != want {
			t.Errorf("at %v: got %v, want %v", q, got, want)
		}
	}
	if got := at(nil, 0.5); got != 0 {
		t.Errorf("of nothing: got %v", got)
	}
}

func TestInTurnTurns(t *testing.T) {
	var order strings.Builder
	var works []func(int) (sample, error)
	for _, name := range []string{"a", "b", "c"} {
		works = append(works, func(i int) (sample, error) {
			order.WriteString(name)
			return sample{ms: float64(i)}, nil
		})
	}
	const rounds = 60
	s, err := (&bench{}).inTurn(rounds, 0, works)
	if err != nil {
		t.Fatal(err)
	}
	for k := range works {
		if got := times(s[k]); len(got) != rounds || got[0] != 1 || got[rounds-1] != rounds {
			t.Errorf("work %d: samples %v, want those after the first", k, got)
		}
	}
	for round := range slices.Chunk([]byte(order.String()), len(works)) {
		if got := slices.Sorted(slices.Values(round)); string(got) != "abc" {
			t.Errorf("a round has %s", round)
		}
	}
	for _, pair := range []string{"ab", "ba", "ac", "ca", "bc", "cb"} {
		if n := strings.Count(order.String(), pair); n < rounds/4 || n > rounds*3/5 {
			t.Errorf("%s has come %d times in %d rounds", pair, n, rounds)
		}
	}
}

func TestOutputs(t *testing.T) {
	b := &bench{}
	b.compare("run", "ms", "hutch", "crun", []float64{1}, []float64{2})
	b.compare("peak", "KiB", "hutch", "crun", []float64{3}, []float64{4})
	dir := t.TempDir()
	if err := b.writeTSV(filepath.Join(dir, "t")); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "t"))
	if err != nil {
		t.Fatal(err)
	}
	want := "work\tn\tsubject\tpeer\tratio_median\tratio_p10\tratio_p90\tsubject_p50_ms\tsubject_p99_ms\tpeer_p50_ms\n" +
		"run\t1\thutch\tcrun\t0.500\t0.500\t0.500\t1.000\t1.000\t2.000\n" +
		"peak (KiB)\t1\thutch\tcrun\t0.750\t0.750\t0.750\t3.000\t3.000\t4.000\n"
	if string(text) != want {
		t.Errorf("got\n%swant\n%s", text, want)
	}
	if err := b.writeChart(filepath.Join(dir, "c")); err != nil {
		t.Fatal(err)
	}
	chart, err := os.ReadFile(filepath.Join(dir, "c"))
	if err != nil {
		t.Fatal(err)
	}
	if n := bytes.Count(chart, []byte("<rect")); n != 1 {
		t.Errorf("%d bars, want one: times alone are drawn", n)
	}
}
