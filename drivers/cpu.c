/* SPDX-License-Identifier: Apache-2.0 */
/* The cpu: device: the best instruction set at hand, and threads that share a job's rows. */
#include "cpu.h"

#include "cpu_hidden.h"
#include "param.h"

#include <assert.h>
#include <errno.h>
#include <fenv.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define DEPTH 16
#define THREADS_MAX 256
#define ROWS_MAX 16

enum { PARAM_ISA, PARAM_THREADS };

static const char *const isa_names[] = {"best", "portable", "avx2", "avx512", NULL};

static const struct veto_param cpu_params[] = {
	[PARAM_ISA] = {.name = "isa",
		.help = "instruction set; best: the last of these that the processor has",
		.type = VETO_PARAM_CHOICE,
		.choices = isa_names},
	[PARAM_THREADS] = {.name = "threads",
		.help = "threads that score, the waiting caller among them; 0: one a processor",
		.type = VETO_PARAM_COUNT,
		.low = 0,
		.high = THREADS_MAX},
	{0},
};

/* A job taken by the device, from the oldest on. */
struct entry {
	struct job *job;
	uint32_t taken, done; /* rows */
	struct timespec start;
};

/* A thread, or the caller that waits. */
struct hand {
	struct cpu *cpu;
	pthread_t thread;
	void *scratch; /* [scratch_bytes] for hidden states */
};

struct cpu {
	const struct cpu_isa *isa;
	const struct cpu_products *products;
	uint32_t workers; /* threads besides the caller's */
	struct hand hand[THREADS_MAX]; /* the caller's is the last of them */
	size_t scratch_bytes;
	pthread_mutex_t lock; /* guards what follows */
	pthread_cond_t has_work;
	struct entry entry[DEPTH]; /* a ring */
	uint32_t first, entries;
	bool is_closing;
};

const struct cpu_isa *const cpu_isas[] = {
	&cpu_portable,
#ifdef __x86_64__
	&cpu_avx2,
	&cpu_avx512,
#endif
	NULL,
};

static const struct cpu_isa *isa_find(const char *name)
{
	const struct cpu_isa *found = NULL;

	for (size_t i = 0; cpu_isas[i]; i++)
		if (cpu_isas[i]->is_supported() && (strcmp(name, "best") == 0 || strcmp(name, cpu_isas[i]->name) == 0))
			found = cpu_isas[i];
	return found;
}

static const struct cpu_products *products_of(const struct cpu_isa *isa)
{
#ifdef __x86_64__
	if (isa == &cpu_avx512 && cpu_products_vnni.is_supported())
		return &cpu_products_vnni;
	if (isa == &cpu_avx512 || isa == &cpu_avx2)
		return isa == &cpu_avx2 ? &cpu_products_avx2 : &cpu_products_avx512;
#endif
	return &cpu_products_portable;
}

static uint64_t ns_since(const struct timespec *start)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)(now.tv_sec - start->tv_sec) * 1000000000 + (uint64_t)now.tv_nsec - (uint64_t)start->tv_nsec;
}

static void end_first(struct cpu *cpu, int status)
{
	struct entry *e = &cpu->entry[cpu->first];

	job_finish(e->job, status, ns_since(&e->start));
	cpu->first = (cpu->first + 1) % DEPTH;
	cpu->entries--;
}

/* The oldest job with rows that nobody has taken. */
static struct entry *entry_find(struct cpu *cpu)
{
	for (uint32_t i = 0; i < cpu->entries; i++) {
		struct entry *e = &cpu->entry[(cpu->first + i) % DEPTH];

		if (e->taken < e->job->rows.rows)
			return e;
	}
	return NULL;
}

static void score_rows(const struct hand *hand, struct job *job, uint32_t first, uint32_t count)
{
	const struct cpu_isa *isa = hand->cpu->isa;
	const struct veto_rows *rows = &job->rows;
	int rounding = fegetround();

	if (job->head) {
		cpu_hidden_score(hand->cpu->products, job, first, count, hand->scratch);
		return;
	}
	if (rounding != FE_TONEAREST)
		fesetround(FE_TONEAREST);
	for (uint32_t i = first; i < first + count; i++)
		isa->row((const char *)rows->data + i * rows->stride_bytes, rows->format, rows->cols, job->top_entries,
			&job->result[i].record, job->result[i].top);
	if (rounding != FE_TONEAREST)
		fesetround(rounding);
}

/* Rows to take at a time: few enough that all threads end together, more than one where there are many.  States share
 * the reading of a head's weights, so there each thread takes all it can. */
static uint32_t share(const struct cpu *cpu, const struct entry *e)
{
	const uint32_t left = e->job->rows.rows - e->taken, threads = cpu->workers + 1;
	const uint32_t part = e->job->head ? (left + threads - 1) / threads : left / (2 * threads);

	return part < 1 ? 1 : part > ROWS_MAX ? ROWS_MAX : part;
}

/* Takes rows under the lock, scores them outside; ends the jobs that are complete, oldest first. */
static bool score_some(const struct hand *hand)
{
	struct cpu *cpu = hand->cpu;
	struct entry *e = cpu->is_closing ? NULL : entry_find(cpu);
	uint32_t first, count;

	if (!e)
		return false;
	first = e->taken;
	count = share(cpu, e);
	e->taken += count;
	pthread_mutex_unlock(&cpu->lock);
	score_rows(hand, e->job, first, count);
	pthread_mutex_lock(&cpu->lock);
	e->done += count;
	while (cpu->entries > 0 && cpu->entry[cpu->first].done == cpu->entry[cpu->first].job->rows.rows)
		end_first(cpu, 0);
	return true;
}

