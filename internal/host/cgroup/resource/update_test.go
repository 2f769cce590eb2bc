package resource

import "testing"

func TestRestoring(t *testing.T) {
	for _, c := range []struct{ file, value, text, want string }{
		{"memory.max", "4096", "max", "max"},
		{"cpu.max", "5000 10000", "max 100000", "max 100000"},
		{"cpu.max", "max 10000", "5000 100000", "5000 100000"},
		{"cpuset.cpus", "0", "", "\n"},
		{"io.max", "8:0 rbps=1", "8:16 rbps=9 wbps=max riops=max wiops=max\n8:0 rbps=max wbps=5 riops=max wiops=max", "8:0 rbps=max wbps=5 riops=max wiops=max"},
		{"io.max", "8:0 rbps=1", "", "8:0 rbps=max wbps=max riops=max wiops=max"},
		{"io.weight", "50", "default 100\n8:0 20", "default 100"},
		{"io.weight", "8:0 50", "default 100\n8:0 20", "8:0 20"},
		{"io.bfq.weight", "8:0 50", "default 100", "8:0 default"},
		{"blkio.throttle.read_bps_device", "8:0 50", "", "8:0 0"},
		{"net_prio.ifpriomap", "eth0 5", "lo 0\neth0 2", "eth0 2"},
		{"rdma.max", "mlx hca_object=1", "", "mlx hca_handle=max hca_object=max"},
		{"memory.oom_control", "1", "oom_kill_disable 0\nunder_oom 0\noom_kill 0", "0"},
		{"new.table", "key 1", "", "!"},
		{"new.list", "1", "a 1\nb 2", "!"},
	} {
		got, ok := restoring(Write{File: c.file, Value: c.value}, c.text, true)
		if ok != (c.want != "!") || ok && got.Value != c.want {
			t.Errorf("%s %q over %q: taken back by %q, %v, want %q", c.file, c.value, c.text, got.Value, ok, c.want)
		}
	}
}
