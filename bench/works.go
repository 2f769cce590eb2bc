package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// work is something that users do with a runtime.
type work struct {
	name  string
	quick bool
	do    func(b *bench, name string) error
}

var works = []work{
	{"run true", true, func(b *bench, name string) error { return b.runs(name, plain, 0, true) }},
	{"run true, idle gaps of 150 ms", false, func(b *bench, name string) error { return b.runs(name, plain, 150*time.Millisecond, true) }},
	{"run true, Docker's configuration", false, func(b *bench, name string) error { return b.runs(name, docker, 0, false) }},
	{"create, start, wait, delete", true, (*bench).lives},
	{"exec true", true, func(b *bench, name string) error { return b.execs(name, 1) }},
	{"exec true, 50 at once", false, func(b *bench, name string) error { return b.execs(name, 50) }},
	{"state", true, func(b *bench, name string) error { return b.looks(name, "state") }},
	{"kill 0", true, func(b *bench, name string) error { return b.looks(name, "kill") }},
	{"list of one", true, func(b *bench, name string) error { return b.looks(name, "list") }},
	{"32 creates at once", false, (*bench).creates},
	{"1000 containers", false, (*bench).many},
	{"run true, 10000 host mounts", false, (*bench).mounts},
}

func (b *bench) rounds(full int) int {
	if b.quick {
		return min(full, 25)
	}
	return full
}

// pairs compares the samples of each subject with those of what it is held against,
// and the first subject with the floor, where there is one.
func (b *bench) pairs(name string, s [][]sample, floor []sample) {
	index := map[string]int{}
	for i, x := range b.subjects {
		index[x.name] = i
	}
	for i, x := range b.subjects {
		if x.against != "" {
			b.compare(name, "ms", x.against, x.name, times(s[index[x.against]]), times(s[i]))
		}
	}
	if floor != nil {
		b.compare(name, "ms", "hutch", "floor", times(s[0]), times(floor))
	}
}

func (b *bench) runs(name, bundle string, gap time.Duration, floor bool) error {
	var do []func(int) (sample, error)
	for _, x := range b.subjects {
		do = append(do, func(i int) (sample, error) {
			return b.once(x.call("run", "--bundle", b.bundle(bundle), x.id("run"+strconv.Itoa(i))))
		})
	}
	if floor {
		do = append(do, func(i int) (sample, error) {
			return b.once([]string{b.floor, filepath.Join(b.bundle(bundle), "rootfs"), "/sys/fs/cgroup/bench-floor", "/bin/true"})
		})
	}
	s, err := b.inTurn(b.rounds(80), gap, do)
	if err != nil {
		return err
	}
	if !floor {
		b.pairs(name, s, nil)
		return nil
	}
	b.pairs(name, s, s[len(s)-1])
	if gap > 0 {
		return nil
	}
	for i, x := range b.subjects {
		if x.against != "" {
			faults := func(s sample) float64 { return s.faults }
			b.compare("page faults of "+name, "faults", "hutch", x.name, of(s[0], faults), of(s[i], faults))
		}
	}
	return b.memory(name, bundle)
}

// memory compares the peaks of the resident sets.
func (b *bench) memory(name, bundle string) error {
	peaks := make([][]float64, len(b.subjects))
	for i := range 10 {
		for k, x := range b.subjects {
			argv := append([]string{b.floor, "--rss"}, x.call("run", "--bundle", b.bundle(bundle), x.id("rss"+strconv.Itoa(i)))...)
			out, err := exec.Command(argv[0], argv[1:]...).Output()
			if err != nil {
				return fmt.Errorf("%s: %w", strings.Join(argv, " "), err)
			}
			kib, err := strconv.ParseFloat(strings.TrimSpace(string(out)), 64)
			if err != nil {
				return err
			}
			peaks[k] = append(peaks[k], kib)
		}
	}
	for k, x := range b.subjects {
		if x.against != "" {
			b.compare("peak RSS of "+name, "KiB", "hutch", x.name, peaks[0], peaks[k])
		}
	}
	return nil
}

// lives is a container's life in four commands; wait is the end of its process.
func (b *bench) lives(name string) error {
	var do []func(int) (sample, error)
	for _, x := range b.subjects {
		do = append(do, func(i int) (sample, error) {
			id, pidFile := x.id("life"), filepath.Join(b.dir, "pid")
			var sum sample
			for _, words := range [][]string{{"create", "--pid-file", pidFile, "--bundle", b.bundle(plain), id}, {"start", id}, nil, {"delete", id}} {
				began := time.Now()
				if words == nil {
					if err := waitPid(pidFile); err != nil {
						return sum, err
					}
					sum.ms += float64(time.Since(began)) / 1e6
					continue
				}
				s, err := b.once(x.call(words...))
				if err != nil {
					return sum, err
				}
				sum.ms += s.ms
			}
			return sum, nil
		})
	}
	s, err := b.inTurn(b.rounds(60), 0, do)
	if err == nil {
		b.pairs(name, s, nil)
	}
	return err
}

// waitPid waits for the process in a pid file, an orphan that comes to this process.
func waitPid(file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return err
	}
	for {
		if _, err := unix.Wait4(pid, nil, 0, nil); err != unix.EINTR {
			return err
		}
	}
}

