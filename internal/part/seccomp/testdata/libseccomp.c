// libseccomp.c makes filters with libseccomp for the tests of package seccomp.
// It reads commands, one a line, and answers each with one line:
//
//   list ARCH                    names and numbers of an architecture: NAME NR ...
//   filter TREE DEFAULT ARCH,... begins a filter; TREE is 1 for the binary tree
//   rule ACTION NAME [ARG OP A B]...   (no answer)
//   end                          the program: CODE JT JF K ... or error STEP ERRNO
//
// Numbers are hexadecimal.
#define _GNU_SOURCE
#include <errno.h>
#include <inttypes.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

struct insn { uint16_t code; uint8_t jt, jf; uint32_t k; };

static scmp_filter_ctx ctx;
static char failed[64];

static void fail(const char *step, int rc) {
	if (!failed[0]) snprintf(failed, sizeof failed, "error %s %d", step, -rc);
}

static void list(uint32_t arch) {
	static const int starts[] = {0, 4000, 5000, 6000, 0x40000000, 0x0f0000};
	for (unsigned i = 0; i < sizeof starts / sizeof *starts; i++)
		for (int n = starts[i]; n < starts[i] + 1000; n++) {
			char *name = seccomp_syscall_resolve_num_arch(arch, n);
			if (name) printf("%s %x ", name, (unsigned)n);
			free(name);
		}
	printf("\n");
}

static void begin(char *arg) {
	char *tree = strtok(arg, " "), *deflt = strtok(NULL, " "), *arches = strtok(NULL, " ");
	int rc;
	failed[0] = 0;
	ctx = seccomp_init(strtoul(deflt, NULL, 16));
	if (!ctx) { fail("init", -1); return; }
	if ((rc = seccomp_arch_remove(ctx, SCMP_ARCH_NATIVE))) fail("arch_remove", rc);
	for (char *a = strtok(arches, ","); a; a = strtok(NULL, ","))
		if ((rc = seccomp_arch_add(ctx, strtoul(a, NULL, 16))) && rc != -EEXIST) fail("arch_add", rc);
	if (tree[0] == '1' && (rc = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2))) fail("optimize", rc);
}

static void rule(char *arg) {
	struct scmp_arg_cmp cmp[6];
	unsigned n = 0;
	uint32_t action = strtoul(strtok(arg, " "), NULL, 16);
	char *name = strtok(NULL, " ");
	for (char *a; (a = strtok(NULL, " ")) && n < 6; n++) {
		cmp[n].arg = strtoul(a, NULL, 16);
		cmp[n].op = strtoul(strtok(NULL, " "), NULL, 16);
		cmp[n].datum_a = strtoull(strtok(NULL, " "), NULL, 16);
		cmp[n].datum_b = strtoull(strtok(NULL, " "), NULL, 16);
	}
	int nr = seccomp_syscall_resolve_name(name);
	if (nr == __NR_SCMP_ERROR || failed[0]) return;
	int rc = seccomp_rule_add_array(ctx, action, nr, n, cmp);
	if (rc) fail("rule_add", rc);
}

static void export(void) {
	struct insn in;
	int fd = memfd_create("bpf", 0), rc;
	if (!failed[0] && (rc = seccomp_export_bpf(ctx, fd))) fail("export", rc);
	if (failed[0]) {
		printf("%s", failed);
		return;
	}
	lseek(fd, 0, SEEK_SET);
	while (read(fd, &in, sizeof in) == sizeof in)
		printf("%x %x %x %x ", in.code, in.jt, in.jf, in.k);
}

// build makes one filter in a child with a limit: libseccomp 2.5.4 does not come to an
// end for some rules. It is the processor's time that counts, of which a good filter takes
// milliseconds, however long that is on a loaded machine.
static void build(char **lines, int n) {
	int status;
	pid_t pid = fork();
	if (pid == 0) {
		const char *slow = getenv("SLOW"); // an emulated machine takes so many times as long
		rlim_t limit = slow ? 3 * atoi(slow) : 1;
		setrlimit(RLIMIT_CPU, &(struct rlimit){limit, limit + 1});
		begin(lines[0] + 7);
		for (int i = 1; i < n; i++) rule(lines[i] + 5);
		export();
		fflush(stdout);
		_exit(0);
	}
	waitpid(pid, &status, 0);
	if (WIFSIGNALED(status)) printf("error hangs %d", WTERMSIG(status));
	printf("\n");
}

int main(void) {
	char *line = NULL, **lines = NULL;
	size_t size = 0;
	int n = 0;
	seccomp_api_set(6);
	while (getline(&line, &size, stdin) > 0) {
		line[strcspn(line, "\n")] = 0;
		if (!strncmp(line, "list ", 5)) list(strtoul(line + 5, NULL, 16));
		else if (strcmp(line, "end")) {
			lines = realloc(lines, (n + 1) * sizeof *lines);
			lines[n++] = strdup(line);
		} else {
			build(lines, n);
			while (n > 0) free(lines[--n]);
		}
		fflush(stdout);
	}
	return 0;
}
