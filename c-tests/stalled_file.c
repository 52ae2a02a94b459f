/*
 * stalled_file.c - owns a file whose reads stay in flight for a known time
 *
 *   stalled_file DIR PROGRAM ARGS...
 *
 * runs PROGRAM where DIR holds one read-only regular file, DIR/file: 4095 times 'x' and a newline.
 * A read of it is answered STALL_MS milliseconds (environment; 1500 if unset) after it was asked
 * for, so an asynchronous read with O_DIRECT is in flight for that long. Time ends the stall, and
 * nothing that PROGRAM does, because io_destroy and exit both wait for what is in flight.
 * Up to 512 reads can be in flight; io_submit waits for room for more.
 *
 * The file system is served over /dev/fuse and mounted in a mount namespace of PROGRAM's own: no
 * other process sees it, and it goes with the namespace. A user who may not make one gets a user
 * namespace too and needs access to /dev/fuse alone.
 *
 * The exit status is PROGRAM's, 128 + N if signal N killed it, and 2 with a message if PROGRAM
 * could not be run or served. What PROGRAM does is left to PROGRAM.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fuse.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { FILE_ID = FUSE_ROOT_ID + 1, FILE_SIZE = 4096, MAX_HELD = 1024 };

#define FOREVER (365 * 24 * 3600) /* seconds for which the kernel may keep names and attributes */

struct held_read {
	uint64_t unique, offset;
	uint32_t size;
	int64_t due;
};

static int device;
static int64_t stall;
static char content[FILE_SIZE];
/* Every read waits equally long, so the first to arrive is the first to be due: a ring. */
static struct held_read held[MAX_HELD];
static unsigned int first_held, held_count;

__attribute__((format(printf, 1, 2), noreturn)) static void fail(const char *format, ...)
{
	int error = errno;
	va_list arguments;

	fputs("stalled_file: ", stderr);
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fprintf(stderr, error ? ": %s\n" : "\n", strerror(error));
	_exit(2);
}

static int64_t nanoseconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

static void write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		fail("cannot write \"%s\" to %s", text, path);
	close(fd);
}

/* Users and groups keep their numbers, so that PROGRAM sees itself as it was started. */
static void enter_namespaces(void)
{
	uid_t uid = geteuid();
	gid_t gid = getegid();
	char map[64];

	if (unshare(CLONE_NEWNS) != 0) {
		if (errno != EPERM)
			fail("cannot make a mount namespace");
		if (unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0)
			fail("cannot make a user namespace (root needs none)");
		snprintf(map, sizeof(map), "%u %u 1", uid, uid);
		write_text("/proc/self/uid_map", map);
		/* An unprivileged gid_map is refused before this (user_namespaces(7)). */
		write_text("/proc/self/setgroups", "deny");
		snprintf(map, sizeof(map), "%u %u 1", gid, gid);
		write_text("/proc/self/gid_map", map);
	}
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)
		fail("cannot make the mounts private");
}

static void mount_file_system(const char *dir)
{
	char options[128];

	/* Opened inside the user namespace, as fuse_fill_super demands. Only this process holds
	   it: if it dies, the kernel ends what is in flight with an error. Without O_NONBLOCK, a
	   request withdrawn after poll has reported it would block the server. */
	device = open("/dev/fuse", O_RDWR | O_CLOEXEC | O_NONBLOCK);
	if (device < 0)
		fail("cannot open /dev/fuse");
	snprintf(options, sizeof(options), "fd=%d,rootmode=%o,user_id=%u,group_id=%u,allow_other",
	         device, S_IFDIR, geteuid(), getegid());
	if (mount("stalled_file", dir, "fuse", MS_RDONLY | MS_NOSUID | MS_NODEV, options) != 0)
		fail("cannot mount a FUSE file system on %s", dir);
}

static pid_t start(char **command)
{
	pid_t server = getpid(), child = fork();

	if (child < 0)
		fail("cannot fork");
	if (child > 0)
		return child;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != server)
		_exit(2); /* the server died before the line above */
	execvp(command[0], command);
	fail("cannot run %s", command[0]);
}

static void reply(uint64_t unique, int error, const void *body, size_t size)
{
	struct fuse_out_header header = { sizeof(header) + size, -error, unique };
	struct iovec parts[] = { { &header, sizeof(header) }, { (void *)body, size } };

	/* ENOENT: whoever asked is gone. */
	if (writev(device, parts, 2) < 0 && errno != ENOENT)
		fail("cannot answer FUSE request %llu", (unsigned long long)unique);
}

static struct fuse_attr attributes(uint64_t id)
{
	struct fuse_attr attr = { .ino = id, .nlink = 1, .blksize = FILE_SIZE };

	attr.uid = geteuid();
	attr.gid = getegid();
	attr.mode = id == FILE_ID ? S_IFREG | 0444 : S_IFDIR | 0555;
	attr.size = id == FILE_ID ? FILE_SIZE : 0;
	attr.blocks = attr.size / 512;
	return attr;
}

static void init(uint64_t unique, const struct fuse_init_in *in)
{
	struct fuse_init_out out = { .major = FUSE_KERNEL_VERSION };

	errno = 0;
	if (in->major != FUSE_KERNEL_VERSION || !(in->flags & FUSE_ASYNC_DIO))
		fail("the kernel's FUSE %u.%u has no asynchronous direct I/O", in->major,
		     in->minor);
	out.minor = FUSE_KERNEL_MINOR_VERSION;
	/* Without it, fuse_direct_IO waits for the answer, and io_submit with it. */
	out.flags = FUSE_ASYNC_DIO;
	/* With that many in flight, fuse_get_req makes io_submit wait. */
	out.max_background = MAX_HELD / 2;
	out.max_write = FILE_SIZE;
	out.time_gran = 1;
	reply(unique, 0, &out, sizeof(out));
}

