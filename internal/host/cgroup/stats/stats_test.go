package stats

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hutch-project/hutch/internal/host/cgroup"
)

// tree writes files, "NAME: LINE" with "|" between lines, to a directory.
func tree(t *testing.T, files ...string) string {
	t.Helper()
	dir := t.TempDir()
	for _, f := range files {
		name, text, ok := strings.Cut(f, ": ")
		if !ok {
			t.Fatal(f)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(strings.ReplaceAll(text, "|", "\n")+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func checkJSON(t *testing.T, s *Stats, err error, want string) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	got := string(s.AppendJSON(nil, ""))
	if !json.Valid([]byte(got)) {
		t.Errorf("no JSON: %s", got)
	}
	if want = strings.ReplaceAll(want, "\n", ""); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// TestStatsV1 has the files of a container and what runc 1.1.5 printed for it,
// but for a shorter memory.stat and block IO.
func TestStatsV1(t *testing.T) {
	dir := tree(t,
		"cpuacct.usage: 210830736",
		"cpuacct.stat: user 19|system 1",
		"cpuacct.usage_percpu: 209378301 1452435 ",
		"cpuacct.usage_all: cpu user system|0 204000000 12000000|1 0 0",
		"cpu.stat: nr_periods 6|nr_throttled 3|throttled_time 145538443|nr_bursts 0|burst_time 0",
		"cpuset.cpus: 0-1", "cpuset.mems: 0", "cpuset.sched_load_balance: 1", "cpuset.sched_relax_domain_level: -1",
		"memory.limit_in_bytes: 67108864", "memory.usage_in_bytes: 389120", "memory.max_usage_in_bytes: 2822144", "memory.failcnt: 0",
		"memory.memsw.limit_in_bytes: 9223372036854771712", "memory.memsw.usage_in_bytes: 389120",
		"memory.memsw.max_usage_in_bytes: 2822144", "memory.memsw.failcnt: 0",
		"memory.kmem.limit_in_bytes: 9223372036854771712", "memory.kmem.usage_in_bytes: 253952",
		"memory.kmem.max_usage_in_bytes: 614400", "memory.kmem.failcnt: 0",
		"memory.kmem.tcp.limit_in_bytes: 9223372036854771712", "memory.kmem.tcp.usage_in_bytes: 0",
		"memory.kmem.tcp.max_usage_in_bytes: 0", "memory.kmem.tcp.failcnt: 0",
		"memory.stat: cache 4096|rss 49152|hierarchical_memory_limit 67108864|dirty 0",
		"pids.current: 1", "pids.max: 20",
		"blkio.throttle.io_serviced_recursive: 8:0 Read 3|8:0 Write 0|Total 3",
		"blkio.throttle.io_service_bytes_recursive: 8:0 Read 12288|Total 12288",
	)
	s, err := readV1(cgroup.Paths{"cpu,cpuacct": dir, "cpuset": dir, "memory": dir, "pids": dir, "blkio": dir})
	checkJSON(t, s, err, `{"cpu":{"usage":{"total":210830736,"percpu":[209378301,1452435],"percpu_kernel":[12000000,0],
"percpu_user":[204000000,0],"kernel":10000000,"user":190000000},"throttling":{"periods":6,"throttledPeriods":3,
"throttledTime":145538443}},"cpuset":{"cpus":[0,1],"mems":[0],"cpu_exclusive":0,"mem_hardwall":0,"mem_exclusive":0,
"memory_migrate":0,"memory_spread_page":0,"memory_spread_slab":0,"memory_pressure":0,"sched_load_balance":1,
"sched_relax_domain_level":-1},"memory":{"cache":4096,"usage":{"limit":67108864,"usage":389120,"max":2822144,"failcnt":0},
"swap":{"limit":9223372036854771712,"usage":389120,"max":2822144,"failcnt":0},
"kernel":{"limit":9223372036854771712,"usage":253952,"max":614400,"failcnt":0},
"kernelTCP":{"limit":9223372036854771712,"failcnt":0},
"raw":{"cache":4096,"dirty":0,"hierarchical_memory_limit":67108864,"rss":49152}},"pids":{"current":1,"limit":20},
"blkio":{"ioServiceBytesRecursive":[{"major":8,"op":"Read","value":12288}],
"ioServicedRecursive":[{"major":8,"op":"Read","value":3},{"major":8,"op":"Write"}]},
"hugetlb":{},"intel_rdt":{},"network_interfaces":null}`)
}

func TestStatsV2(t *testing.T) {
	const psi = ": some avg10=0.12 avg60=0.00 avg300=100.00 total=7|full avg10=0.00 avg60=0.00 avg300=0.00 total=0"
	dir := tree(t,
		"cpu.stat: usage_usec 300|user_usec 200|system_usec 100|nr_periods 4|nr_throttled 2|throttled_usec 5",
		"cpu.pressure"+psi, "memory.pressure"+psi, "io.pressure"+psi,
		"memory.current: 4096", "memory.max: 8192", "memory.peak: 8000", "memory.swap.current: 100", "memory.swap.max: max",
		"memory.stat: anon 1|file 2",
		"io.stat: 8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=0 dios=0|8:16 |253:1 rbytes=5",
		"pids.current: 3", "pids.max: max",
	)
	s, err := readV2(dir)
	const want = `"psi":{"some":{"avg10":0.12,"avg60":0,"avg300":100,"total":7},"full":{"avg10":0,"avg60":0,"avg300":0,"total":0}}`
	checkJSON(t, s, err, `{"cpu":{"usage":{"total":300000,"kernel":100000,"user":200000},"throttling":{"periods":4,
"throttledPeriods":2,"throttledTime":5000},`+want+`},"cpuset":{"cpu_exclusive":0,"mem_hardwall":0,"mem_exclusive":0,
"memory_migrate":0,"memory_spread_page":0,"memory_spread_slab":0,"memory_pressure":0,"sched_load_balance":0,
"sched_relax_domain_level":0},"memory":{"cache":2,"usage":{"limit":8192,"usage":4096,"max":8000,"failcnt":0},
"swap":{"limit":18446744073709551615,"usage":4196,"failcnt":0},"kernel":{"limit":0,"failcnt":0},
"kernelTCP":{"limit":0,"failcnt":0},"raw":{"anon":1,"file":2},`+want+`},"pids":{"current":3},
"blkio":{"ioServiceBytesRecursive":[{"major":8,"op":"Read","value":1},{"major":8,"op":"Write","value":2},
{"major":253,"minor":1,"op":"Read","value":5}],
"ioServicedRecursive":[{"major":8,"op":"Read","value":3},{"major":8,"op":"Write","value":4}],`+want+`},
"hugetlb":{},"intel_rdt":{},"network_interfaces":null}`)
}

func TestStatsOfABadNumber(t *testing.T) {
	_, err := readV2(tree(t, "pids.current: many"))
	if err == nil || !strings.Contains(err.Error(), `pids.current: "many" is no number`) {
		t.Errorf("got %v", err)
	}
}
