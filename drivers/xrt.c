/* SPDX-License-Identifier: Apache-2.0 */
/* The xrt: device: rows go to veto-xrt, a child process in which XRT lives; a thread packs queued jobs into launches. */
#include "clock.h"
#include "param.h"
#include "worker.h"
#include "xclbin.h"
#include "xrt_cards.h"
#include "xrt_flight.h"
#include "xrt_image.h"
#include "xrt_layout.h"
#include "xrt_place.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define PATIENCE_NS 2000000000 /* for a child that closes its card */
#define WEIGHT_PORTS 1u /* of the images that there are recipes for */
#define BUFFER_BYTES_MAX ((1ull << 32) - 64) /* that XRT takes */
#define SECOND_NS 1000000000LL

enum { PARAM_EMULATION, PARAM_INDEX, PARAM_DEADLINE, PARAM_XCLBIN };

static const char *const emulations[] = {"off", "sw", "hw", NULL};
static const uint16_t modes[] = {XCLBIN_HARDWARE, XCLBIN_SW_EMULATION, XCLBIN_HW_EMULATION}; /* of each */

static const struct veto_param xrt_params[] = {
	[PARAM_EMULATION] = {.name = "emulation",
		.help = "how the card is emulated; off: it is not; sw: kernels as gcc builds them; hw: as the card's registers and memory "
			"ports see them",
		.type = VETO_PARAM_CHOICE,
		.choices = emulations},
	[PARAM_INDEX] = {.name = "index",
		.help = "which card, in the order of PCI addresses",
		.type = VETO_PARAM_COUNT,
		.high = 255},
	[PARAM_DEADLINE] = {.name = "deadline",
		.help = "seconds that opening or a launch may take; then the device is lost",
		.type = VETO_PARAM_COUNT,
		.fallback = 30,
		.low = 1,
		.high = 3600},
	[PARAM_XCLBIN] = {.name = "xclbin",
		.help = "path of the image that the card loads; veto brings one for emulation",
		.type = VETO_PARAM_TEXT},
	{0},
};

/* What the card is to hold, or hold no more: the thread, which has the socket, sees to it while no run is in flight. */
struct request {
	bool is_wanted, is_unload;
	uint32_t head;
	size_t meta_bytes, weight_bytes;
	const char *meta, *weights;
	int status;
	char why[LINK_TEXT_BYTES];
};

struct xrt {
	struct driver *driver;
	struct place place;
	struct worker worker;
	uint16_t mode; /* enum xclbin_mode */
	struct card card; /* if it is one */
	struct link_units units;
	int64_t deadline_ns;
	int wake; /* eventfd: there is work, or the end */
	pthread_t thread;
	pthread_mutex_t lock; /* guards what follows */
	pthread_cond_t has_answered;
	struct entries entries;
	struct request request;
	bool is_closing;
	int lost; /* 0, or why */
	/* the thread's own */
	struct flight flight[LINK_SLOTS_MAX];
	uint32_t flights; /* that are up */
	uint64_t alive_ns; /* when the first went up, or one was started or landed */
};

static struct link_slot *slot_of(struct xrt *xrt, uint32_t slot)
{
	return (struct link_slot *)xrt->worker.memory + slot;
}

/* End the jobs at the front that are over.  The lock is held. */
static void end_landed(struct xrt *xrt)
{
	while (xrt->entries.count > 0) {
		const struct entry *e = entries_at(&xrt->entries, 0);

		if (e->landed < e->job->rows.rows)
			return;
		job_finish(e->job, 0, e->device_ns);
		xrt->entries.first = (xrt->entries.first + 1) % XRT_DEPTH;
		xrt->entries.count--;
	}
}

static void end_all(struct xrt *xrt, int status)
{
	for (; xrt->entries.count > 0; xrt->entries.count--) {
		job_finish(entries_at(&xrt->entries, 0)->job, status, 0);
		xrt->entries.first = (xrt->entries.first + 1) % XRT_DEPTH;
	}
}

