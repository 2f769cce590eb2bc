package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// charged finds the lowest memory limit with which a container is created: what
// the runtime charges to it before its program is executed; and the lowest with
// which it runs, its program with it. It uses the host's own cgroups, which count
// memory.
func (b *bench) charged() error {
	for _, command := range [...]string{"create", "run"} {
		var lowest [2][]float64
		for range 3 {
			for k, name := range [...]string{"hutch", "runc"} {
				i := slices.IndexFunc(b.subjects, func(x subject) bool { return x.name == name })
				low, err := b.lowestLimit(b.subjects[i], command)
				if err != nil {
					return err
				}
				lowest[k] = append(lowest[k], low)
			}
		}
		b.compare("lowest memory limit of "+command, "KiB", "hutch", "runc", lowest[0], lowest[1])
	}
	return nil
}

// lowestLimit halves until it is known to 8 KiB.
func (b *bench) lowestLimit(x subject, command string) (kib float64, err error) {
	low, high := int64(0), int64(16<<20)
	for high-low > 8<<10 {
		middle := (low + high) / 2 >> 12 << 12
		starts, err := b.startsWith(x, command, middle)
		if err != nil {
			return 0, err
		}
		if starts {
			high = middle
		} else {
			low = middle
		}
	}
	return float64(high) / 1024, nil
}

func (b *bench) startsWith(x subject, command string, bytes int64) (bool, error) {
	file := filepath.Join(b.bundle(plain), "config.json")
	old, err := os.ReadFile(file)
	if err != nil {
		return false, err
	}
	defer os.WriteFile(file, old, 0o644)
	var s specs.Spec
	if err := json.Unmarshal(old, &s); err != nil {
		return false, err
	}
	s.Linux.Resources = &specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: &bytes}}
	text, err := json.Marshal(&s)
	if err != nil {
		return false, err
	}
	if err := os.WriteFile(file, text, 0o644); err != nil {
		return false, err
	}
	id := x.id("limit" + strconv.FormatInt(bytes, 10))
	_, err = b.once(x.call(command, "--bundle", b.bundle(plain), id))
	if err != nil && b.stopped.Load() {
		return false, err
	}
	if err != nil || command == "create" {
		_, _ = b.once(x.call("delete", "--force", id)) // an error says that nothing is left
	}
	return err == nil, nil
}
