/* SPDX-License-Identifier: Apache-2.0 */
/* Starts, talks to and ends child processes of drivers. */
#include "worker.h"
#include "clock.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static int spawn(char *const *argv, char *const *envp, const char *folder, int socket, int memory, pid_t *pid)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	/* Above what they become, so that neither takes the other's place. */
	int from[2] = {fcntl(socket, F_DUPFD_CLOEXEC, 10), fcntl(memory, F_DUPFD_CLOEXEC, 10)};
	sigset_t none, all;
	int err = from[0] < 0 || from[1] < 0 ? errno : 0;

	sigemptyset(&none);
	sigfillset(&all);
	posix_spawn_file_actions_init(&actions);
	posix_spawnattr_init(&attributes);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	posix_spawnattr_setsigmask(&attributes, &none);
	posix_spawnattr_setsigdefault(&attributes, &all);
	posix_spawn_file_actions_addchdir_np(&actions, folder);
	posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&actions, STDERR_FILENO, STDOUT_FILENO); /* results are the caller's alone */
	posix_spawn_file_actions_adddup2(&actions, from[0], WORKER_SOCKET_FD);
	posix_spawn_file_actions_adddup2(&actions, from[1], WORKER_MEMORY_FD);
	if (!err)
		err = posix_spawn(pid, argv[0], &actions, &attributes, argv, envp);
	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&actions);
	for (int i = 0; i < 2; i++)
		if (from[i] >= 0)
			close(from[i]);
	return -err;
}

int worker_start(char *const *argv, char *const *envp, const char *folder, size_t memory_bytes, struct worker *out)
{
	struct worker w = {
		.memory_fd = memfd_create("veto", MFD_CLOEXEC), .memory = MAP_FAILED, .memory_bytes = memory_bytes};
	int pair[2] = {-1, -1};
	int err = 0;

	if (w.memory_fd < 0 || ftruncate(w.memory_fd, (off_t)memory_bytes) ||
		socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		err = -errno;
	w.socket = pair[0];
	if (!err) {
		w.memory = mmap(NULL, memory_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, w.memory_fd, 0);
		err = w.memory == MAP_FAILED ? -errno : spawn(argv, envp, folder, pair[1], w.memory_fd, &w.pid);
	}
	if (pair[1] >= 0)
		close(pair[1]);
	if (err)
		worker_stop(&w, 0);
	else
		*out = w;
	return err;
}

/* Wait for the child's end; false: it lives on. */
static int is_over(pid_t pid, int64_t patience_ns)
{
	uint64_t start = clock_ns();
	pid_t ended;

	while ((ended = waitpid(pid, NULL, WNOHANG)) == 0 && (int64_t)(clock_ns() - start) < patience_ns)
		usleep(1000);
	return ended != 0;
}

void worker_stop(struct worker *w, int64_t patience_ns)
{
	if (w->socket >= 0)
		close(w->socket);
	if (w->pid > 0) {
		const int has_ended = is_over(w->pid, patience_ns);

		kill(-w->pid, SIGKILL); /* its children, too */
		if (!has_ended)
			waitpid(w->pid, NULL, 0);
	}
	if (w->memory != MAP_FAILED && w->memory)
		munmap(w->memory, w->memory_bytes);
	if (w->memory_fd >= 0)
		close(w->memory_fd);
	*w = (struct worker){.socket = -1, .memory_fd = -1};
}

int worker_receive(struct worker *w, void *message, size_t bytes, int64_t timeout_ns)
{
	struct pollfd p = {.fd = w->socket, .events = POLLIN};
	int ready;
	ssize_t n;

	do
		ready = poll(&p, 1, timeout_ns < 0 ? -1 : (int)((timeout_ns + 999999) / 1000000));
	while (ready < 0 && errno == EINTR);
	if (ready == 0)
		return -EAGAIN;
	n = recv(w->socket, message, bytes, 0);
	return n == (ssize_t)bytes ? 0 : -EPIPE;
}

int worker_send(struct worker *w, const void *message, size_t bytes)
{
	return send(w->socket, message, bytes, MSG_NOSIGNAL) == (ssize_t)bytes ? 0 : -EPIPE;
}
