/* A preload that has libaio's system calls fail, as strace's fault injection does but at full speed:

     LD_PRELOAD=faults.so FAULTS=io_submit:EAGAIN:3+7,io_submit:short:2+2 FAULTS_LOG=FILE PROGRAM

   Each rule is a system call, a fault and a time. The call: io_setup, io_submit, io_getevents,
   io_pgetevents, io_cancel, io_destroy or io_uring_setup; io_uring_enter is two, uring_submit where
   it submits, and uring_wait where it waits. The fault: the name of an error, which the caller gets
   without the kernel's being asked; or `short`, for an io_submit or uring_submit of several requests
   that passes on the first half of them. The time, as strace writes it: N is the Nth call; N+ that and all after
   it; N+STEP that and each STEPth after it. Each rule counts for itself, in each process.

   FAULTS_SIGNAL_US=N sends the process a signal every N microseconds, whose handler does nothing and
   which interrupts the system calls of whichever thread gets it.

   Every fault, and every hundredth signal, is noted in FAULTS_LOG as a line `PID CALL FAULT` or
   `PID signals 100`, so that a test can tell that it happened. Safe with threads and in signal handlers.

   It takes the place of libc's syscall(), through which this project's library makes its calls, and
   through which programs that do without libaio for some of them make theirs. Debian's library
   makes them by itself: strace reaches that. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { MAX_RULES = 16, SHORT = -1 };
/* Numbers of no system call. */
enum { URING_SUBMIT = -1, URING_WAIT = -2 };

struct rule {
	const char *call;
	long number;
	const char *fault;
	int error; /* or SHORT */
	unsigned long first, step;
	atomic_ulong calls;
};

static struct rule rules[MAX_RULES];
static int nr_rules;
static int log_fd = -1;
static long (*libc_syscall)(long number, ...);

static const struct {
	const char *name;
	long number;
} calls[] = {
	{ "io_setup", SYS_io_setup },           { "io_submit", SYS_io_submit },
	{ "io_getevents", SYS_io_getevents },   { "io_cancel", SYS_io_cancel },
	{ "io_pgetevents", SYS_io_pgetevents }, { "io_destroy", SYS_io_destroy },
	{ "uring_submit", URING_SUBMIT },       { "io_uring_setup", SYS_io_uring_setup },
	{ "uring_wait", URING_WAIT },
};

static const struct {
	const char *name;
	int error;
} errors[] = {
	{ "EAGAIN", EAGAIN }, { "EINTR", EINTR },   { "EINVAL", EINVAL }, { "EIO", EIO },
	{ "ENOMEM", ENOMEM }, { "ENOSYS", ENOSYS }, { "EPERM", EPERM },   { "EBUSY", EBUSY },
	{ "EMFILE", EMFILE }, { "short", SHORT },
};

static void refuse(const char *rule)
{
	fprintf(stderr, "faults: not a rule: %s\n", rule);
	_exit(2);
}

static void parse(char *text)
{
	char *call = text, *fault = strchr(text, ':'),
	     *when = fault ? strchr(fault + 1, ':') : NULL;
	if (!when || nr_rules == MAX_RULES)
		refuse(text);
	struct rule *rule = &rules[nr_rules];
	for (size_t i = 0; i < sizeof(calls) / sizeof(*calls); i++) {
		if (strlen(calls[i].name) == (size_t)(fault - call) &&
		    !strncmp(calls[i].name, call, (size_t)(fault - call))) {
			rule->call = calls[i].name;
			rule->number = calls[i].number;
		}
	}
	fault++;
	for (size_t i = 0; i < sizeof(errors) / sizeof(*errors); i++) {
		if (strlen(errors[i].name) == (size_t)(when - fault) &&
		    !strncmp(errors[i].name, fault, (size_t)(when - fault))) {
			rule->fault = errors[i].name;
			rule->error = errors[i].error;
		}
	}
	char *end;
	rule->first = strtoul(when + 1, &end, 10);
	if (*end == '+')
		rule->step = end[1] ? strtoul(end + 1, &end, 10) : (end++, 1);
	if (!rule->call || !rule->fault || !rule->first || *end ||
	    (rule->error == SHORT && rule->number != SYS_io_submit && rule->number != URING_SUBMIT))
		refuse(text);
	nr_rules++;
}

