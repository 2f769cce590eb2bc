// floor RUNTIME-LIKE: the bare system calls of the default container, with no
// configuration, no checks, no state, no error texts: what any runtime has to pay.
//
//   floor ROOTFS CGROUP PROGRAM [ARG...]     CGROUP is a directory to make, or "-"
//   floor --rss PROGRAM [ARG...]             the peak memory of a program
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
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

static void child(char **argv, int cgroup) {
	must(setsid());
	if (cgroup)
		must(unshare(CLONE_NEWCGROUP));
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
	for (int cap = 0; cap < 41; cap++)
		if (cap != 5 && cap != 10 && cap != 29)
			prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
	must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
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
		must(a.cgroup = open(argv[2], O_PATH | O_DIRECTORY | O_CLOEXEC));
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