/* Start launches while there are rows and free slots. */
static int launch(struct xrt *xrt)
{
	for (uint32_t i = 0; i < link_slots(&xrt->units); i++) {
		struct flight *f = &xrt->flight[i];
		struct link_call call = {.op = LINK_RUN, .slot = i};

		if (f->is_up)
			continue;
		pthread_mutex_lock(&xrt->lock);
		flight_plan(f, link_kernel_of(&xrt->units, i), &xrt->entries, slot_of(xrt, i));
		pthread_mutex_unlock(&xrt->lock);
		if (f->rows == 0)
			continue;
		/* Only this thread ends jobs that have rows, so these stay where they are without the lock. */
		flight_copy(f, slot_of(xrt, i));
		call.jobs = f->jobs;
		call.results = f->rows;
		call.head = f->head;
		call.bytes = f->bytes;
		if (worker_send(&xrt->worker, &call, sizeof(call)))
			return -EPIPE;
		f->is_up = true;
		if (xrt->flights++ == 0)
			xrt->alive_ns = clock_ns();
	}
	return 0;
}

static int land(struct xrt *xrt, const struct link_report *report)
{
	struct link_slot *slot = slot_of(xrt, report->slot);
	struct flight *f = &xrt->flight[report->slot];

	if (flight_check(f, slot)) {
		param_say(xrt->driver->trouble,
			"the kernel's word on its launch is wrong: error %u, %u of %u jobs done", slot->trailer.error,
			slot->trailer.rows_done, f->jobs);
		return -EIO;
	}
	f->is_up = false;
	xrt->flights--;
	pthread_mutex_lock(&xrt->lock);
	flight_take(f, slot, report->device_ns);
	end_landed(xrt);
	pthread_mutex_unlock(&xrt->lock);
	return 0;
}

static int hear(struct xrt *xrt)
{
	struct link_report report;

	if (worker_receive(&xrt->worker, &report, sizeof(report), 0) || report.slot >= link_slots(&xrt->units) ||
		!xrt->flight[report.slot].is_up)
		return param_fail(-EIO, xrt->driver->trouble, "veto-xrt, or the card with it, has ended");
	if (report.status)
		return param_fail(-EIO, xrt->driver->trouble, "%.*s", LINK_TEXT_BYTES, report.text);
	xrt->alive_ns = clock_ns();
	return report.is_over ? land(xrt, &report) : 0;
}

/* One call that no launch is beside, and its answer; -ETIMEDOUT, -EPIPE: the card is lost. */
static int ask(struct xrt *xrt, const struct link_call *call, struct link_report *report)
{
	int err = worker_send(&xrt->worker, call, sizeof(*call));

	if (!err)
		err = worker_receive(&xrt->worker, report, sizeof(*report), xrt->deadline_ns);
	return err == -EAGAIN ? -ETIMEDOUT : err;
}

/* Carry so much to the card, a piece of shared memory at a time. */
static int send_part(struct xrt *xrt, struct request *r, bool is_meta, const char *from, size_t bytes)
{
	struct link_report report = {.status = 0};
	int err = 0;

	for (size_t at = 0; at < bytes && !err && !report.status; at += LINK_ROWS_BYTES) {
		const struct link_call call = {.op = LINK_FILL,
			.head = r->head,
			.is_meta = is_meta,
			.offset = at,
			.bytes = bytes - at < LINK_ROWS_BYTES ? bytes - at : LINK_ROWS_BYTES};

		memcpy(slot_of(xrt, 0)->rows, from + at, call.bytes);
		err = ask(xrt, &call, &report);
	}
	r->status = report.status;
	memcpy(r->why, report.text, sizeof(r->why));
	return err;
}

/* Make the request of the thread that waits for it; its own failure ends the card, the request's does not. */
static int serve_request(struct xrt *xrt)
{
	struct request *r = &xrt->request;
	const struct link_call call = {.op = r->is_unload ? LINK_UNLOAD : LINK_LOAD,
		.head = r->head,
		.bytes = r->meta_bytes,
		.weight_bytes = r->weight_bytes};
	struct link_report report;
	int err = ask(xrt, &call, &report);

	if (err)
		return err;
	r->status = report.status;
	memcpy(r->why, report.text, sizeof(r->why));
	if (!r->is_unload && !r->status)
		err = send_part(xrt, r, true, r->meta, r->meta_bytes);
	if (!err && !r->is_unload && !r->status)
		err = send_part(xrt, r, false, r->weights, r->weight_bytes);
	return err;
}

