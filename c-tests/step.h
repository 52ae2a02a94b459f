/*
 * step.h - puts a signal handler between any two machine instructions of a call (x86-64): the trap
 * flag stops the processor after each, and the handler of that trap is where another signal's
 * handler could have come in.
 *
 * The call must not block SIGTRAP, for the kernel kills a thread that traps with it blocked.
 *
 * In the environment variable STEP_BY: of how many instructions one is tried, in the programs that take
 * long (1).
 */
#ifndef STEP_H
#define STEP_H

#include <signal.h>
#include <ucontext.h>

#include "check.h"

#define TRAP_FLAG 0x100ull

static __thread volatile int step_left;
static __thread void (*volatile step_handler)(void);

static inline void step_trap(int signal, siginfo_t *info, void *context)
{
	int before = errno;

	(void)signal, (void)info;
	if (step_left-- == 0) {
		((ucontext_t *)context)->uc_mcontext.gregs[REG_EFL] &= ~TRAP_FLAG;
		step_handler();
	}
	errno = before;
}

/* Once, before the first STEPPING. */
static inline void step_prepare(void)
{
	struct sigaction action = { .sa_sigaction = step_trap, .sa_flags = SA_SIGINFO };

	CHECK_EQ(sigaction(SIGTRAP, &action, NULL), 0);
}

/* Sets or clears the trap flag. The 128 bytes below the stack pointer may be the function's own. */
#define STEP_FLAGS(change)                                                                         \
	__asm__ volatile("lea -128(%%rsp), %%rsp\n\tpushfq\n\t" change                             \
	                 " (%%rsp)\n\tpopfq\n\tlea 128(%%rsp), %%rsp" ::                           \
	                         : "memory", "cc")

/* Runs a statement with `handler` in front of its instruction number `at`. It came in where
   step_came_in() is true afterwards; else the statement has fewer instructions. */
#define STEPPING(at, handler, statement)                                                           \
	do {                                                                                       \
		step_left = (at);                                                                  \
		step_handler = (handler);                                                          \
		STEP_FLAGS("orq $0x100,");                                                         \
		statement;                                                                         \
		STEP_FLAGS("andq $~0x100,");                                                       \
	} while (0)

static inline int step_came_in(void)
{
	return step_left < 0;
}

/* How far it is to the next instruction to try. */
static inline int step_by(void)
{
	const char *by = getenv("STEP_BY");

	return by != NULL && atoi(by) > 1 ? atoi(by) : 1;
}

#endif
