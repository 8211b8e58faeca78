/* SPDX-License-Identifier: Apache-2.0 */
/* Devices: opened by URI, checked, queued; from their drivers' records come the scores. */
#include "backend.h"
#include "param.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct veto_device {
	const struct backend *backend;
	struct driver driver;
	struct veto_device_info info;
	const struct veto_head *head[VETO_HEADS_MAX]; /* NULL: free */
	struct job *idle; /* jobs to use again */
	uint32_t in_flight; /* submitted and not reaped */
	pthread_mutex_t lock; /* guards what follows */
	pthread_cond_t is_finished;
	struct job *finished, **finished_end;
};

static const struct backend *backend_find(const char *name, size_t length)
{
	for (size_t i = 0; backends[i]; i++)
		if (strlen(backends[i]->name) == length && strncmp(backends[i]->name, name, length) == 0)
			return backends[i];
	return NULL;
}

static int fail_unknown(const char *uri, char *why)
{
	char known[256];
	size_t used = 0;

	for (size_t i = 0; backends_absent[i].name; i++)
		if (strncmp(uri, backends_absent[i].name, strlen(backends_absent[i].name)) == 0 &&
			uri[strlen(backends_absent[i].name)] == ':')
			return param_fail(-EINVAL, why, "'%s': this build has no %s: device: it was made without %s",
				uri, backends_absent[i].name, backends_absent[i].needs);
	for (size_t i = 0; backends[i] && used < sizeof(known); i++)
		used += (size_t)snprintf(known + used, sizeof(known) - used, "%s%s:", i ? ", " : "", backends[i]->name);
	return param_fail(-EINVAL, why, "unknown device '%s'; known devices: %s", uri, known);
}

/* The URI with every option that has a value. */
static void print_uri(const struct backend *backend, const struct veto_values *args, char *uri, size_t bytes)
{
	size_t used = (size_t)snprintf(uri, bytes, "%s:", backend->name);
	const char *separator = "";

	for (size_t i = 0; backend->param[i].name && used < bytes; i++) {
		if (args->count[i] == 0)
			continue;
		used += (size_t)snprintf(uri + used, bytes - used, "%s%s=", separator, backend->param[i].name);
		if (used < bytes)
			used += (size_t)param_print(&backend->param[i], args, i, uri + used, bytes - used);
		separator = ",";
	}
}

static void init_queue(struct veto_device *dev)
{
	pthread_condattr_t attr;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_mutex_init(&dev->lock, NULL);
	pthread_cond_init(&dev->is_finished, &attr);
	pthread_condattr_destroy(&attr);
	dev->finished_end = &dev->finished;
}

static void free_device(struct veto_device *dev)
{
	struct job *next;

	for (struct job *job = dev->idle; job; job = next) {
		next = job->next;
		free(job->result);
		free(job);
	}
	pthread_cond_destroy(&dev->is_finished);
	pthread_mutex_destroy(&dev->lock);
	free(dev);
}

int veto_device_open(const char *uri, struct veto_device **out, char *why)
{
	const char *colon = strchr(uri, ':');
	const struct backend *backend = colon ? backend_find(uri, (size_t)(colon - uri)) : NULL;
	struct veto_values args;
	struct veto_device *dev;
	int err;

	if (!backend)
		return fail_unknown(uri, why);
	err = param_parse(backend->param, uri, colon + 1, &args, why);
	if (err)
		return err;
	dev = calloc(1, sizeof(*dev));
	if (!dev)
		return param_fail(-ENOMEM, why, "%s: out of memory", uri);
	init_queue(dev);
	dev->backend = backend;
	dev->driver.info = &dev->info;
	dev->info.backend = backend->name;
	print_uri(backend, &args, dev->info.uri, sizeof(dev->info.uri));
	err = backend->open(&dev->driver, &args, why);
	if (err) {
		free_device(dev);
		return err;
	}
	*out = dev;
	return 0;
}

static struct job *take_finished(struct veto_device *dev)
{
	struct job *job;

	pthread_mutex_lock(&dev->lock);
	job = dev->finished;
	if (job) {
		dev->finished = job->next;
		if (!dev->finished)
			dev->finished_end = &dev->finished;
	}
	pthread_mutex_unlock(&dev->lock);
	return job;
}

static void retire(struct veto_device *dev, struct job *job)
{
	job->next = dev->idle;
	dev->idle = job;
	dev->in_flight--;
}

void veto_device_close(struct veto_device *dev)
{
	struct job *job;

	if (!dev)
		return;
	dev->backend->close(&dev->driver);
	while ((job = take_finished(dev)))
		retire(dev, job);
	free_device(dev);
}

const struct veto_device_info *veto_device_info(const struct veto_device *dev) { return &dev->info; }

static bool is_subset_valid(const struct veto_rows *rows)
{
	if (rows->subset_tokens > VETO_SUBSET_MAX || (rows->subset_tokens > 0 && !rows->subset))
		return false;
	for (uint32_t i = 0; i < rows->subset_tokens; i++) {
		if (rows->subset[i] >= rows->cols)
			return false;
		for (uint32_t j = 0; j < i; j++)
			if (rows->subset[i] == rows->subset[j])
				return false;
	}
	return true;
}

