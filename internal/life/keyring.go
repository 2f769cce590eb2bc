package life

import "github.com/hutch-project/hutch/internal/part/keyring"

// keyring is the name of the session keyring to make, empty for none.
func (b *build) keyring() string {
	switch {
	case b.o.NoNewKeyring:
		return ""
	case b.planning:
		return keyring.Planned
	}
	return b.rec.Keyring
}

// keepKeyring records the serial number of the keyring that init has made: exec
// joins no other. There is none where the kernel has no keys, or no quota is left.
func (b *build) keepKeyring(serial int64) error {
	if !b.rec.OwnKeyring || serial <= 0 {
		return nil
	}
	b.rec.KeyringSerial = serial
	return b.dir.Save(b.rec)
}
