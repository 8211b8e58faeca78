/* SPDX-License-Identifier: Apache-2.0 */
/* Child processes of drivers: messages, shared memory, and their end. */
#include "check.h"
#include "worker.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int start(const char *script, struct worker *w)
{
	char *argv[] = {"/bin/sh", "-c", (char *)(uintptr_t)script, NULL};
	char *envp[] = {"PATH=/usr/bin:/bin", "GREETING=hello", NULL};

	return worker_start(argv, envp, "/tmp", 4096, w);
}

static void a_child_answers_and_shares_memory(void **state)
{
	struct worker w;
	char answer[4];

	(void)state;
	assert_int_equal(start("printf $GREETING >&4; pwd >&4; exec cat <&3 >&3", &w), 0);
	assert_int_equal(worker_send(&w, "ping", 4), 0);
	assert_int_equal(worker_receive(&w, answer, 4, -1), 0);
	assert_memory_equal(answer, "ping", 4);
	assert_memory_equal(w.memory, "hello/tmp\n", 10);
	assert_int_equal(worker_receive(&w, answer, 4, 1000), -EAGAIN);
	worker_stop(&w, 1000000000);
	worker_stop(&w, 0); /* again: nothing is left to stop */
}

static void a_child_that_has_ended_is_noticed(void **state)
{
	struct worker w;
	char answer[4];

	(void)state;
	assert_int_equal(start("exit 3", &w), 0);
	assert_int_equal(worker_receive(&w, answer, 4, -1), -EPIPE);
	assert_int_equal(worker_send(&w, "ping", 4), -EPIPE);
	worker_stop(&w, 1000000000);
}

static void a_message_of_another_size_is_no_answer(void **state)
{
	struct worker w;
	char answer[4];

	(void)state;
	assert_int_equal(start("printf abc >&3; exec sleep 1000", &w), 0);
	assert_int_equal(worker_receive(&w, answer, 4, -1), -EPIPE);
	worker_stop(&w, 0);
}

/* Its own children go with it: they hold its end of the socket open. */
static void a_child_that_hangs_is_killed_with_its_children(void **state)
{
	struct pollfd end = {.events = POLLIN};
	struct worker w;
	char ready[2];

	(void)state;
	assert_int_equal(start("trap '' TERM; sleep 1000 & printf ok >&3; wait", &w), 0);
	assert_int_equal(worker_receive(&w, ready, 2, -1), 0);
	end.fd = dup(w.socket);
	worker_stop(&w, 0);
	assert_int_equal(poll(&end, 1, 10000), 1);
	assert_int_equal(recv(end.fd, ready, 2, 0), 0);
	close(end.fd);
}

static void what_can_not_be_started_is_an_error(void **state)
{
	char *argv[] = {"/nowhere/program", NULL};
	char *envp[] = {NULL};
	struct worker w = {.pid = 77};

	(void)state;
	assert_int_equal(worker_start(argv, envp, "/tmp", 4096, &w), -ENOENT);
	assert_int_equal(w.pid, 77);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_child_answers_and_shares_memory),
		cmocka_unit_test(a_child_that_has_ended_is_noticed),
		cmocka_unit_test(a_message_of_another_size_is_no_answer),
		cmocka_unit_test(a_child_that_hangs_is_killed_with_its_children),
		cmocka_unit_test(what_can_not_be_started_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
