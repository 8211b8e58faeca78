/* SPDX-License-Identifier: Apache-2.0 */
/* What devices and verifiers do with jobs that fail, and that take their time: on a driver that ends them when told. */
#include "backend.h"
#include "check.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

static struct job *held[8]; /* submitted and not ended */
static uint32_t held_jobs;
static bool is_open;

static int open_held(struct driver *drv, const struct veto_values *args, char *why)
{
	(void)args;
	(void)why;
	drv->info->depth = 8;
	drv->info->formats = 1u << VETO_FP16;
	drv->info->memories = 1u << VETO_HOST | 1u << VETO_DEVICE;
	is_open = true;
	return 0;
}

/* End the oldest job, with a result that no row has. */
static void end_job(int status, uint64_t device_ns)
{
	struct job *job = held[0];

	assert_true(held_jobs > 0);
	held_jobs--;
	for (uint32_t i = 0; i < held_jobs; i++)
		held[i] = held[i + 1];
	for (uint32_t i = 0; i < job->rows.rows; i++)
		job->result[i] =
			(struct row_result){.record = {.cnt = 5, .s = 1ull << 44}, .top = {{0, 0}, {0, VETO_NO_TOKEN}}};
	job_finish(job, status, device_ns);
}

static void close_held(struct driver *drv)
{
	(void)drv;
	while (held_jobs > 0)
		end_job(-ECANCELED, 0);
	is_open = false;
}

static void submit_held(struct driver *drv, struct job *job)
{
	(void)drv;
	if (job->rows.rows == 0)
		job_finish(job, 0, 0);
	else
		held[held_jobs++] = job;
}

static void list_held(void (*found)(void *arg, const char *uri), void *arg) { found(arg, "held:"); }

static const struct veto_param no_params[] = {{0}};
static const struct backend held_backend = {
	.name = "held",
	.param = no_params,
	.open = open_held,
	.close = close_held,
	.submit = submit_held,
	.list = list_held,
};

/* In place of the table of drivers. */
const struct backend *const backends[] = {&held_backend, NULL};
const struct backend_absent backends_absent[] = {{"gone", "a part"}, {NULL, NULL}};

static const uint16_t row[5];
static const struct veto_rows rows = {
	.format = VETO_FP16, .rows = 1, .cols = 5, .stride_bytes = sizeof(row), .data = row, .top_k = 1};

static struct veto_device *open_device(void)
{
	struct veto_device *dev;

	assert_int_equal(veto_device_open("held:", &dev, NULL), 0);
	return dev;
}

static void a_failed_job_leaves_its_results_alone(void **state)
{
	struct veto_device *dev = open_device();
	struct veto_record record = {.cnt = 77};
	struct veto_score score = {.has = 77};
	struct veto_results out = {.record = &record, .score = &score};
	struct veto_done done;

	(void)state;
	assert_int_equal(veto_device_submit(dev, &rows, &out, 9), 0);
	end_job(-EIO, 1234);
	assert_int_equal(veto_device_reap(dev, -1, &done), 0);
	assert_int_equal(done.status, -EIO);
	assert_int_equal(done.tag, 9);
	assert_int_equal(done.device_ns, 1234);
	assert_int_equal(record.cnt, 77);
	assert_int_equal(score.has, 77);
	assert_int_equal(veto_device_submit(dev, &rows, &out, 10), 0);
	end_job(0, 1);
	assert_int_equal(veto_device_reap(dev, 0, &done), 0);
	assert_int_equal(record.cnt, 5);
	assert_true(score.has >> VETO_ENTROPY & 1);
	veto_device_close(dev);
}

static void waiting_ends_when_its_time_is_over(void **state)
{
	static const int64_t timeouts_ns[] = {0, 1, 1000000, 300000000};
	struct veto_device *dev = open_device();
	struct veto_results none = {0};
	struct veto_done done;

	(void)state;
	assert_int_equal(veto_device_submit(dev, &rows, &none, 1), 0);
	for (int i = 0; i < 4; i++)
		assert_int_equal(veto_device_reap(dev, timeouts_ns[i], &done), -EAGAIN);
	end_job(0, 0);
	assert_int_equal(veto_device_reap(dev, 0, &done), 0);
	veto_device_close(dev);
}

static void *end_later(void *arg)
{
	(void)arg;
	usleep(20000);
	end_job(0, 0);
	return NULL;
}

static void waiting_ends_when_another_thread_ends_the_job(void **state)
{
	struct veto_device *dev = open_device();
	struct veto_results none = {0};
	struct veto_done done;
	pthread_t thread;

	(void)state;
	assert_int_equal(veto_device_submit(dev, &rows, &none, 1), 0);
	assert_int_equal(pthread_create(&thread, NULL, end_later, NULL), 0);
	assert_int_equal(veto_device_reap(dev, -1, &done), 0);
	pthread_join(thread, NULL);
	veto_device_close(dev);
}

static void jobs_are_reaped_in_the_order_of_their_ends(void **state)
{
	struct veto_device *dev = open_device();
	struct veto_results none = {0};
	struct veto_rows empty = rows;
	struct veto_done done;

	(void)state;
	empty.rows = 0;
	assert_int_equal(veto_device_submit(dev, &rows, &none, 1), 0);
	assert_int_equal(veto_device_submit(dev, &empty, &none, 2), 0);
	assert_int_equal(veto_device_reap(dev, 0, &done), 0);
	assert_int_equal(done.tag, 2);
	veto_device_close(dev);
	assert_int_equal(held_jobs, 0);
	assert_false(is_open);
}