static int take_request(struct xrt *xrt)
{
	bool is_wanted;
	int err;

	pthread_mutex_lock(&xrt->lock);
	is_wanted = xrt->request.is_wanted;
	pthread_mutex_unlock(&xrt->lock);
	if (!is_wanted)
		return 0;
	err = serve_request(xrt);
	if (err)
		return param_fail(err, xrt->driver->trouble, "the card did not take a head");
	pthread_mutex_lock(&xrt->lock);
	xrt->request.is_wanted = false;
	pthread_cond_signal(&xrt->has_answered);
	pthread_mutex_unlock(&xrt->lock);
	return 0;
}

/* Until the deadline; -1: none.  Launches wait for each other, so each step of one has it for itself. */
static int wait_ms(const struct xrt *xrt)
{
	const uint64_t now = clock_ns(), end = xrt->alive_ns + (uint64_t)xrt->deadline_ns;

	if (xrt->flights == 0)
		return -1;
	return end > now ? (int)((end - now) / 1000000 + 1) : 0;
}

/* Carry rows there and results back until the device closes (0) or is lost. */
static int carry(struct xrt *xrt)
{
	for (;;) {
		struct pollfd p[2] = {
			{.fd = xrt->worker.socket, .events = POLLIN}, {.fd = xrt->wake, .events = POLLIN}};
		uint64_t count;
		bool is_closing;
		int ready, err = launch(xrt);

		if (err)
			return param_fail(err, xrt->driver->trouble, "veto-xrt, or the card with it, has ended");
		ready = poll(p, 2, wait_ms(xrt));
		if (ready == 0)
			return param_fail(-ETIMEDOUT, xrt->driver->trouble, "nothing came back for %lld s: it is lost",
				(long long)(xrt->deadline_ns / SECOND_NS));
		if (p[1].revents && read(xrt->wake, &count, sizeof(count)) < 0)
			return -errno;
		pthread_mutex_lock(&xrt->lock);
		is_closing = xrt->is_closing;
		pthread_mutex_unlock(&xrt->lock);
		if (is_closing)
			return 0;
		err = take_request(xrt);
		if (err)
			return err;
		err = p[0].revents ? hear(xrt) : 0;
		if (err)
			return err;
	}
}

static void *run_thread(void *arg)
{
	struct xrt *xrt = arg;
	int err = carry(xrt);

	if (!err)
		return NULL;
	worker_stop(&xrt->worker, 0);
	pthread_mutex_lock(&xrt->lock);
	xrt->lost = err;
	end_all(xrt, err);
	xrt->request.status = err;
	xrt->request.is_wanted = false;
	pthread_cond_signal(&xrt->has_answered);
	pthread_mutex_unlock(&xrt->lock);
	return NULL;
}

static void wake(struct xrt *xrt)
{
	const uint64_t one = 1;

	if (write(xrt->wake, &one, sizeof(one)) < 0)
		return; /* it is awake: the counter is full */
}

static void xrt_submit(struct driver *drv, struct job *job)
{
	struct xrt *xrt = drv->state;

	pthread_mutex_lock(&xrt->lock);
	if (xrt->lost) {
		job_finish(job, xrt->lost, 0);
	} else {
		*entries_at(&xrt->entries, xrt->entries.count++) = (struct entry){.job = job};
		end_landed(xrt); /* a job without rows */
	}
	pthread_mutex_unlock(&xrt->lock);
	wake(xrt);
}

