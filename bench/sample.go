package main

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// bench is one run of it.
type bench struct {
	*config
	subjects []subject
	rows     []row
	stopped  atomic.Bool
}

// sample is what one command has used.
type sample struct {
	ms     float64
	kib    float64 // peak of the resident set
	faults float64
}

// once runs a command to its end.
func (b *bench) once(argv []string) (sample, error) {
	if b.stopped.Load() {
		return sample{}, errors.New("interrupted")
	}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return sample{}, err
	}
	defer null.Close()
	// A file: the init that create leaves behind keeps a pipe open.
	said, err := os.CreateTemp(b.dir, "stderr")
	if err != nil {
		return sample{}, err
	}
	defer func() { said.Close(); os.Remove(said.Name()) }()
	began := time.Now()
	p, err := os.StartProcess(argv[0], argv, &os.ProcAttr{Env: os.Environ(), Files: []*os.File{null, null, said}})
	if err != nil {
		return sample{}, err
	}
	state, err := p.Wait()
	took := time.Since(began)
	if err != nil {
		return sample{}, err
	}
	if !state.Success() {
		text, _ := os.ReadFile(said.Name())
		return sample{}, fmt.Errorf("%s: %s: %s", strings.Join(argv, " "), state, bytes.TrimSpace(text))
	}
	u := state.SysUsage().(*syscall.Rusage)
	return sample{float64(took) / 1e6, float64(u.Maxrss), float64(u.Minflt)}, nil
}

// inTurn takes n samples of each of works, with a gap before each, each round in an order by
// chance, the same in each run: the kernel still takes down the namespaces of one run, on another
// processor, while the next one starts, and none is to have always the same one before it.
func (b *bench) inTurn(n int, gap time.Duration, works []func(i int) (sample, error)) ([][]sample, error) {
	out := make([][]sample, len(works))
	chance := rand.New(rand.NewPCG(1, 1))
	for i := range n + 1 { // the first warms up
		for _, k := range chance.Perm(len(works)) {
			time.Sleep(gap)
			s, err := works[k](i)
			if err != nil {
				return nil, err
			}
			if i > 0 {
				out[k] = append(out[k], s)
			}
		}
	}
	return out, nil
}

// atOnce runs command lines side by side and gives a sample each.
func (b *bench) atOnce(lines [][]string) ([]sample, error) {
	out, errs := make([]sample, len(lines)), make([]error, len(lines))
	var all sync.WaitGroup
	for i, argv := range lines {
		all.Go(func() { out[i], errs[i] = b.once(argv) })
	}
	all.Wait()
	return out, errors.Join(errs...)
}

// row is a line of the result.
type row struct {
	work, unit       string
	n                int
	subject, peer    string
	ratio            [3]float64 // p10, median, p90 of the ratios pair by pair
	p50, p99, peer50 float64
}

// compare adds the row of a against its peer.
func (b *bench) compare(work, unit, subject, peer string, a, p []float64) {
	n := min(len(a), len(p))
	ratios := make([]float64, n)
	for i := range n {
		ratios[i] = a[i] / p[i]
	}
	slices.Sort(ratios)
	a, p = slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(p))
	b.rows = append(b.rows, row{work, unit, n, subject, peer,
		[3]float64{at(ratios, 0.1), at(ratios, 0.5), at(ratios, 0.9)}, at(a, 0.5), at(a, 0.99), at(p, 0.5)})
}

// at is the quantile q of sorted values.
func at(v []float64, q float64) float64 {
	if len(v) == 0 {
		return 0
	}
	return v[min(int(q*float64(len(v))), len(v)-1)]
}

func of(s []sample, what func(sample) float64) []float64 {
	out := make([]float64, len(s))
	for i := range s {
		out[i] = what(s[i])
	}
	return out
}

func times(s []sample) []float64 { return of(s, func(s sample) float64 { return s.ms }) }

// reap waits for the orphans that have ended.
func reap() {
	for {
		if pid, err := unix.Wait4(-1, nil, unix.WNOHANG, nil); pid <= 0 && err != unix.EINTR {
			return
		}
	}
}
