/*
 * signals.h - a signal handler that counts.
 */
#ifndef SIGNALS_H
#define SIGNALS_H

#include <signal.h>

#include "check.h"

/* How often the handler has run. */
static volatile sig_atomic_t runs;

static inline void count(int signal)
{
	(void)signal;
	runs++;
}

/* Has `signal` be counted, with `flags` (SA_RESTART). */
static inline void count_signal(int signal, int flags)
{
	struct sigaction action = { .sa_handler = count, .sa_flags = flags };

	CHECK_EQ(sigaction(signal, &action, NULL), 0);
}

static inline void block(int signal)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, signal);
	CHECK_EQ(sigprocmask(SIG_BLOCK, &set, NULL), 0);
}

#endif /* SIGNALS_H */
