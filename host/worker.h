/* SPDX-License-Identifier: Apache-2.0 */
/* A child process that a driver keeps what it can't trust in. */
#ifndef VETO_WORKER_H
#define VETO_WORKER_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Descriptors in the child. */
#define WORKER_SOCKET_FD 3
#define WORKER_MEMORY_FD 4

struct worker {
	pid_t pid; /* leads a session of its own */
	int socket; /* SOCK_SEQPACKET */
	int memory_fd;
	void *memory; /* [memory_bytes] that both map */
	size_t memory_bytes;
};

/* Start argv[0] in a folder, with the environment envp and memory_bytes of shared memory.
 *   -errno of what failed */
int worker_start(char *const *argv, char *const *envp, const char *folder, size_t memory_bytes, struct worker *out);

/* Give the child so long to end by itself, its socket closed; then kill its session.  Frees what there is. */
void worker_stop(struct worker *w, int64_t patience_ns);

/* Receive one message of exactly so many bytes.
 *   -EAGAIN  none came in time (negative: no limit)
 *   -EPIPE   the child has ended */
int worker_receive(struct worker *w, void *message, size_t bytes, int64_t timeout_ns);

/* -EPIPE: the child has ended */
int worker_send(struct worker *w, const void *message, size_t bytes);

#endif