static char signal_line[40];
static size_t signal_line_length;
static atomic_ulong signals;

static void on_signal(int signal)
{
	(void)signal;
	int kept = errno;
	if (atomic_fetch_add(&signals, 1) % 100 == 99 && log_fd >= 0 &&
	    write(log_fd, signal_line, signal_line_length) < 0)
		_exit(2);
	errno = kept;
}

static void start_signals(long microseconds)
{
	struct sigaction action = { .sa_handler = on_signal };
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN + 7 };
	struct itimerspec time = { .it_interval.tv_nsec = microseconds * 1000,
		                   .it_value.tv_nsec = microseconds * 1000 };
	timer_t timer;
	if (microseconds < 1 || microseconds > 999999)
		refuse("FAULTS_SIGNAL_US");
	signal_line_length =
		(size_t)snprintf(signal_line, sizeof(signal_line), "%d signals 100\n", getpid());
	if (sigaction(SIGRTMIN + 7, &action, NULL) ||
	    timer_create(CLOCK_MONOTONIC, &event, &timer) || timer_settime(timer, 0, &time, NULL)) {
		perror("faults: FAULTS_SIGNAL_US");
		_exit(2);
	}
}

__attribute__((constructor)) static void start(void)
{
	/* The library makes calls before other constructors have run. */
	if (libc_syscall)
		return;
	libc_syscall = (long (*)(long, ...))dlsym(RTLD_NEXT, "syscall");
	const char *log = getenv("FAULTS_LOG"), *text = getenv("FAULTS");
	if (log) {
		log_fd = open(log, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
		if (log_fd < 0) {
			perror("faults: FAULTS_LOG");
			_exit(2);
		}
	}
	const char *microseconds = getenv("FAULTS_SIGNAL_US");
	if (microseconds)
		start_signals(atol(microseconds));
	if (!text || !*text)
		return;
	char *copy = strdup(text), *rest = copy, *rule; /* stays: errors quote from it */
	while (rest && (rule = strsep(&rest, ",")))
		parse(rule);
}

static int is_due(struct rule *rule)
{
	unsigned long count = atomic_fetch_add(&rule->calls, 1) + 1;
	if (count < rule->first || (count > rule->first && !rule->step))
		return 0;
	return count == rule->first || (count - rule->first) % rule->step == 0;
}

static void note(const struct rule *rule)
{
	char line[80];
	int n = snprintf(line, sizeof(line), "%d %s %s\n", getpid(), rule->call, rule->fault);
	if (log_fd >= 0 && write(log_fd, line, (size_t)n) != n)
		_exit(2);
}

/* Which of the calls of the rules this one is. */
static long call_of(long number, const long *a)
{
	if (number != SYS_io_uring_enter)
		return number;
	if (a[1])
		return URING_SUBMIT;
	return a[2] && (a[3] & IORING_ENTER_GETEVENTS) ? URING_WAIT : number;
}

__attribute__((visibility("default"))) long syscall(long number, ...)
{
	va_list list;
	long a[6];
	va_start(list, number);
	for (int i = 0; i < 6; i++)
		a[i] = va_arg(list, long);
	va_end(list);

	if (!libc_syscall)
		start();
	int kept = errno;
	long call = call_of(number, a);
	for (int i = 0; i < nr_rules; i++) {
		struct rule *rule = &rules[i];
		if (rule->number != call || (rule->error == SHORT && a[1] < 2) || !is_due(rule))
			continue;
		note(rule);
		if (rule->error != SHORT) {
			errno = rule->error;
			return -1;
		}
		a[1] /= 2;
	}
	errno = kept;
	return libc_syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}