// withContainers calls do while each subject has n containers that wait.
func (b *bench) withContainers(n int, do func() error) (err error) {
	defer func() { err = errors.Join(err, b.deleteAll()) }()
	for _, x := range b.subjects {
		for i := range n {
			id := x.id(strconv.Itoa(i))
			for _, words := range [][]string{{"create", "--bundle", b.bundle(waits), id}, {"start", id}} {
				if _, err := b.once(x.call(words...)); err != nil {
					return err
				}
			}
		}
	}
	return do()
}

func (b *bench) execs(name string, together int) error {
	return b.withContainers(1, func() error {
		var do []func(int) (sample, error)
		for _, x := range b.subjects {
			do = append(do, func(int) (sample, error) {
				argv := x.call("exec", x.id("0"), "/bin/true")
				if together == 1 {
					return b.once(argv)
				}
				lines := make([][]string, together)
				for i := range lines {
					lines[i] = argv
				}
				began := time.Now()
				_, err := b.atOnce(lines)
				return sample{ms: float64(time.Since(began)) / 1e6}, err
			})
		}
		n := b.rounds(100)
		if together > 1 {
			n = 8
		}
		s, err := b.inTurn(n, 0, do)
		if err == nil {
			b.pairs(name, s, nil)
		}
		return err
	})
}

func (b *bench) looks(name, command string) error {
	return b.withContainers(1, func() error {
		var do []func(int) (sample, error)
		for _, x := range b.subjects {
			words := []string{command, x.id("0")}
			switch command {
			case "list":
				words = words[:1]
			case "kill":
				words = append(words, "CONT")
			}
			do = append(do, func(int) (sample, error) { return b.once(x.call(words...)) })
		}
		s, err := b.inTurn(b.rounds(100), 0, do)
		if err == nil {
			b.pairs(name, s, nil)
		}
		return err
	})
}

func (b *bench) creates(name string) error {
	var do []func(int) (sample, error)
	for _, x := range b.subjects {
		do = append(do, func(int) (sample, error) {
			var lines [][]string
			for i := range 32 {
				lines = append(lines, x.call("create", "--bundle", b.bundle(waits), x.id("at"+strconv.Itoa(i))))
			}
			began := time.Now()
			_, err := b.atOnce(lines)
			took := float64(time.Since(began)) / 1e6
			return sample{ms: took}, errors.Join(err, b.deleteAll())
		})
	}
	s, err := b.inTurn(6, 0, do)
	if err == nil {
		b.pairs(name, s, nil)
	}
	return err
}

// many is the time of one more container beside 1, 100 and 1,000 others.
func (b *bench) many(string) error {
	x := b.subjects[0]
	defer b.deleteAll()
	base := []float64(nil)
	have := 0
	for _, n := range []int{1, 100, 1000} {
		for ; have < n; have++ {
			if _, err := b.once(x.call("create", "--bundle", b.bundle(waits), x.id("m"+strconv.Itoa(have)))); err != nil {
				return err
			}
		}
		var took []float64
		for i := range 40 {
			id, sum := x.id("more"+strconv.Itoa(i)), 0.0
			for _, words := range [][]string{{"create", "--bundle", b.bundle(waits), id}, {"start", id}, {"delete", "--force", id}} {
				s, err := b.once(x.call(words...))
				if err != nil {
					return err
				}
				sum += s.ms
			}
			took = append(took, sum)
		}
		if base == nil {
			base = took
		}
		b.compare("create, start, delete beside "+strconv.Itoa(n)+" containers", "ms", "hutch", "hutch beside 1", took, base)
		if n == 1000 {
			var list []float64
			for range 10 {
				s, err := b.once(x.call("list"))
				if err != nil {
					return err
				}
				list = append(list, s.ms)
			}
			b.compare("list of 1000", "ms", "hutch", "hutch", list, list)
		}
	}
	return nil
}

// mounts is run true with 0, 1,000 and 10,000 mounts on the host; the floor does the
// same, for what the kernel itself loses.
func (b *bench) mounts(string) error {
	top := filepath.Join(b.dir, "mounts")
	if err := os.Mkdir(top, 0o755); err != nil {
		return err
	}
	have := 0
	defer func() {
		for i := range have {
			_ = unix.Unmount(filepath.Join(top, strconv.Itoa(i)), unix.MNT_DETACH)
		}
	}()
	x, bare := b.subjects[0], []string{b.floor, filepath.Join(b.bundle(plain), "rootfs"), "/sys/fs/cgroup/bench-floor", "/bin/true"}
	for _, n := range []int{0, 1000, 10000} {
		for ; have < n; have++ {
			dir := filepath.Join(top, strconv.Itoa(have))
			if err := os.Mkdir(dir, 0o755); err != nil {
				return err
			}
			if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=4k"); err != nil {
				return err
			}
		}
		s, err := b.inTurn(20, 0, []func(int) (sample, error){
			func(i int) (sample, error) {
				return b.once(x.call("run", "--bundle", b.bundle(plain), x.id("mm"+strconv.Itoa(i))))
			},
			func(int) (sample, error) { return b.once(bare) },
		})
		if err != nil {
			return err
		}
		b.compare(fmt.Sprintf("run true, %d host mounts", n), "ms", "hutch", "floor", times(s[0]), times(s[1]))
	}
	return nil
}
