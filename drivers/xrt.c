/* SPDX-License-Identifier: Apache-2.0 */
/* The xrt: device: rows go to veto-xrt, a child process in which XRT lives; a thread packs queued jobs into launches. */
#include "clock.h"
#include "param.h"
#include "xclbin.h"
#include "xrt_device.h"
#include "xrt_image.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define PATIENCE_NS 2000000000 /* for a child that closes its card */
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
		err = xrt_take_request(xrt);
		if (err)
			return err;
		err = p[0].revents ? hear(xrt) : 0;
		if (err)
			return err;
	}
}

void xrt_wake(struct xrt *xrt)
{
	const uint64_t one = 1;

	if (write(xrt->wake, &one, sizeof(one)) < 0)
		return; /* it is awake: the counter is full */
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
	xrt_end_request(xrt, err);
	pthread_mutex_unlock(&xrt->lock);
	return NULL;
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
	xrt_wake(xrt);
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
	xrt_wake(xrt);
	pthread_join(xrt->thread, NULL);
	release(xrt, PATIENCE_NS);
}

/* Start the child, and hear that its card is there. */
static int start_child(struct xrt *xrt, long deadline, char *why)
{
	struct link_hello hello = {.status = 0};
	char units[LINK_KERNELS][12], ports[12];
	char *argv[] = {xrt->place.child, xrt->place.image, units[LINK_LOGITS], units[LINK_HIDDEN], ports,
		xrt->place.folder, xrt->mode == XCLBIN_HARDWARE ? xrt->card.address : NULL, NULL};
	int err;

	for (int i = 0; i < LINK_KERNELS; i++)
		snprintf(units[i], sizeof(units[i]), "%u", xrt->units.of[i]);
	snprintf(ports, sizeof(ports), "%u", xrt->units.ports);
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
	xrt->port_bytes = image.port_bytes;
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
