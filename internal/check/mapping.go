package check

import (
	"math"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/hutch-project/hutch/internal/fault"
	"github.com/hutch-project/hutch/internal/uidmap"
)

// MaxMappings is the number of lines that the kernel takes in a map file.
//
// Source: user_namespaces(7).
const MaxMappings = 340

// Mappings refuses a list that the kernel would refuse: with an empty mapping, with ids
// beyond the last one, with overlaps on either side, or too long.
//
// Source: user_namespaces(7) "Defining user and group ID mappings".
func Mappings(name string, list []specs.LinuxIDMapping) error {
	if len(list) > MaxMappings {
		return fault.New(name, Number(len(list))+" mappings are more than the "+Number(MaxMappings)+" that the kernel takes", "")
	}
	for i, m := range list {
		if m.Size == 0 {
			return fault.New(fault.At(name, i)+".size", "is 0", "give the number of ids to map")
		}
		// In 64 bits, so that no range wraps around to root.
		if uint64(m.ContainerID)+uint64(m.Size) > math.MaxUint32 || uint64(m.HostID)+uint64(m.Size) > math.MaxUint32 {
			return fault.New(fault.At(name, i), "goes beyond the last id", "lower size")
		}
		for j, o := range list[:i] {
			if overlap(m.ContainerID, o.ContainerID, m.Size, o.Size) || overlap(m.HostID, o.HostID, m.Size, o.Size) {
				return fault.New(fault.At(name, i), "overlaps "+fault.At(name, j), "map each id once")
			}
		}
	}
	return nil
}

func overlap(a, b, sizeA, sizeB uint32) bool {
	return uint64(a) < uint64(b)+uint64(sizeB) && uint64(b) < uint64(a)+uint64(sizeA)
}

// Mapped reports whether list has the container's id.
func Mapped(list []specs.LinuxIDMapping, id uint32) bool {
	_, ok := uidmap.Outside(list, id)
	return ok
}
