package seccomp

import (
	"encoding/base64"
	"encoding/binary"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// encode returns the text of a filter for RawAnnotation.
func encode(list ...unix.SockFilter) string {
	var b []byte
	for _, i := range list {
		b = binary.NativeEndian.AppendUint16(b, i.Code)
		b = append(b, i.Jt, i.Jf)
		b = binary.NativeEndian.AppendUint32(b, i.K)
	}
	return base64.StdEncoding.EncodeToString(b)
}

var (
	load  = unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS}
	allow = unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW}
)

// TestRaw: a filter goes to the kernel as it is.
func TestRaw(t *testing.T) {
	for name, list := range map[string][]unix.SockFilter{
		"two returns": {load, {Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jt: 0, Jf: 1, K: 83}, {Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO | 13}, allow},
		"all kinds": {load, {Code: unix.BPF_MISC | unix.BPF_TAX}, {Code: unix.BPF_ST, K: 15}, {Code: unix.BPF_LD | unix.BPF_MEM, K: 15}, {Code: unix.BPF_LDX | unix.BPF_IMM, K: 1},
			{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_LEN}, {Code: unix.BPF_ALU | unix.BPF_AND | unix.BPF_K, K: 1}, {Code: unix.BPF_ALU | unix.BPF_NEG}, {Code: unix.BPF_ALU | unix.BPF_XOR | unix.BPF_X},
			{Code: unix.BPF_JMP | unix.BPF_JA, K: 1}, {Code: unix.BPF_MISC | unix.BPF_TXA}, {Code: unix.BPF_RET | unix.BPF_A}},
	} {
		f, err := Raw(encode(list...), name == "all kinds")
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if len(f.Program) != len(list) || f.Program[1] != list[1] || f.Flags != 0 || f.Notify != (name == "all kinds") {
			t.Errorf("%s: got %+v", name, f)
		}
	}
}

func TestRawIsRefused(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"no base64":          {"!", "annotations[run.oci.seccomp_bpf_data]: is no base64"},
		"empty":              {"", "0 bytes are no filter"},
		"half":               {encode(allow)[:8], "are no filter"},
		"long":               {strings.Repeat(encode(load, load, allow), 1366), "4098 instructions are more than 4096"},
		"no return":          {encode(load), "instruction 0 is the last, and returns nothing"},
		"a jump out":         {encode(load, unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jf: 1}, allow), "instruction 1 jumps behind the end"},
		"a far jump":         {encode(unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JA, K: 1 << 31}, allow), "instruction 0 jumps behind the end"},
		"a packet":           {encode(unix.SockFilter{Code: unix.BPF_LD | unix.BPF_B | unix.BPF_ABS}, allow), "has the code 0x30"},
		"another offset":     {encode(unix.SockFilter{Code: load.Code, K: 64}, allow), "loads from offset 64"},
		"scratch":            {encode(unix.SockFilter{Code: unix.BPF_ST, K: 16}, allow), "stores to scratch memory 16"},
		"a division by zero": {encode(unix.SockFilter{Code: unix.BPF_ALU | unix.BPF_DIV | unix.BPF_K}, allow), "divides by zero"},
		"modulo":             {encode(unix.SockFilter{Code: unix.BPF_ALU | unix.BPF_MOD | unix.BPF_K, K: 3}, allow), "has the code 0x94"},
	} {
		if _, err := Raw(c.text, false); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
}
