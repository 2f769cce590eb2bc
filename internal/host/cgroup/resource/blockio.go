package resource

import (
	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/hutch-project/hutch/internal/cgroupconv"
)

// blockIO emits the writes of the controller io, blkio on v1.
//
// Source: runtime-spec config-linux.md "Block IO"; cgroup-v2.rst "IO Interface
// Files"; cgroup-v1/blkio-controller.rst; kernel block/bfq-iosched.rst, section 4.
func (b *builder) blockIO(io *specs.LinuxBlockIO) {
	if io == nil {
		return
	}
	b.weight("blockIO.weight", "", value(io.Weight), false)
	b.weight("blockIO.leafWeight", "", value(io.LeafWeight), true)
	for i := range io.WeightDevice {
		d := &io.WeightDevice[i]
		dev := deviceNumber(d.Major, d.Minor)
		field := indexed("blockIO.weightDevice", i)
		b.weight(field+".weight", dev+" ", value(d.Weight), false)
		b.weight(field+".leafWeight", dev+" ", value(d.LeafWeight), true)
	}
	for _, t := range [...]struct {
		field, v1, v2 string
		list          []specs.LinuxThrottleDevice
	}{
		{"blockIO.throttleReadBpsDevice", "blkio.throttle.read_bps_device", "rbps", io.ThrottleReadBpsDevice},
		{"blockIO.throttleWriteBpsDevice", "blkio.throttle.write_bps_device", "wbps", io.ThrottleWriteBpsDevice},
		{"blockIO.throttleReadIOPSDevice", "blkio.throttle.read_iops_device", "riops", io.ThrottleReadIOPSDevice},
		{"blockIO.throttleWriteIOPSDevice", "blkio.throttle.write_iops_device", "wiops", io.ThrottleWriteIOPSDevice},
	} {
		for i := range t.list {
			d := &t.list[i]
			field, dev := indexed(t.field, i), deviceNumber(d.Major, d.Minor)
			switch {
			case !b.unified: // a rate of 0 takes the limit away
				b.add(field, "blkio", t.v1, dev+" "+decimal(d.Rate))
			case d.Rate == 0:
				b.add(field, "io", "io.max", dev+" "+t.v2+"=max")
			default:
				b.add(field, "io", "io.max", dev+" "+t.v2+"="+decimal(d.Rate))
			}
		}
	}
}

// weight emits a weight of all devices, or of the one that dev ("8:0 ") names.
// BFQ's file goes first on v2 and last on v1, where it is the heir of CFQ's.
func (b *builder) weight(field, dev string, w uint16, leaf bool) {
	if w == 0 {
		return
	}
	if w < 10 || w > 1000 {
		b.failf("%s.%s: %d is out of range; give 10 to 1000", resources, field, w)
		return
	}
	suffix := ""
	if dev != "" {
		suffix = "_device"
	}
	text := dev + decimal(w)
	switch {
	case leaf:
		if b.onlyV1(field, "leaf weights were the CFQ scheduler's") {
			b.add(field, "blkio", "blkio.leaf_weight"+suffix, text)
		}
	case b.unified:
		first := b.add(field, "io", "io.bfq.weight", text)
		fallback := *first
		fallback.File, fallback.Value = "io.weight", dev+decimal(cgroupconv.IOWeight(w))
		first.fallback = &fallback
	default:
		first := b.add(field, "blkio", "blkio.weight"+suffix, text)
		fallback := *first
		fallback.File = "blkio.bfq.weight" + suffix
		first.fallback = &fallback
	}
}

func deviceNumber(major, minor int64) string { return decimal(major) + ":" + decimal(minor) }