static void what_a_driver_can_not_read_is_refused(void **state)
{
	struct veto_device *dev = open_device();
	struct veto_score score[2] = {0};
	struct veto_results none = {0}, both = {.score = score};
	struct veto_rows bad = rows;
	struct veto_done done;
	uint32_t token = 1;

	(void)state;
	bad.format = VETO_BF16;
	assert_int_equal(veto_device_submit(dev, &bad, &none, 1), -EOPNOTSUPP);
	bad = rows;
	bad.memory = VETO_DEVICE;
	bad.data = NULL;
	bad.handle = &token;
	bad.rows = 2;
	assert_int_equal(veto_device_submit(dev, &bad, &both, 1), 0);
	assert_ptr_equal(held[0]->rows.handle, &token);
	end_job(0, 0);
	assert_int_equal(veto_device_reap(dev, 0, &done), 0);
	assert_true(score[1].has >> VETO_LSE & 1);
	bad.token = &token;
	assert_int_equal(veto_device_submit(dev, &bad, &none, 1), -EOPNOTSUPP);
	bad.token = NULL;
	bad.subset = &token;
	bad.subset_tokens = 1;
	assert_int_equal(veto_device_submit(dev, &bad, &none, 1), -EOPNOTSUPP);
	veto_device_close(dev);
}

static void see_device(void *arg, const char *uri, const struct veto_device_info *info, const char *why)
{
	assert_string_equal(uri, "held:");
	assert_non_null(info);
	assert_null(why);
	(*(int *)arg)++;
}

static void a_listed_device_comes_with_its_info(void **state)
{
	int seen = 0;

	(void)state;
	veto_device_list(see_device, &seen);
	assert_int_equal(seen, 1);
	assert_false(is_open);
}

/* --- Verifiers --- */

struct prompt {
	struct veto_verifier *verifier;
	struct veto_stream *stream;
};

static struct prompt open_prompt(const char *text)
{
	struct prompt p;
	struct veto_rule rule;
	struct veto_stream_info info = {.rule = &rule,
		.rules = 1,
		.candidates = 2,
		.max_tokens = 9,
		.format = VETO_FP16,
		.vocab = 5,
		.top_k = 1};

	assert_int_equal(veto_rule_parse(text, &rule, NULL), 0);
	assert_int_equal(veto_verifier_open("held:", &p.verifier, NULL), 0);
	assert_int_equal(veto_stream_open(p.verifier, &info, &p.stream, NULL), 0);
	for (uint32_t i = 0; i < 2; i++)
		assert_int_equal(
			veto_stream_push(p.stream, &(struct veto_event){.kind = VETO_OPEN, .candidate = i}, NULL), 0);
	return p;
}

static void push_row(struct prompt *p, uint32_t candidate)
{
	struct veto_event event = {
		.kind = VETO_TOKEN, .candidate = candidate, .token = 1, .score = {.has = 1U << VETO_LSE}};
	struct veto_payload payload = {.row = row};

	assert_int_equal(veto_stream_push(p->stream, &event, &payload), 0);
}

static void close_prompt(struct prompt *p)
{
	veto_stream_close(p->stream);
	veto_verifier_close(p->verifier);
}

/* Candidate 0 would fall to the floor if its row had a score. */
static void a_row_that_failed_is_a_token_without_a_score(void **state)
{
	struct prompt p = open_prompt("floor:score=lse,window=1,threshold=2000,min_survivors=0");
	struct veto_candidate_info info;
	struct veto_verdict verdict;

	(void)state;
	push_row(&p, 0);
	push_row(&p, 1);
	end_job(-EIO, 30);
	end_job(0, 12);
	assert_int_equal(veto_stream_round(p.stream, -1), 0);
	assert_true(veto_stream_next(p.stream, &verdict));
	assert_int_equal(verdict.candidate, 1);
	assert_false(veto_stream_next(p.stream, &verdict));
	assert_int_equal(veto_stream_counts(p.stream).rows, 2);
	assert_int_equal(veto_stream_counts(p.stream).failed_rows, 1);
	assert_int_equal(veto_stream_counts(p.stream).device_ns, 42);
	assert_int_equal(veto_stream_score(p.stream, 0)->has, 0);
	assert_int_equal(veto_session_candidate(veto_stream_session(p.stream), 0, &info), 0);
	assert_int_equal(info.tokens, 1);
	assert_int_equal(info.unusable, 1);
	close_prompt(&p);
}

static void a_round_that_is_not_scored_in_time_is_called_again(void **state)
{
	struct prompt p = open_prompt("majority");
	struct veto_candidate_info info;

	(void)state;
	push_row(&p, 0);
	push_row(&p, 1);
	push_row(&p, 1);
	assert_int_equal(veto_stream_round(p.stream, 0), -EAGAIN);
	end_job(0, 1);
	assert_int_equal(veto_stream_round(p.stream, 1000000), -EAGAIN);
	veto_session_candidate(veto_stream_session(p.stream), 0, &info);
	assert_int_equal(info.state, VETO_WAITING); /* nothing is taken before all is scored */
	end_job(0, 1);
	end_job(0, 1);
	assert_int_equal(veto_stream_round(p.stream, 0), 0); /* a poll takes all that is there */
	veto_session_candidate(veto_stream_session(p.stream), 0, &info);
	assert_int_equal(info.tokens, 1);
	close_prompt(&p);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_failed_job_leaves_its_results_alone),
		cmocka_unit_test(waiting_ends_when_its_time_is_over),
		cmocka_unit_test(waiting_ends_when_another_thread_ends_the_job),
		cmocka_unit_test(jobs_are_reaped_in_the_order_of_their_ends),
		cmocka_unit_test(what_a_driver_can_not_read_is_refused),
		cmocka_unit_test(a_listed_device_comes_with_its_info),
		cmocka_unit_test(a_row_that_failed_is_a_token_without_a_score),
		cmocka_unit_test(a_round_that_is_not_scored_in_time_is_called_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