static void hold(uint64_t unique, const struct fuse_read_in *in)
{
	errno = 0;
	if (held_count == MAX_HELD)
		fail("more than %d reads in flight", MAX_HELD);
	held[(first_held + held_count++) % MAX_HELD] =
		(struct held_read){ .unique = unique,
		                    .offset = in->offset,
		                    .size = in->size,
		                    .due = nanoseconds() + stall };
}

static void release_due(void)
{
	int64_t now = nanoseconds();

	while (held_count > 0 && held[first_held].due <= now) {
		const struct held_read *read = &held[first_held];
		uint64_t start = read->offset < FILE_SIZE ? read->offset : FILE_SIZE;
		uint64_t left = FILE_SIZE - start;

		reply(read->unique, 0, content + start, read->size < left ? read->size : left);
		first_held = (first_held + 1) % MAX_HELD;
		held_count--;
	}
}

static void answer(const struct fuse_in_header *in)
{
	const void *body = in + 1;
	struct fuse_entry_out entry = { .nodeid = FILE_ID, .entry_valid = FOREVER };
	struct fuse_attr_out attr = { .attr_valid = FOREVER, .attr = attributes(in->nodeid) };
	struct fuse_statfs_out statfs = { .st = { .blocks = 1, .bsize = FILE_SIZE, .files = 1 } };
	struct fuse_open_out opened = { 0 };

	switch (in->opcode) {
	case FUSE_INIT:
		init(in->unique, body);
		break;
	case FUSE_LOOKUP:
		entry.attr_valid = FOREVER;
		entry.attr = attributes(FILE_ID);
		if (strcmp(body, "file") == 0)
			reply(in->unique, 0, &entry, sizeof(entry));
		else
			reply(in->unique, ENOENT, NULL, 0);
		break;
	case FUSE_GETATTR:
		reply(in->unique, 0, &attr, sizeof(attr));
		break;
	case FUSE_OPEN:
	case FUSE_OPENDIR:
		reply(in->unique, 0, &opened, sizeof(opened));
		break;
	case FUSE_READ:
		hold(in->unique, body);
		break;
	case FUSE_STATFS:
		statfs.st.namelen = NAME_MAX;
		reply(in->unique, 0, &statfs, sizeof(statfs));
		break;
	case FUSE_ACCESS:
	case FUSE_FLUSH:
	case FUSE_RELEASE:
	case FUSE_RELEASEDIR:
		reply(in->unique, 0, NULL, 0);
		break;
	case FUSE_FORGET:
	case FUSE_BATCH_FORGET:
		break; /* the kernel expects no answer */
	default:
		/* Among them FUSE_INTERRUPT: the kernel then sends no more of them, and a read
		   stalls for its time even if a signal arrives. */
		reply(in->unique, ENOSYS, NULL, 0);
	}
}

/* Whether the file system is still mounted. */
static int answer_next(void)
{
	static union {
		struct fuse_in_header header;
		char bytes[FUSE_MIN_READ_BUFFER];
	} request;

	if (read(device, &request, sizeof(request)) > 0)
		answer(&request.header);
	else if (errno == ENODEV)
		return 0;
	/* ENOENT: the request was withdrawn while it was read. */
	else if (errno != EAGAIN && errno != EINTR && errno != ENOENT)
		fail("cannot read from /dev/fuse");
	return 1;
}

static int milliseconds_to_next(void)
{
	int64_t left;

	if (held_count == 0)
		return -1;
	left = (held[first_held].due - nanoseconds() + 999999) / 1000000;
	return left < 0 ? 0 : left > INT_MAX ? INT_MAX : (int)left;
}

static int serve_until_exit(pid_t child)
{
	struct pollfd polled[] = { { .fd = device, .events = POLLIN }, { .events = POLLIN } };
	int status;

	polled[1].fd = syscall(SYS_pidfd_open, child, 0);
	if (polled[1].fd < 0)
		fail("cannot watch the program (pidfd_open)");
	while (polled[1].revents == 0) {
		if (poll(polled, 2, milliseconds_to_next()) < 0 && errno != EINTR)
			fail("cannot poll");
		if (polled[0].revents != 0 && !answer_next())
			polled[0].fd = -1; /* unmounted by PROGRAM, if privileged */
		release_due();
	}
	if (waitpid(child, &status, 0) != child)
		fail("cannot wait for the program");
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int main(int argc, char **argv)
{
	const char *text = getenv("STALL_MS");
	char *end = "";
	long ms = 1500;

	errno = 0;
	if (argc < 3)
		fail("usage: stalled_file DIR PROGRAM ARGS...");
	if (text != NULL)
		ms = strtol(text, &end, 10);
	if (ms < 0 || ms > INT_MAX || *end != '\0' || errno != 0 || end == text)
		fail("STALL_MS is \"%s\", not a number of milliseconds", text);
	stall = ms * INT64_C(1000000);
	memset(content, 'x', FILE_SIZE - 1);
	content[FILE_SIZE - 1] = '\n';
	enter_namespaces();
	mount_file_system(argv[1]);
	return serve_until_exit(start(argv + 2));
}
