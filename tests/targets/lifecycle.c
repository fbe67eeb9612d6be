// flags: -O2 -g -fno-builtin
// link: -lpthread
/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Processes and threads that begin and end in every way that a tracer must survive. Each kind is
 * made as often as its option says, one kind after the other; nothing is made by default.
 *
 *   --short N      children that make CHILD_MALLOCS mallocs and one mapping, and end
 *   --killed N     children that are killed in the middle of their calls
 *   --signalled N  children that end by a signal of their own
 *   --vfork N      vfork, a mapping made by the child in the parent's memory, exec of oneself
 *   --clone-vm N   the same memory in another process, without being a thread; maps 64 MiB in it
 *   --exec-fail N  children whose exec fails, and who go on
 *   --thread-exec N children in which a thread that is not the first one execs
 *   --threads N    threads that end (in the process itself)
 *   --leader-exits N children whose first thread ends first
 *   --reuse N      one process id, used N times over (needs root); generation i maps i pages
 *   --names        gives itself, and a child each, the names that terminals and parsers stumble on
 *   --hostile-dir DIR  execs a copy of itself of a hostile file name in DIR, and deletes it
 *   --wait         "ready PID", line, work, "done PID", line, end
 */
#define _GNU_SOURCE
#include <linux/sched.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include "truth.h"

#define USAGE         "usage: lifecycle: see the start of its source\n"
#define CHILD_MALLOCS 5
#define CHILD_BYTES   100
#define PAGE          4096UL
#define LARGE         (64UL << 20)

struct options {
	uint64_t shorts, killed, signalled, vforks, clone_vm, exec_fail, thread_exec, threads;
	uint64_t leader_exits, reuse, grandchild;
	const char *hostile_dir;
	bool names, wait;
};

static struct truth truth;
static char own_path[PATH_MAX];

static void *map_pages(size_t pages)
{
	void *p = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		       0);

	if (p == MAP_FAILED)
		die("mmap");
	return p;
}

/* What a child does that is to be found in the books: CHILD_MALLOCS and a mapping. */
static void do_work(void)
{
	for (int i = 0; i < CHILD_MALLOCS; i++)
		if (!malloc(CHILD_BYTES))
			die("malloc");
	map_pages(3);
}

static int reap(pid_t pid)
{
	int status = 0;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			die("waitpid");
	return status;
}

static pid_t must_fork(void)
{
	pid_t pid = fork();

	if (pid < 0)
		die("fork");
	return pid;
}

/* Up to 64 at a time, so that they overlap. */
static void make_short(uint64_t n)
{
	pid_t pids[64];

	for (uint64_t i = 0; i < n; i += 64) {
		uint64_t batch = n - i < 64 ? n - i : 64;

		for (uint64_t k = 0; k < batch; k++) {
			pids[k] = must_fork();
			if (!pids[k]) {
				do_work();
				_exit(0);
			}
		}
		for (uint64_t k = 0; k < batch; k++)
			reap(pids[k]);
	}
}

/* The child says that it is at work; then it is killed, wherever it stands. */
static void make_killed(uint64_t n)
{
	for (uint64_t i = 0; i < n; i++) {
		int started[2];
		pid_t pid;
		char c;

		if (pipe(started))
			die("pipe");
		pid = must_fork();
		if (!pid) {
			do_work();
			if (write(started[1], "", 1) != 1)
				_exit(3);
			for (;;) {
				free(malloc(CHILD_BYTES));
				munmap(map_pages(2), 2 * PAGE);
			}
		}
		if (read(started[0], &c, 1) != 1)
			die("pipe");
		kill(pid, SIGKILL);
		reap(pid);
		close(started[0]);
		close(started[1]);
	}
}

static void make_signalled(uint64_t n)
{
	static const int signals[] = {SIGSEGV, SIGABRT, SIGTERM, SIGKILL, SIGBUS};

	for (uint64_t i = 0; i < n; i++) {
		pid_t pid = must_fork();

		if (!pid) {
			do_work();
			raise(signals[i % (sizeof(signals) / sizeof(signals[0]))]);
			_exit(3);
		}
		if (!WIFSIGNALED(reap(pid)))
			die("signal");
	}
}