/* Have the thread see to a request, and wait for it. */
static int request(struct xrt *xrt, const struct request *wanted, char why[LINK_TEXT_BYTES])
{
	int status;

	pthread_mutex_lock(&xrt->lock);
	if (!xrt->lost) {
		xrt->request = *wanted;
		xrt->request.is_wanted = true;
		wake(xrt);
		while (xrt->request.is_wanted)
			pthread_cond_wait(&xrt->has_answered, &xrt->lock);
		status = xrt->request.status;
		memcpy(why, xrt->request.why, LINK_TEXT_BYTES);
	} else {
		status = xrt->lost;
		*why = 0;
	}
	if (xrt->lost)
		snprintf(why, LINK_TEXT_BYTES, "the card is lost");
	pthread_mutex_unlock(&xrt->lock);
	return status;
}

static int xrt_load(struct driver *drv, uint32_t slot, const struct veto_head *head, char *why)
{
	struct xrt *xrt = drv->state;
	struct request r = {.head = slot,
		.meta_bytes = xrt_layout_meta_bytes(head),
		.weight_bytes = xrt_layout_weight_bytes(head, WEIGHT_PORTS)};
	char text[LINK_TEXT_BYTES], *memory;
	int err;

	if (r.weight_bytes > BUFFER_BYTES_MAX)
		return param_fail(-ENOSPC, why,
			"xrt: the head has %zu bytes of weights, and XRT takes buffers of at most %llu", r.weight_bytes,
			BUFFER_BYTES_MAX);
	memory = malloc(r.meta_bytes + r.weight_bytes);
	if (!memory)
		return param_fail(
			-ENOMEM, why, "xrt: no memory for a head of %zu bytes", r.meta_bytes + r.weight_bytes);
	xrt_layout_meta(head, memory);
	xrt_layout_weights(head, WEIGHT_PORTS, 0, memory + r.meta_bytes);
	r.meta = memory;
	r.weights = memory + r.meta_bytes;
	err = request(xrt, &r, text);
	free(memory);
	return err ? param_fail(err, why, "xrt: a head of %zu bytes: %.*s", r.meta_bytes + r.weight_bytes,
			     LINK_TEXT_BYTES, text)
		   : 0;
}

static void xrt_unload(struct driver *drv, uint32_t slot)
{
	const struct request r = {.head = slot, .is_unload = true};
	char text[LINK_TEXT_BYTES];

	request(drv->state, &r, text);
}

/* What there is of a device whose thread has ended, or was never started. */
static void release(struct xrt *xrt, int64_t patience_ns)
{
	worker_stop(&xrt->worker, patience_ns);
	end_all(xrt, -ECANCELED);
	place_remove(&xrt->place);
	if (xrt->wake >= 0)
		close(xrt->wake);
	pthread_cond_destroy(&xrt->has_answered);
	pthread_mutex_destroy(&xrt->lock);
	free(xrt);
}

static void xrt_close(struct driver *drv)
{
	struct xrt *xrt = drv->state;

	pthread_mutex_lock(&xrt->lock);
	xrt->is_closing = true;
	pthread_mutex_unlock(&xrt->lock);
	wake(xrt);
	pthread_join(xrt->thread, NULL);
	release(xrt, PATIENCE_NS);
}

/* Start the child, and hear that its card is there. */
static int start_child(struct xrt *xrt, long deadline, char *why)
{
	struct link_hello hello = {.status = 0};
	char units[LINK_KERNELS][12];
	char *argv[] = {xrt->place.child, xrt->place.image, units[LINK_LOGITS], units[LINK_HIDDEN], xrt->place.folder,
		xrt->mode == XCLBIN_HARDWARE ? xrt->card.address : NULL, NULL};
	int err;

	for (int i = 0; i < LINK_KERNELS; i++)
		snprintf(units[i], sizeof(units[i]), "%u", xrt->units.of[i]);
	err = worker_start(
		argv, xrt->place.environment, xrt->place.folder, link_memory_bytes(&xrt->units), &xrt->worker);
	if (err)
		return param_fail(err, why, "xrt: can't start %s: %s", argv[0], strerror(-err));
	err = worker_receive(&xrt->worker, &hello, sizeof(hello), xrt->deadline_ns);
	if (err == -EAGAIN)
		return param_fail(-ETIMEDOUT, why, "xrt: the card did not open within %ld s", deadline);
	if (err)
		return param_fail(-EIO, why, "xrt: %s ended before its card was open", argv[0]);
	if (hello.status)
		return param_fail(hello.status, why, "xrt: %.*s", LINK_TEXT_BYTES, hello.text);
	return 0;
}

