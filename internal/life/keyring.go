package life

import (
	"github.com/hutch-project/hutch/internal/part/keyring"
	"github.com/hutch-project/hutch/internal/program/spawn"
)

// keyringHandlers answer init about the session keyring that it makes.
func (m *maker) keyringHandlers() []handler {
	made := func(e spawn.Event) (answer, error) { return silence, m.recordKeyring(e.Value) }
	return []handler{
		{tag: keyring.MadeTag, doing: "record the serial number of the session keyring", serve: made},
	}
}

// recordKeyring records the serial number of the keyring that init has made: exec
// joins no other. There is none where the kernel has no keys.
func (m *maker) recordKeyring(serial int64) error {
	rec := m.plan.record
	if !rec.OwnKeyring || serial <= 0 {
		return nil
	}
	rec.KeyringSerial = serial
	return m.dir.Save(rec)
}