/* What the child maps stays mapped in the parent: they share one address space until exec. */
static void make_vforks(uint64_t n)
{
	static char *args[] = {own_path, "--grandchild", "1", NULL};

	truth__open(&truth, "vfork_maps", "[");
	for (uint64_t i = 0; i < n; i++) {
		void *volatile mapped = NULL;
		pid_t pid = vfork();

		if (pid < 0)
			die("vfork");
		if (!pid) {
			mapped = map_pages(7);
			execv(own_path, args);
			_exit(3);
		}
		if (reap(pid))
			die("exec after vfork");
		truth__address(&truth, NULL, (uintptr_t)mapped);
	}
	truth__close(&truth, "]");
}

static int clone_main(void *arg)
{
	void **mapped = arg;

	*mapped = mmap(NULL, LARGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return *mapped == MAP_FAILED;
}

static void make_clones(uint64_t n)
{
	static char stack[64 * 1024] __attribute__((aligned(16)));

	truth__open(&truth, "clone_vm_maps", "[");
	for (uint64_t i = 0; i < n; i++) {
		void *mapped = NULL;
		pid_t pid = clone(clone_main, stack + sizeof(stack), CLONE_VM | SIGCHLD, &mapped);

		if (pid < 0 || reap(pid))
			die("clone");
		truth__address(&truth, NULL, (uintptr_t)mapped);
	}
	truth__close(&truth, "]");
}

static void make_exec_failures(uint64_t n)
{
	char *args[] = {"nothing", NULL};

	for (uint64_t i = 0; i < n; i++) {
		pid_t pid = must_fork();

		if (pid) {
			reap(pid);
			continue;
		}
		execv("/proc/self/nothing", args);
		execv("/proc/self/maps", args); /* not executable */
		do_work();
		_exit(0);
	}
}

static void *exec_main(void *arg)
{
	char *args[] = {own_path, "--grandchild", "1", NULL};

	(void)arg;
	execv(own_path, args);
	_exit(3);
}

/* The kernel gives the thread that execs the first thread's id. */
static void make_thread_execs(uint64_t n)
{
	for (uint64_t i = 0; i < n; i++) {
		pid_t pid = must_fork();
		pthread_t id;

		if (!pid) {
			if (pthread_create(&id, NULL, exec_main, NULL))
				_exit(3);
			for (;;)
				pause();
		}
		if (reap(pid))
			die("exec by a thread");
	}
}

static void *thread_main(void *arg)
{
	(void)arg;
	do_work();
	return NULL;
}

static void make_threads(uint64_t n)
{
	for (uint64_t i = 0; i < n; i += 4) {
		pthread_t ids[4];
		uint64_t batch = n - i < 4 ? n - i : 4;

		for (uint64_t k = 0; k < batch; k++)
			if (pthread_create(&ids[k], NULL, thread_main, NULL))
				die("pthread_create");
		for (uint64_t k = 0; k < batch; k++)
			pthread_join(ids[k], NULL);
	}
}

/* Works on when /proc/PID/task holds a zombie under the process's own number. */
static void *orphan_main(void *arg)
{
	char path[] = "/proc/self/stat", text[256];
	char *state;

	(void)arg;
	do {
		int fd = open(path, O_RDONLY);
		ssize_t got = read(fd, text, sizeof(text) - 1);

		close(fd);
		text[got > 0 ? got : 0] = '\0';
		state = strrchr(text, ')');
		sched_yield();
	} while (state && state[2] != 'Z');
	do_work();
	_exit(0);
}

static void make_leaderless(uint64_t n)
{
	for (uint64_t i = 0; i < n; i++) {
		pid_t pid = must_fork();
		pthread_t id;

		if (!pid) {
			if (pthread_create(&id, NULL, orphan_main, NULL))
				_exit(3);
			syscall(SYS_exit, 0); /* this thread alone */
		}
		reap(pid);
	}
}

/* The first generation gets any id; the others ask for the same. */
static void make_reused(uint64_t n)
{
	pid_t wanted = 0;

	for (uint64_t i = 1; i <= n; i++) {
		struct clone_args args = {.exit_signal = SIGCHLD};
		pid_t pid;

		args.set_tid = wanted ? (uintptr_t)&wanted : 0;
		args.set_tid_size = wanted != 0;
		pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
		if (pid < 0)
			die("clone3");
		if (!pid) {
			munmap(map_pages(2), 2 * PAGE);
			map_pages(i);
			_exit(0);
		}
		wanted = pid;
		reap(pid);
	}
	truth__number(&truth, "reused_pid", (uint64_t)wanted);
}

static const char *const names[] = {
	"\033[31mred\033[0m", "line\nbreak", "back\\slash\"q", "\xff\xfe\x80",     "a\tb\rc",
	") R 1 1 1 (",        " ",           "%s%n%d",         "\xe2\x80\xae|rtl", "",
};

static void make_named(void)
{
	size_t n = sizeof(names) / sizeof(names[0]);

	for (size_t i = 0; i < n; i++) {
		pid_t pid = must_fork();

		if (!pid) {
			prctl(PR_SET_NAME, names[i], 0, 0, 0);
			do_work();
			_exit(0);
		}
		reap(pid);
		prctl(PR_SET_NAME, names[i], 0, 0, 0);
		map_pages(1);
	}
	prctl(PR_SET_NAME, names[0], 0, 0, 0); /* what it keeps until its end */
	truth__number(&truth, "named", n);
}

static void copy_self(int to)
{
	char buffer[64 * 1024];
	int from = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	ssize_t n;

	while ((n = read(from, buffer, sizeof(buffer))) > 0)
		if (write(to, buffer, (size_t)n) != n)
			die("copy");
	close(from);
}

/* A file name with all that may stand in one; its process deletes it and works on. */
static void make_hostile_file(const char *dir)
{
	static const char name[] = "\033]0;title\007 (deleted)\n7f-8f rwxp \xff\\012 'x' $(id)";
	char *args[] = {(char *)name, "--grandchild", "2", NULL};
	int at = open(dir, O_DIRECTORY | O_CLOEXEC), fd;
	pid_t pid;

	if (at < 0)
		die(dir);
	fd = openat(at, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0700);
	if (fd < 0)
		die("hostile file");
	copy_self(fd);
	close(fd);
	pid = must_fork();
	if (!pid) {
		if (!fchdir(at))
			execv(name, args);
		_exit(3);
	}
	if (reap(pid))
		die("hostile file");
	close(at);
}

static void grandchild(uint64_t kind)
{
	if (kind == 2 && unlink(own_path))
		die(own_path);
	do_work();
	_exit(0);
}

static void run(const struct options *o)
{
	make_short(o->shorts);
	make_killed(o->killed);
	make_signalled(o->signalled);
	make_vforks(o->vforks);
	make_clones(o->clone_vm);
	make_exec_failures(o->exec_fail);
	make_thread_execs(o->thread_exec);
	make_threads(o->threads);
	make_leaderless(o->leader_exits);
	if (o->reuse)
		make_reused(o->reuse);
	if (o->hostile_dir)
		make_hostile_file(o->hostile_dir);
	if (o->names)
		make_named();
}

/* Children that lived to do their work: all but those of --reuse and --clone-vm. */
static uint64_t working_children(const struct options *o)
{
	return o->shorts + o->killed + o->signalled + o->vforks + o->exec_fail + o->thread_exec +
	       o->leader_exits + !!o->hostile_dir +
	       (o->names ? sizeof(names) / sizeof(names[0]) : 0);
}

int main(int argc, char **argv)
{
	struct options o = {.shorts = 0};
	const struct target_option options[] = {
		{"short", .number = &o.shorts},
		{"killed", .number = &o.killed},
		{"signalled", .number = &o.signalled},
		{"vfork", .number = &o.vforks},
		{"clone-vm", .number = &o.clone_vm},
		{"exec-fail", .number = &o.exec_fail},
		{"thread-exec", .number = &o.thread_exec},
		{"threads", .number = &o.threads},
		{"leader-exits", .number = &o.leader_exits},
		{"reuse", .number = &o.reuse},
		{"grandchild", .number = &o.grandchild},
		{"hostile-dir", .string = &o.hostile_dir},
		{"names", .flag = &o.names},
		{"wait", .flag = &o.wait},
		{.name = NULL},
	};
	struct rlimit no_core = {0, 0};

	(void)argc;
	if (!parse_options(argv, options))
		usage(USAGE);
	if (readlink("/proc/self/exe", own_path, sizeof(own_path) - 1) < 0)
		die("/proc/self/exe");
	if (o.grandchild)
		grandchild(o.grandchild);
	setrlimit(RLIMIT_CORE, &no_core);
	stop_at("ready", o.wait);
	truth__open(&truth, NULL, "{");
	truth__string(&truth, "program", "lifecycle");
	truth__number(&truth, "pid", (uint64_t)getpid());
	run(&o);
	truth__number(&truth, "working_children", working_children(&o));
	truth__number(&truth, "mallocs_per_child", CHILD_MALLOCS);
	truth__number(&truth, "malloc_bytes", CHILD_BYTES);
	truth__number(&truth, "threads", o.threads);
	truth__close(&truth, "}");
	truth__write(&truth);
	stop_at("done", o.wait);
	_exit(0);
}