static int check_tokens(const struct veto_rows *rows, uint32_t vocab)
{
	for (uint32_t i = 0; rows->token && i < rows->rows; i++)
		if (rows->token[i] >= vocab && rows->token[i] != VETO_NO_TOKEN)
			return -EINVAL;
	return 0;
}

static int check_logits(const struct veto_rows *rows)
{
	if (rows->cols < 1 || rows->cols > VETO_VOCAB_MAX || rows->top_k > VETO_TOP_MAX || !is_subset_valid(rows))
		return -EINVAL;
	if (rows->memory == VETO_DEVICE && (rows->token || rows->subset_tokens))
		return -EOPNOTSUPP;
	return check_tokens(rows, rows->cols);
}

static int check_hidden(const struct veto_device *dev, const struct veto_rows *rows)
{
	const struct veto_head *head = rows->head < VETO_HEADS_MAX ? dev->head[rows->head] : NULL;

	if (!head || rows->cols != head->info.cols)
		return -EINVAL;
	if (head->info.kind == VETO_HEAD_DENSE)
		return 0;
	return rows->token && rows->token_logp_q20 ? check_tokens(rows, head->info.vocab) : -EINVAL;
}

static int check_rows(const struct veto_device *dev, const struct veto_rows *rows)
{
	const struct veto_device_info *info = &dev->info;
	int err;

	if (rows->format >= VETO_FORMATS || rows->kind > VETO_HIDDEN)
		return -EINVAL;
	if (!(info->formats >> rows->format & 1) || rows->memory > VETO_DEVICE || !(info->memories >> rows->memory & 1))
		return -EOPNOTSUPP;
	err = rows->kind == VETO_HIDDEN ? check_hidden(dev, rows) : check_logits(rows);
	if (err)
		return err;
	if (rows->stride_bytes < rows->cols * veto_format_bytes(rows->format))
		return -EINVAL;
	return rows->rows > 0 && rows->memory == VETO_HOST && !rows->data ? -EINVAL : 0;
}

int veto_device_load(struct veto_device *dev, const struct veto_head *head, uint32_t *out, char *why)
{
	uint32_t slot = 0;
	int err;

	if (veto_head_info(head)->cols == 0)
		return param_fail(-EOPNOTSUPP, why, "the head reads no hidden states");
	if (!(dev->info.heads >> veto_head_sort(head) & 1))
		return param_fail(-EOPNOTSUPP, why, "%s scores no hidden states with a %s head", dev->info.uri,
			veto_head_sort_names[veto_head_sort(head)]);
	if (dev->in_flight > 0)
		return param_fail(-EBUSY, why, "%s: jobs are in flight", dev->info.uri);
	while (slot < VETO_HEADS_MAX && dev->head[slot])
		slot++;
	if (slot == VETO_HEADS_MAX)
		return param_fail(-ENOSPC, why, "%s: %d heads are loaded, which is all that it takes", dev->info.uri,
			VETO_HEADS_MAX);
	err = dev->backend->load(&dev->driver, slot, head, why);
	if (err)
		return err;
	dev->head[slot] = head;
	*out = slot;
	return 0;
}

void veto_device_unload(struct veto_device *dev, uint32_t head)
{
	if (head >= VETO_HEADS_MAX || !dev->head[head])
		return;
	dev->backend->unload(&dev->driver, head);
	dev->head[head] = NULL;
}

/* An idle job with room for so many rows. */
static struct job *job_get(struct veto_device *dev, uint32_t rows)
{
	struct job *job = dev->idle;

	if (!job) {
		job = calloc(1, sizeof(*job));
		if (!job)
			return NULL;
		job->dev = dev;
		dev->idle = job;
	}
	if (job->result_rows < rows) {
		struct row_result *result = realloc(job->result, rows * sizeof(*result));

		if (!result)
			return NULL;
		job->result = result;
		job->result_rows = rows;
	}
	dev->idle = job->next;
	return job;
}

int veto_device_submit(
	struct veto_device *dev, const struct veto_rows *rows, const struct veto_results *out, uint64_t tag)
{
	struct job *job;
	int err;

	err = check_rows(dev, rows);
	if (err)
		return err;
	if (dev->in_flight == dev->info.depth)
		return -EAGAIN;
	job = job_get(dev, rows->rows);
	if (!job)
		return -ENOMEM;
	job->rows = *rows;
	job->head = rows->kind == VETO_HIDDEN ? dev->head[rows->head] : NULL;
	job->top_entries = FX1_TOP_ENTRIES(rows->top_k);
	job->out = *out;
	job->tag = tag;
	job->next = NULL;
	dev->in_flight++;
	dev->backend->submit(&dev->driver, job);
	return 0;
}