static void *worker(void *arg)
{
	const struct hand *hand = arg;
	struct cpu *cpu = hand->cpu;

	pthread_mutex_lock(&cpu->lock);
	while (!cpu->is_closing)
		if (!score_some(hand))
			pthread_cond_wait(&cpu->has_work, &cpu->lock);
	pthread_mutex_unlock(&cpu->lock);
	return NULL;
}

static bool cpu_work(struct driver *drv)
{
	struct cpu *cpu = drv->state;
	bool did_work;

	pthread_mutex_lock(&cpu->lock);
	did_work = score_some(&cpu->hand[cpu->workers]);
	pthread_mutex_unlock(&cpu->lock);
	return did_work;
}

static void cpu_submit(struct driver *drv, struct job *job)
{
	struct cpu *cpu = drv->state;
	struct entry *e;

	pthread_mutex_lock(&cpu->lock);
	assert(cpu->entries < DEPTH);
	e = &cpu->entry[(cpu->first + cpu->entries++) % DEPTH];
	*e = (struct entry){.job = job};
	clock_gettime(CLOCK_MONOTONIC, &e->start);
	if (job->rows.rows == 0 && cpu->entries == 1)
		end_first(cpu, 0);
	else if (cpu->workers > 0)
		pthread_cond_broadcast(&cpu->has_work);
	pthread_mutex_unlock(&cpu->lock);
}

static void cpu_close(struct driver *drv)
{
	struct cpu *cpu = drv->state;

	pthread_mutex_lock(&cpu->lock);
	cpu->is_closing = true;
	pthread_cond_broadcast(&cpu->has_work);
	pthread_mutex_unlock(&cpu->lock);
	for (uint32_t i = 0; i < cpu->workers; i++)
		pthread_join(cpu->hand[i].thread, NULL);
	for (uint32_t i = 0; i <= cpu->workers; i++)
		free(cpu->hand[i].scratch);
	while (cpu->entries > 0)
		end_first(cpu, -ECANCELED);
	pthread_cond_destroy(&cpu->has_work);
	pthread_mutex_destroy(&cpu->lock);
	free(cpu);
}

static uint32_t threads_wanted(const struct veto_values *args)
{
	long threads = args->value[PARAM_THREADS][0];

	if (threads == 0)
		threads = sysconf(_SC_NPROCESSORS_ONLN);
	if (threads < 1)
		return 1;
	return threads > THREADS_MAX ? THREADS_MAX : (uint32_t)threads;
}

static int cpu_open(struct driver *drv, const struct veto_values *args, char *why)
{
	const char *isa_name = isa_names[args->value[PARAM_ISA][0]];
	const struct cpu_isa *isa = isa_find(isa_name);
	uint32_t threads = threads_wanted(args);
	struct cpu *cpu;

	if (!isa)
		return param_fail(-ENODEV, why, "cpu: this processor or build has no isa=%s", isa_name);
	cpu = calloc(1, sizeof(*cpu));
	if (!cpu)
		return param_fail(-ENOMEM, why, "cpu: out of memory");
	cpu->isa = isa;
	cpu->products = products_of(isa);
	pthread_mutex_init(&cpu->lock, NULL);
	pthread_cond_init(&cpu->has_work, NULL);
	drv->state = cpu;
	for (; cpu->workers < threads - 1; cpu->workers++) {
		struct hand *hand = &cpu->hand[cpu->workers];

		hand->cpu = cpu;
		if (pthread_create(&hand->thread, NULL, worker, hand)) {
			cpu_close(drv);
			return param_fail(-ENOMEM, why, "cpu: can't start %u threads", threads);
		}
	}
	cpu->hand[cpu->workers].cpu = cpu;
	drv->info->depth = DEPTH;
	drv->info->formats = 1u << VETO_FP32 | 1u << VETO_FP16 | 1u << VETO_BF16;
	drv->info->memories = 1u << VETO_HOST;
	drv->info->heads = (1u << VETO_HEAD_SORTS) - 1;
	snprintf(drv->info->uri, sizeof(drv->info->uri), "cpu:isa=%s,threads=%u", isa->name, threads);
	return 0;
}

/* No job is in flight, so the threads rest. */
static int cpu_load(struct driver *drv, uint32_t slot, const struct veto_head *head, char *why)
{
	struct cpu *cpu = drv->state;
	const size_t bytes = cpu_hidden_bytes(head);

	(void)slot;
	for (uint32_t i = 0; i <= cpu->workers && bytes > cpu->scratch_bytes; i++) {
		void *scratch = aligned_alloc(CPU_STATE_ALIGN, bytes);

		if (!scratch)
			return param_fail(-ENOMEM, why, "cpu: no memory for %zu bytes a thread", bytes);
		free(cpu->hand[i].scratch);
		cpu->hand[i].scratch = scratch;
	}
	if (bytes > cpu->scratch_bytes)
		cpu->scratch_bytes = bytes;
	return 0;
}

static void cpu_unload(struct driver *drv, uint32_t slot)
{
	(void)drv;
	(void)slot;
}

static void cpu_list(void (*found)(void *arg, const char *uri), void *arg)
{
	found(arg, "cpu:");
	found(arg, "cpu:isa=portable");
	found(arg, "cpu:isa=avx2");
	found(arg, "cpu:isa=avx512");
}

const struct backend cpu_backend = {
	.name = "cpu",
	.help = "this processor",
	.param = cpu_params,
	.open = cpu_open,
	.close = cpu_close,
	.submit = cpu_submit,
	.load = cpu_load,
	.unload = cpu_unload,
	.work = cpu_work,
	.list = cpu_list,
};
