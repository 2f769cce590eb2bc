// floor RUNTIME-LIKE: the bare system calls of the default container, with no
// configuration, no checks, no state, no error texts: what any runtime has to pay.
//
//   floor ROOTFS CGROUP PROGRAM [ARG...]     CGROUP is a directory to make, or "-"
//   floor --rss PROGRAM [ARG...]             the peak memory of a program
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/capability.h>
#include <linux/keyctl.h>
#include <linux/sched.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#define must(x) do { if ((long)(x) < 0) { perror(#x); _exit(127); } } while (0)

static char *rootfs;

static void fs(const char *type, const char *where, unsigned long flags, const char *data) {
	char path[4096];
	snprintf(path, sizeof path, "%s%s", rootfs, where);
	mkdir(path, 0755);
	must(mount(type, path, type, flags, data));
}

static void node(const char *name, int major, int minor) {
	char path[4096];
	snprintf(path, sizeof path, "%s/dev/%s", rootfs, name);
	must(mknod(path, S_IFCHR | 0666, makedev(major, minor)));
}

static void mask(const char *path) {
	struct stat st;
	if (stat(path, &st) < 0)
		return;
	if (S_ISDIR(st.st_mode))
		must(mount("tmpfs", path, "tmpfs", MS_RDONLY, "size=0k"));
	else
		must(mount("/dev/null", path, NULL, MS_BIND, NULL));
}

static void readonly(const char *path) {
	if (mount(path, path, NULL, MS_BIND | MS_REC, NULL) == 0)
		must(mount(NULL, path, NULL, MS_BIND | MS_REMOUNT | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL));
}

// devices lets the cgroup use the default devices and no other: the kernel checks and
// compiles a program, which each runtime has to give it on cgroup v2.
static void devices(int cgroup) {
	static const struct { int major, minor; } known[] = {{1, 3}, {1, 5}, {1, 7}, {1, 8}, {1, 9}, {5, 0}, {5, 2}, {136, -1}};
	struct bpf_insn p[64] = {
		{.code = BPF_LDX | BPF_MEM | BPF_W, .dst_reg = BPF_REG_2, .src_reg = BPF_REG_1, .off = 0}, // kind and access
		{.code = BPF_LDX | BPF_MEM | BPF_W, .dst_reg = BPF_REG_4, .src_reg = BPF_REG_1, .off = 4},
		{.code = BPF_LDX | BPF_MEM | BPF_W, .dst_reg = BPF_REG_5, .src_reg = BPF_REG_1, .off = 8},
		{.code = BPF_ALU | BPF_AND | BPF_K, .dst_reg = BPF_REG_2, .imm = 0xffff},
	};
	int n = 4;
	for (unsigned i = 0; i < sizeof known / sizeof *known; i++) {
		int minor = known[i].minor >= 0;
		p[n++] = (struct bpf_insn){.code = BPF_JMP | BPF_JNE | BPF_K, .dst_reg = BPF_REG_2, .off = 3 + minor, .imm = BPF_DEVCG_DEV_CHAR};
		p[n++] = (struct bpf_insn){.code = BPF_JMP | BPF_JNE | BPF_K, .dst_reg = BPF_REG_4, .off = 2 + minor, .imm = known[i].major};
		if (minor)
			p[n++] = (struct bpf_insn){.code = BPF_JMP | BPF_JNE | BPF_K, .dst_reg = BPF_REG_5, .off = 2, .imm = known[i].minor};
		p[n++] = (struct bpf_insn){.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = 1};
		p[n++] = (struct bpf_insn){.code = BPF_JMP | BPF_EXIT};
	}
	p[n++] = (struct bpf_insn){.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = 0};
	p[n++] = (struct bpf_insn){.code = BPF_JMP | BPF_EXIT};
	union bpf_attr load = {.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE, .insn_cnt = n, .insns = (unsigned long)p, .license = (unsigned long)"Apache"};
	long prog = syscall(SYS_bpf, BPF_PROG_LOAD, &load, sizeof load);
	must(prog);
	union bpf_attr attach = {.target_fd = cgroup, .attach_bpf_fd = prog, .attach_type = BPF_CGROUP_DEVICE, .attach_flags = BPF_F_ALLOW_MULTI};
	must(syscall(SYS_bpf, BPF_PROG_ATTACH, &attach, sizeof attach));
	close(prog);
}

static void loopback(void) {
	struct ifreq lo = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	must(fd);
	must(ioctl(fd, SIOCSIFFLAGS, &lo));
	close(fd);
}

