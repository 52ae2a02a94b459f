/*
 * instructions_of_getevents.c - counts the machine instructions of one io_getevents call that finds
 * its one event ready, by stepping through it (ptrace). Prints the number. x86-64.
 */
#define _GNU_SOURCE
#include "check.h"

#include <dlfcn.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>

/* The call in question, after others that leave nothing to be done for the first time. */
static int traced(void)
{
	io_context_t ctx = new_context(1);
	struct iocb request, *list[1] = { &request };
	struct io_event event;
	int fd = eventfd(1, 0);

	io_prep_poll(&request, fd, POLLIN);
	for (int i = 0; i < 3; i++)
		CHECK_EQ(run_one(ctx, &request), POLLIN);
	CHECK_EQ(io_submit(ctx, 1, list), 1);
	CHECK_EQ(ptrace(PTRACE_TRACEME, 0, 0, 0), 0);
	CHECK_EQ(raise(SIGSTOP), 0);
	CHECK_EQ(io_getevents(ctx, 1, 1, &event, NULL), 1);
	return 0;
}

/* One instruction of the process further; whether it is still there. */
static int step(pid_t pid, struct user_regs_struct *registers)
{
	int status;

	CHECK_EQ(ptrace(PTRACE_SINGLESTEP, pid, 0, 0), 0);
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	if (!WIFSTOPPED(status))
		return 0;
	CHECK_EQ(WSTOPSIG(status), SIGTRAP);
	CHECK_EQ(ptrace(PTRACE_GETREGS, pid, 0, registers), 0);
	return 1;
}

int main(void)
{
	/* At the same address in the child. */
	unsigned long long function = (uintptr_t)dlsym(RTLD_DEFAULT, "io_getevents");
	struct user_regs_struct registers;
	pid_t pid = fork();
	long count = 0, back;
	int status;

	if (pid == 0)
		_exit(traced());
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK(WIFSTOPPED(status));
	do
		CHECK(step(pid, &registers));
	while (registers.rip != function);
	/* Where it returns to lies on the stack. */
	back = ptrace(PTRACE_PEEKDATA, pid, registers.rsp, 0);
	for (; registers.rip != (unsigned long long)back; count++)
		CHECK(step(pid, &registers));
	CHECK_EQ(registers.rax, 1);
	CHECK_EQ(ptrace(PTRACE_DETACH, pid, 0, 0), 0);
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	printf("%ld\n", count);
	return 0;
}
