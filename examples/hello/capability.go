package main

import (
	"strconv"
	"strings"
)

// capabilities prints the five sets by name.
func (r *report) capabilities() {
	r.head("capabilities")
	status := lines("/proc/self/status")
	for _, set := range [...][2]string{
		{"bounding", "CapBnd"},
		{"effective", "CapEff"},
		{"permitted", "CapPrm"},
		{"inheritable", "CapInh"},
		{"ambient", "CapAmb"},
	} {
		r.row(set[0], setText(field(status, set[1])))
	}
}

// setText turns the hexadecimal mask of /proc/self/status into names.
func setText(hex string) string {
	mask, err := strconv.ParseUint(hex, 16, 64)
	if err != nil {
		return hex
	}
	if mask == 0 {
		return "none"
	}
	var list []string
	for i := 0; i < 64; i++ {
		if mask&(1<<i) != 0 {
			list = append(list, capabilityName(i))
		}
	}
	return strings.Join(list, " ")
}

// capabilityName is the name without CAP_, or the number of one that came later.
//
// Source: capabilities(7), linux/capability.h.
func capabilityName(i int) string {
	const all = "CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP " +
		"LINUX_IMMUTABLE NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER " +
		"SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE " +
		"SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP " +
		"MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF " +
		"CHECKPOINT_RESTORE"
	for n, name := range strings.Fields(all) {
		if n == i {
			return name
		}
	}
	return strconv.Itoa(i)
}