/* The card that the index names; an emulated one has none. */
static int find_card(struct xrt *xrt, const struct veto_values *args, char *why)
{
	const uint32_t index = (uint32_t)args->value[PARAM_INDEX][0];
	int err;

	if (xrt->mode != XCLBIN_HARDWARE)
		return index ? param_fail(-EINVAL, why, "xrt: index=%u is of a card, and emulation has one only", index)
			     : 0;
	err = cards_find(CARDS_SYSFS, index, &xrt->card, why);
	if (!err && !args->count[PARAM_XCLBIN])
		err = param_fail(-EINVAL, why,
			"xrt: card %u (%s, %s) needs xclbin=FILE: an image that bitstreams/recipes/build.sh builds with "
			"Vitis",
			index, card_board(&xrt->card), xrt->card.platform);
	return err;
}

/* The image given, or veto's own for emulation. */
static int find_image(struct xrt *xrt, const struct veto_values *args, char *why)
{
	const char *given = args->count[PARAM_XCLBIN] ? args->text : xrt->place.image;
	struct image image = {.platform = ""};
	int err = image_check(given, xrt->mode, &image, why);

	if (!err && xrt->mode == XCLBIN_HARDWARE)
		err = card_check(&xrt->card, image.platform, given, why);
	if (!err)
		err = place_use_image(&xrt->place, given, why);
	xrt->units = image.units;
	return err;
}

static int xrt_open(struct driver *drv, const struct veto_values *args, char *why)
{
	struct xrt *xrt = calloc(1, sizeof(*xrt));
	int err;

	if (!xrt)
		return param_fail(-ENOMEM, why, "xrt: out of memory");
	xrt->deadline_ns = args->value[PARAM_DEADLINE][0] * SECOND_NS;
	xrt->worker = (struct worker){.socket = -1, .memory_fd = -1};
	xrt->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	pthread_mutex_init(&xrt->lock, NULL);
	pthread_cond_init(&xrt->has_answered, NULL);
	drv->state = xrt;
	xrt->driver = drv;
	xrt->mode = modes[args->value[PARAM_EMULATION][0]];
	err = xrt->wake < 0 ? param_fail(-errno, why, "xrt: %s", strerror(errno)) : find_card(xrt, args, why);
	if (!err)
		err = place_make(&xrt->place, xrt->mode, why);
	if (!err)
		err = find_image(xrt, args, why);
	if (!err)
		err = start_child(xrt, (long)args->value[PARAM_DEADLINE][0], why);
	if (!err && pthread_create(&xrt->thread, NULL, run_thread, xrt))
		err = param_fail(-ENOMEM, why, "xrt: can't start a thread");
	if (err) {
		release(xrt, 0);
		return err;
	}
	drv->info->depth = XRT_DEPTH - 1;
	drv->info->formats = 1u << VETO_FP32 | 1u << VETO_FP16 | 1u << VETO_BF16;
	drv->info->memories = 1u << VETO_HOST;
	drv->info->heads = (1u << VETO_HEAD_SORTS) - 1;
	return 0;
}

static void xrt_list(void (*found)(void *arg, const char *uri), void *arg)
{
	const uint32_t cards = cards_count(CARDS_SYSFS);
	char uri[32];

	found(arg, "xrt:emulation=sw");
	found(arg, "xrt:emulation=hw");
	for (uint32_t i = 0; i < cards; i++) {
		snprintf(uri, sizeof(uri), "xrt:index=%u", i);
		found(arg, uri);
	}
}

const struct backend xrt_backend = {
	.name = "xrt",
	.help = "an Alveo card's kernels, through XRT",
	.param = xrt_params,
	.open = xrt_open,
	.close = xrt_close,
	.submit = xrt_submit,
	.load = xrt_load,
	.unload = xrt_unload,
	.list = xrt_list,
};