void job_finish(struct job *job, int status, uint64_t device_ns)
{
	struct veto_device *dev = job->dev;

	job->status = status;
	job->device_ns = device_ns;
	job->next = NULL;
	pthread_mutex_lock(&dev->lock);
	*dev->finished_end = job;
	dev->finished_end = &job->next;
	pthread_cond_signal(&dev->is_finished);
	pthread_mutex_unlock(&dev->lock);
}

static struct timespec deadline_after(int64_t timeout_ns)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	t.tv_sec += timeout_ns / 1000000000;
	t.tv_nsec += timeout_ns % 1000000000;
	if (t.tv_nsec >= 1000000000) {
		t.tv_sec++;
		t.tv_nsec -= 1000000000;
	}
	return t;
}

static bool is_past(const struct timespec *t)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec > t->tv_sec || (now.tv_sec == t->tv_sec && now.tv_nsec >= t->tv_nsec);
}

/* The next finished job, or NULL when the time is over. */
static struct job *wait_finished(struct veto_device *dev, int64_t timeout_ns)
{
	struct timespec deadline = deadline_after(timeout_ns > 0 ? timeout_ns : 0);
	struct job *job = take_finished(dev);
	int err = 0;

	while (!job && dev->backend->work && dev->backend->work(&dev->driver)) {
		job = take_finished(dev);
		if (timeout_ns >= 0 && is_past(&deadline))
			break;
	}
	if (job || timeout_ns == 0)
		return job;
	pthread_mutex_lock(&dev->lock);
	while (!dev->finished && err == 0)
		err = timeout_ns < 0 ? pthread_cond_wait(&dev->is_finished, &dev->lock)
				     : pthread_cond_timedwait(&dev->is_finished, &dev->lock, &deadline);
	pthread_mutex_unlock(&dev->lock);
	return take_finished(dev);
}

static void write_logits(const struct job *job, uint32_t i)
{
	const struct veto_rows *rows = &job->rows;
	const struct row_result *r = &job->result[i];
	uint32_t *subset = job->out.subset_q31 ? job->out.subset_q31 + (size_t)i * rows->subset_tokens : NULL;
	struct veto_score unwanted;

	if (job->out.score || subset)
		fx1_finish(rows, i, &r->record, r->top, job->out.score ? &job->out.score[i] : &unwanted, subset);
	if (job->out.record)
		job->out.record[i] = r->record;
	for (uint32_t j = 0; job->out.top_id && j < rows->top_k; j++)
		job->out.top_id[(size_t)i * rows->top_k + j] = r->top[j].id;
}

static void write_hidden(const struct job *job, uint32_t i)
{
	struct veto_score unwanted;

	head_finish(job->head, &job->rows, i, &job->result[i].head, job->out.score ? &job->out.score[i] : &unwanted,
		job->out.head_q16 ? job->out.head_q16 + (size_t)i * job->head->info.outputs : NULL);
}

static void write_results(const struct job *job)
{
	for (uint32_t i = 0; i < job->rows.rows; i++)
		(job->head ? write_hidden : write_logits)(job, i);
}

bool veto_device_has_finished(struct veto_device *dev)
{
	bool has;

	pthread_mutex_lock(&dev->lock);
	has = dev->finished != NULL;
	pthread_mutex_unlock(&dev->lock);
	return has;
}

int veto_device_reap(struct veto_device *dev, int64_t timeout_ns, struct veto_done *out)
{
	struct job *job;

	if (dev->in_flight == 0)
		return -ENOENT;
	job = wait_finished(dev, timeout_ns);
	if (!job)
		return -EAGAIN;
	if (job->status == 0)
		write_results(job);
	*out = (struct veto_done){.tag = job->tag, .device_ns = job->device_ns, .status = job->status};
	retire(dev, job);
	return 0;
}

const char *veto_device_trouble(const struct veto_device *dev) { return dev->driver.trouble; }

int veto_device_score(struct veto_device *dev, const struct veto_rows *rows, const struct veto_results *out)
{
	struct veto_done done;
	int err;

	if (dev->in_flight > 0)
		return -EBUSY;
	err = veto_device_submit(dev, rows, out, 0);
	if (!err)
		err = veto_device_reap(dev, -1, &done);
	return err ? err : done.status;
}

struct listing {
	void (*found)(void *arg, const char *uri, const struct veto_device_info *info, const char *why);
	void *arg;
};

static void list_one(void *arg, const char *uri)
{
	const struct listing *listing = arg;
	struct veto_device *dev = NULL;
	char why[VETO_WHY_MAX] = "";

	if (veto_device_open(uri, &dev, why))
		listing->found(listing->arg, uri, NULL, why);
	else
		listing->found(listing->arg, uri, &dev->info, NULL);
	veto_device_close(dev);
}

void veto_device_list(
	void (*found)(void *arg, const char *uri, const struct veto_device_info *info, const char *why), void *arg)
{
	struct listing listing = {found, arg};

	for (size_t i = 0; backends[i]; i++)
		backends[i]->list(list_one, &listing);
}
