package life

import (
	"github.com/hutch-project/hutch/internal/part/keyring"
	"github.com/hutch-project/hutch/internal/program"
)

const quotaWarning = "the session keyring quota of the user is used up (kernel.keys.maxkeys, maxbytes): the container keeps the caller's keyring, ignoring"

// keyringHandlers answer init about the session keyring that it makes.
func (m *maker) keyringHandlers() []handler {
	made := func(e program.Event) (answer, error) { return silence, m.recordKeyring(e.Value) }
	return []handler{
		{tag: keyring.MadeTag, doing: "record the serial number of the session keyring", serve: made},
		m.r.quotaHandler(),
	}
}

// quotaHandler warns of a quota that leaves the container without a keyring of its own.
func (r *Runtime) quotaHandler() handler {
	serve := func(program.Event) (answer, error) {
		r.warn(quotaWarning)
		return silence, nil
	}
	return handler{tag: keyring.QuotaTag, doing: "warn of it", serve: serve}
}

// recordKeyring records the serial number of the keyring that init has made: exec
// joins no other. There is none where the kernel has no keys, or no quota is left.
func (m *maker) recordKeyring(serial int64) error {
	rec := m.plan.record
	if !rec.OwnKeyring || serial <= 0 {
		return nil
	}
	rec.KeyringSerial = serial
	return m.dir.Save(rec)
}