// privileges leaves what the default container has: three capabilities and no more.
static void privileges(void) {
	const struct rlimit files = {1024, 1024};
	must(setrlimit(RLIMIT_NOFILE, &files));
	for (int cap = 0; cap < 41; cap++)
		if (cap != CAP_KILL && cap != CAP_NET_BIND_SERVICE && cap != CAP_AUDIT_WRITE)
			prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
	const unsigned keep = 1 << CAP_KILL | 1 << CAP_NET_BIND_SERVICE | 1 << CAP_AUDIT_WRITE;
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct sets[2] = {{.effective = keep, .permitted = keep}};
	must(syscall(SYS_capset, &head, sets));
	must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
}

static void child(char **argv, int cgroup) {
	must(setsid());
	must(syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, "_ses.floor"));
	if (cgroup)
		must(unshare(CLONE_NEWCGROUP));
	loopback();
	must(sethostname("floor", 5));
	must(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL));
	must(mount(rootfs, rootfs, NULL, MS_BIND | MS_REC, NULL));
	fs("proc", "/proc", 0, NULL);
	fs("tmpfs", "/dev", MS_NOSUID | MS_STRICTATIME, "mode=755,size=65536k");
	fs("devpts", "/dev/pts", MS_NOSUID | MS_NOEXEC, "newinstance,ptmxmode=0666,mode=0620,gid=5");
	fs("tmpfs", "/dev/shm", MS_NOSUID | MS_NOEXEC | MS_NODEV, "mode=1777,size=65536k");
	fs("mqueue", "/dev/mqueue", MS_NOSUID | MS_NOEXEC | MS_NODEV, NULL);
	fs("sysfs", "/sys", MS_NOSUID | MS_NOEXEC | MS_NODEV | MS_RDONLY, NULL);
	if (cgroup)
		fs("cgroup2", "/sys/fs/cgroup", MS_NOSUID | MS_NOEXEC | MS_NODEV | MS_RELATIME | MS_RDONLY, NULL);
	umask(0);
	node("null", 1, 3), node("zero", 1, 5), node("full", 1, 7), node("random", 1, 8), node("urandom", 1, 9), node("tty", 5, 0);
	must(chdir(rootfs));
	must(symlink("/proc/self/fd", "dev/fd"));
	must(symlink("/proc/self/fd/0", "dev/stdin"));
	must(symlink("/proc/self/fd/1", "dev/stdout"));
	must(symlink("/proc/self/fd/2", "dev/stderr"));
	must(symlink("pts/ptmx", "dev/ptmx"));
	must(syscall(SYS_pivot_root, ".", "."));
	must(umount2(".", MNT_DETACH));
	must(chdir("/"));
	const char *masks[] = {"/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list",
		"/proc/timer_stats", "/proc/sched_debug", "/sys/firmware", "/proc/scsi"};
	for (unsigned i = 0; i < sizeof masks / sizeof *masks; i++)
		mask(masks[i]);
	const char *ro[] = {"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"};
	for (unsigned i = 0; i < sizeof ro / sizeof *ro; i++)
		readonly(ro[i]);
	must(mount(NULL, "/", NULL, MS_BIND | MS_REMOUNT | MS_RDONLY, NULL));
	privileges();
	char *env[] = {"PATH=/bin", NULL};
	execve(argv[0], argv, env);
	perror(argv[0]);
	_exit(127);
}

// rss runs a program from this small one and prints the peak of its resident set in
// KiB: a child's counter begins with the size of the process that forked it.
static int rss(char **argv) {
	long pid = fork();
	must(pid);
	if (pid == 0) {
		int null = open("/dev/null", O_RDWR);
		dup2(null, 1);
		execv(argv[0], argv);
		_exit(127);
	}
	int status;
	struct rusage u;
	must(wait4(pid, &status, 0, &u));
	printf("%ld\n", u.ru_maxrss);
	return status != 0;
}

int main(int argc, char **argv) {
	if (argc > 2 && strcmp(argv[1], "--rss") == 0)
		return rss(argv + 2);
	if (argc < 4)
		return 2;
	rootfs = argv[1];
	struct clone_args a = {
		.flags = CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWPID | CLONE_NEWNET,
		.exit_signal = SIGCHLD,
	};
	int cgroup = strcmp(argv[2], "-") != 0;
	if (cgroup) {
		must(mkdir(argv[2], 0755));
		a.flags |= CLONE_INTO_CGROUP;
		must(a.cgroup = open(argv[2], O_RDONLY | O_DIRECTORY | O_CLOEXEC));
		devices(a.cgroup);
	}
	long pid = syscall(SYS_clone3, &a, sizeof a);
	must(pid);
	if (pid == 0)
		child(argv + 3, cgroup);
	int status;
	must(waitpid(pid, &status, 0));
	if (cgroup)
		must(rmdir(argv[2]));
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
