package main

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/hutch-project/hutch/internal/cli"
	"github.com/hutch-project/hutch/internal/config"
	"github.com/hutch-project/hutch/internal/life"
)

var updateCommand = cli.Command{
	Name:      "update",
	Usage:     "change the limits of a container",
	Arguments: "ID", Wants: oneID, Min: 1, Max: 1,
	Words: []cli.Word{cli.ID}, States: []string{"created", "running", "paused"},
	Flags: []cli.Flag{
		{Name: "resources", Alias: "r", Word: cli.File, Usage: "`FILE` with a linux.resources object, - for standard input; other limits' flags are ignored then"},
		{Name: "blkio-weight", Usage: "weight of block IO, 10 to 1000"},
		{Name: "cpu-period", Usage: "period of the CPU quota in microseconds"},
		{Name: "cpu-quota", Usage: "CPU time in a period in microseconds, -1 for no limit"},
		{Name: "cpu-burst", Usage: "CPU time saved up for bursts in microseconds"},
		{Name: "cpu-share", Usage: "CPU shares"},
		{Name: "cpu-rt-period", Usage: "period of the realtime CPU quota in microseconds"},
		{Name: "cpu-rt-runtime", Usage: "realtime CPU time in a period in microseconds"},
		{Name: "cpuset-cpus", Usage: "processors to use, as 0-3,7"},
		{Name: "cpuset-mems", Usage: "memory nodes to use, as 0,1"},
		{Name: "cpu-idle", Usage: "1 for the idle scheduling of the cgroup"},
		{Name: "memory", Usage: "memory in bytes, or with b, k, m, g, t; -1 for no limit"},
		{Name: "memory-reservation", Usage: "memory that is kept from being reclaimed, as --memory"},
		{Name: "memory-swap", Usage: "memory and swap together, as --memory"},
		{Name: "pids-limit", Usage: "number of processes, -1 for no limit"},
		{Name: "l3-cache-schema", Usage: "schema of the L3 cache of Intel RDT, as L3:0=7f"},
		{Name: "mem-bw-schema", Usage: "schema of the memory bandwidth of Intel RDT, as MB:0=20"},
		{Name: "kernel-memory", Usage: "without effect: no kernel of today has it", Hidden: true},
		{Name: "kernel-memory-tcp", Usage: "without effect: no kernel of today has it", Hidden: true},
	},
	Help: "Changes the limits of a container that is created, running or paused; those that are not " +
		"named stay. When one cannot be written, those before it are taken back. Without any flag it " +
		"does nothing.",
	Examples: []cli.Example{
		{Line: "hutch update --memory 512m --pids-limit 100 web1", Does: "two limits"},
		{Line: `echo '{"cpu": {"shares": 512}}' | hutch update -r - web1`, Does: "as config.json has them"},
	},
	Do: update,
}

func update(line *cli.Line) error {
	id := line.Words[0]
	with, err := newLimits(&line.Values)
	if err != nil {
		return fmt.Errorf("update %s: %w", id, err)
	}
	r, err := newRuntime(line)
	if err != nil {
		return err
	}
	undo := func() error { return nil }
	if l3, mb := line.String("l3-cache-schema"), line.String("mem-bw-schema"); l3 != "" || mb != "" {
		if undo, err = r.UpdateRdt(id, l3, mb); err != nil {
			return err
		}
	}
	if err := r.Update(id, func(res *specs.LinuxResources) { life.Merge(res, with) }); err != nil {
		return errors.Join(err, undo())
	}
	return nil
}

// newLimits returns the limits that the flags name, none when there are no flags.
func newLimits(c *cli.Values) (*specs.LinuxResources, error) {
	file := c.String("resources")
	if file == "" {
		return limitsOfFlags(c)
	}
	read := func() ([]byte, error) { return config.ReadFile(file) }
	if file == "-" {
		read = config.ReadStdin
	}
	text, err := read()
	if err != nil {
		return nil, fmt.Errorf("--resources: %w", err)
	}
	r, err := config.DecodeResources(text)
	if err != nil {
		return nil, fmt.Errorf("--resources %s: %w", file, err)
	}
	return r, nil
}

func limitsOfFlags(c *cli.Values) (*specs.LinuxResources, error) {
	flags := &limitFlags{c: c}
	res := &specs.LinuxResources{
		CPU: &specs.LinuxCPU{
			Shares: unsigned[uint64](flags, "cpu-share", 64), Quota: signed(flags, "cpu-quota"), Period: unsigned[uint64](flags, "cpu-period", 64),
			Burst: unsigned[uint64](flags, "cpu-burst", 64), RealtimePeriod: unsigned[uint64](flags, "cpu-rt-period", 64),
			RealtimeRuntime: signed(flags, "cpu-rt-runtime"), Idle: signed(flags, "cpu-idle"),
			Cpus: c.String("cpuset-cpus"), Mems: c.String("cpuset-mems"),
		},
		Memory:  &specs.LinuxMemory{Limit: flags.bytes("memory"), Reservation: flags.bytes("memory-reservation"), Swap: flags.bytes("memory-swap")},
		BlockIO: &specs.LinuxBlockIO{Weight: unsigned[uint16](flags, "blkio-weight", 16)},
	}
	if n := signed(flags, "pids-limit"); n != nil {
		res.Pids = &specs.LinuxPids{Limit: n}
	}
	return res, flags.err
}

// limitFlags parses flags; it keeps the first error.
type limitFlags struct {
	c   *cli.Values
	err error
}

func (f *limitFlags) parse(name, want string, parse func(text string) error) {
	if text := f.c.String(name); text != "" && f.err == nil {
		if err := parse(text); err != nil {
			f.err = fmt.Errorf("--%s: %q is not %s", name, text, want)
		}
	}
}

func unsigned[T uint16 | uint64](f *limitFlags, name string, bits int) (v *T) {
	f.parse(name, "a number from 0 to 2^"+strconv.Itoa(bits)+"-1", func(text string) error {
		n, err := strconv.ParseUint(text, 10, bits)
		t := T(n)
		v = &t
		return err
	})
	return v
}

func signed(f *limitFlags, name string) (v *int64) {
	f.parse(name, "a number", func(text string) error {
		n, err := strconv.ParseInt(text, 10, 64)
		v = &n
		return err
	})
	return v
}

func (f *limitFlags) bytes(name string) (v *int64) {
	f.parse(name, "a size in bytes, or with b, k, m, g, t, or -1 for no limit", func(text string) error {
		n, err := parseBytes(text)
		v = &n
		return err
	})
	return v
}

// parseBytes parses a size: "-1", or a number, whole or with a fraction, and b, k,
// m, g, t, p with or without b or ib after it, in powers of 1024.
func parseBytes(text string) (int64, error) {
	if text == "-1" {
		return -1, nil
	}
	number := strings.TrimRight(strings.ToLower(text), "bi")
	shift := 0
	if i := strings.IndexByte("kmgtp", lastByte(number)); i >= 0 {
		number, shift = number[:len(number)-1], 10*(i+1)
	}
	v, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	v *= float64(int64(1) << shift)
	if err != nil || v < 0 || v >= math.MaxInt64 || strings.ContainsAny(number, "einx+") {
		return 0, errors.New("is no size")
	}
	return int64(v), nil
}

func lastByte(s string) byte {
	if s == "" {
		return 0
	}
	return s[len(s)-1]
}
