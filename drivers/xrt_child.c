/* SPDX-License-Identifier: Apache-2.0 */
/* veto-xrt IMAGE UNITS UNITS PORTS FOLDER [CARD]: the process that XRT lives in, started by the xrt: driver.  It uses so
 * many compute units of the image, of each kernel, and as many ports of weights as there are; CARD is a PCI address, where
 * there is no emulation.  XRT fixes its mode once a
 * process, its emulation may take the process down, and a hung run can only be left by a kill: none of that is the user's
 * process. */
#include "clock.h"
#include "veto_kernels.h"
#include "worker.h"
#include "xrt_folder.h"
#include "xrt_link.h"

#include <experimental/xrt_bo.h>
#include <experimental/xrt_device.h>
#include <experimental/xrt_kernel.h>

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define GRACE_S 3 /* in which a card closes that the driver has let go; the driver kills before, if it lives */
#define RESULTS_BYTES (LINK_LAUNCH_ROWS * sizeof(union link_result) + sizeof(struct veto_trailer))
#define JOBS_BYTES (LINK_LAUNCH_ROWS * sizeof(union link_job))

static_assert(VETO_SCORE_HIDDEN_WEIGHTS_0 == LINK_FIRST_PORT, "what images are checked for");

/* Where each kernel has its arguments. */
static const struct {
	const char *name;
	int rows, jobs, results, count;
} kernels[LINK_KERNELS] = {
	[LINK_LOGITS] = {"veto_score_logits", VETO_SCORE_LOGITS_ROWS, VETO_SCORE_LOGITS_JOBS, VETO_SCORE_LOGITS_RESULTS,
		VETO_SCORE_LOGITS_COUNT},
	[LINK_HIDDEN] = {"veto_score_hidden", VETO_SCORE_HIDDEN_STATES, VETO_SCORE_HIDDEN_JOBS,
		VETO_SCORE_HIDDEN_RESULTS, VETO_SCORE_HIDDEN_WEIGHTS_0}, /* count lies behind the last port */
};

/* A buffer of the card, and where this process sees it. */
struct buffer {
	xrtBufferHandle handle;
	void *memory;
};

/* A compute unit. */
struct unit {
	enum link_kernel kind;
	xrtKernelHandle kernel;
	uint64_t landed_ns; /* when its last launch did */
};

struct slot {
	struct unit *unit;
	struct buffer rows, jobs, results;
	xrtRunHandle run;
	uint32_t results_in_flight;
	uint64_t start_ns;
};

/* What the card holds of a head. */
struct held {
	struct buffer part[LINK_PARTS_MAX];
};

static struct {
	xrtDeviceHandle device;
	struct link_units used;
	uint32_t units, slots;
	struct held head[LINK_HEADS_MAX];
	struct unit unit[LINK_UNITS_MAX];
	struct slot slot[LINK_SLOTS_MAX];
	struct link_slot *link; /* [slots] that the driver maps, too */
	uint32_t flight[LINK_SLOTS_MAX], first, flights; /* slots whose runs are on their way: a ring */
} card;

/* XRT's functions say little: errno often stays 0. */
static int fail(char *text, const char *what)
{
	int err = errno;

	snprintf(text, LINK_TEXT_BYTES, "%s failed: %s", what, err ? strerror(err) : "XRT does not say why");
	return err ? -err : -EIO;
}

/* In the memory that the unit's argument is connected to. */
static int open_buffer(struct buffer *b, const struct unit *u, size_t bytes, int argument, char *text)
{
	errno = 0;
	b->handle = xrtBOAlloc(card.device, bytes, 0, (unsigned)xrtKernelArgGroupId(u->kernel, argument));
	b->memory = b->handle ? xrtBOMap(b->handle) : NULL;
	return b->memory ? 0 : fail(text, "xrtBOAlloc");
}

static int open_slot(struct slot *s, struct unit *u, char *text)
{
	const int rows = kernels[u->kind].rows, jobs = kernels[u->kind].jobs, results = kernels[u->kind].results;
	int err = open_buffer(&s->rows, u, LINK_ROWS_BYTES, rows, text);

	if (!err)
		err = open_buffer(&s->jobs, u, JOBS_BYTES, jobs, text);
	if (!err)
		err = open_buffer(&s->results, u, RESULTS_BYTES, results, text);
	if (err)
		return err;
	errno = 0;
	s->unit = u;
	s->run = xrtRunOpen(u->kernel);
	if (!s->run || xrtRunSetArg(s->run, rows, s->rows.handle) || xrtRunSetArg(s->run, jobs, s->jobs.handle) ||
		xrtRunSetArg(s->run, results, s->results.handle))
		return fail(text, "xrtRunOpen");
	return 0;
}

static int open_unit(uint32_t index, const xuid_t uuid, char *text)
{
	struct unit *u = &card.unit[index];
	char name[128];

	u->kind = link_kernel_of(&card.used, index);
	snprintf(name, sizeof(name), "%s:{%s_%u}", kernels[u->kind].name, kernels[u->kind].name,
		u->kind == LINK_HIDDEN ? index - card.used.of[LINK_LOGITS] + 1 : index + 1);
	errno = 0;
	u->kernel = xrtPLKernelOpen(card.device, uuid, name);
	return u->kernel ? 0 : fail(text, "xrtPLKernelOpen");
}

static int open_card(const char *image, const char *address, char *text)
{
	xuid_t uuid;
	int err = 0;

	errno = 0;
	card.device = address ? xrtDeviceOpenByBDF(address) : xrtDeviceOpen(0);
	if (!card.device)
		return fail(text, "xrtDeviceOpen");
	errno = 0;
	if (xrtDeviceLoadXclbinFile(card.device, image) || xrtDeviceGetXclbinUUID(card.device, uuid))
		return fail(text, "xrtDeviceLoadXclbinFile");
	for (uint32_t i = 0; i < card.units && !err; i++)
		err = open_unit(i, uuid, text);
	for (uint32_t i = 0; i < card.slots && !err; i++)
		err = open_slot(&card.slot[i], &card.unit[i % card.units], text);
	return err;
}

static void free_head(struct held *h)
{
	for (uint32_t i = 0; i < LINK_PARTS_MAX; i++)
		if (h->part[i].handle)
			xrtBOFree(h->part[i].handle);
	*h = (struct held){0};
}

static void close_card(void)
{
	for (uint32_t i = 0; i < LINK_HEADS_MAX; i++)
		free_head(&card.head[i]);
	for (uint32_t i = 0; i < card.slots; i++) {
		xrtRunClose(card.slot[i].run);
		xrtBOFree(card.slot[i].rows.handle);
		xrtBOFree(card.slot[i].jobs.handle);
		xrtBOFree(card.slot[i].results.handle);
	}
	for (uint32_t i = 0; i < card.units; i++)
		xrtKernelClose(card.unit[i].kernel);
	xrtDeviceClose(card.device);
}

static int copy_in(const struct slot *s, const struct link_slot *link, const struct link_call *call, char *text)
{
	const size_t jobs_bytes = call->jobs * sizeof(*link->job);
	const size_t trailer = call->results * sizeof(*link->result);

	memcpy(s->rows.memory, link->rows, call->bytes);
	memcpy(s->jobs.memory, link->job, jobs_bytes);
	memset((char *)s->results.memory + trailer, 0, sizeof(link->trailer));
	errno = 0;
	if (xrtBOSync(s->rows.handle, XCL_BO_SYNC_BO_TO_DEVICE, call->bytes, 0) ||
		xrtBOSync(s->jobs.handle, XCL_BO_SYNC_BO_TO_DEVICE, jobs_bytes, 0) ||
		xrtBOSync(s->results.handle, XCL_BO_SYNC_BO_TO_DEVICE, sizeof(link->trailer), trailer))
		return fail(text, "xrtBOSync");
	return 0;
}

static int copy_out(const struct slot *s, struct link_slot *link, uint32_t results, char *text)
{
	const size_t bytes = results * sizeof(*link->result);

	errno = 0;
	if (xrtBOSync(s->results.handle, XCL_BO_SYNC_BO_FROM_DEVICE, bytes + sizeof(link->trailer), 0))
		return fail(text, "xrtBOSync");
	memcpy(link->result, s->results.memory, bytes);
	memcpy(&link->trailer, (char *)s->results.memory + bytes, sizeof(link->trailer));
	return 0;
}

/* Of a part of a head. */
static int argument_of(uint32_t part)
{
	return part == 0 ? VETO_SCORE_HIDDEN_META : VETO_SCORE_HIDDEN_WEIGHTS_0 + (int)part - 1;
}

static int set_head(const struct slot *s, const struct held *h, char *text)
{
	errno = 0;
	for (uint32_t i = 0; i <= card.used.ports; i++)
		if (xrtRunSetArg(s->run, argument_of(i), h->part[i].handle))
			return fail(text, "xrtRunSetArg");
	return 0;
}

/* Copy a launch's rows to the card and start it behind those in flight. */
static int start(const struct link_call *call, char *text)
{
	struct slot *s = &card.slot[call->slot];
	const int count = kernels[s->unit->kind].count + (s->unit->kind == LINK_HIDDEN ? (int)card.used.ports : 0);
	int err = copy_in(s, &card.link[call->slot], call, text);

	if (!err && s->unit->kind == LINK_HIDDEN)
		err = set_head(s, &card.head[call->head], text);
	if (err)
		return err;
	errno = 0;
	if (xrtRunSetArg(s->run, count, call->jobs) || xrtRunStart(s->run))
		return fail(text, "xrtRunStart");
	s->results_in_flight = call->results;
	s->start_ns = clock_ns();
	card.flight[(card.first + card.flights++) % LINK_SLOTS_MAX] = call->slot;
	return 0;
}

/* A buffer of a head, in the memory of the unit that scores hidden states. */
static int load(const struct link_call *call, char *text)
{
	return open_buffer(&card.head[call->head].part[call->part], &card.unit[card.used.of[LINK_LOGITS]], call->bytes,
		argument_of(call->part), text);
}

static int fill(const struct link_call *call, char *text)
{
	const struct buffer *b = &card.head[call->head].part[call->part];

	memcpy((char *)b->memory + call->offset, card.link[0].rows, call->bytes);
	errno = 0;
	return xrtBOSync(b->handle, XCL_BO_SYNC_BO_TO_DEVICE, call->bytes, call->offset) ? fail(text, "xrtBOSync") : 0;
}

/* Wait for the oldest launch in flight, and fetch its results. */
static struct link_report land(void)
{
	struct link_report report = {.slot = card.flight[card.first], .is_over = true};
	struct slot *s = &card.slot[report.slot];
	const uint64_t from = s->start_ns > s->unit->landed_ns ? s->start_ns : s->unit->landed_ns;
	const int state = xrtRunWait(s->run);

	s->unit->landed_ns = clock_ns();
	card.first = (card.first + 1) % LINK_SLOTS_MAX;
	card.flights--;
	report.device_ns = s->unit->landed_ns - from;
	if (state != ERT_CMD_STATE_COMPLETED) {
		report.status = -EIO;
		snprintf(report.text, sizeof(report.text), "the run ended in state %d", state);
	} else {
		report.status = copy_out(s, &card.link[report.slot], s->results_in_flight, report.text);
	}
	return report;
}

static struct link_report answer(const struct link_call *call)
{
	struct link_report report = {.slot = call->slot, .is_over = call->op != LINK_RUN};

	switch (call->op) {
	case LINK_RUN:
		report.status = start(call, report.text);
		break;
	case LINK_LOAD:
		report.status = load(call, report.text);
		break;
	case LINK_FILL:
		report.status = fill(call, report.text);
		break;
	default:
		free_head(&card.head[call->head]);
		break;
	}
	return report;
}

/* Carry launches until the driver closes the socket.  The rows of some are copied while others run. */
static void serve(void)
{
	struct link_call call;
	struct link_report report;
	ssize_t bytes;

	for (;;) {
		/* The driver has as many slots, so a launch comes only while there is room. */
		bytes = recv(WORKER_SOCKET_FD, &call, sizeof(call), card.flights > 0 ? MSG_DONTWAIT : 0);
		if (bytes != sizeof(call) && (bytes >= 0 || errno != EAGAIN))
			return;
		report = bytes == sizeof(call) ? answer(&call) : land();
		if (send(WORKER_SOCKET_FD, &report, sizeof(report), MSG_NOSIGNAL) != sizeof(report))
			return;
	}
}

/* Nobody may be left to kill a card that hangs: once the driver has let go, this process ends, and its model with it. */
static void *watch(void *folder)
{
	struct pollfd p = {.fd = WORKER_SOCKET_FD};

	while (poll(&p, 1, -1) < 0 || !(p.revents & (POLLHUP | POLLERR)))
		;
	sleep(GRACE_S);
	folder_remove(folder);
	_exit(EXIT_FAILURE);
}

int main(int argc, char **argv)
{
	struct link_hello hello = {.status = 0};
	pthread_t watcher;
	bool is_open;

	if (argc != 6 && argc != 7) {
		fprintf(stderr,
			"usage: veto-xrt IMAGE UNITS UNITS PORTS FOLDER [CARD] (started by veto's xrt: device)\n");
		return 2;
	}
	for (int i = 0; i < LINK_KERNELS; i++)
		card.used.of[i] = (uint32_t)atoi(argv[2 + i]);
	card.used.ports = (uint32_t)atoi(argv[4]);
	card.units = link_units_all(&card.used);
	card.slots = link_slots(&card.used);
	unsetenv("LD_PRELOAD"); /* for the model, which XRT starts */
	/* Hardware emulation's shim chats on stdout; errors go to stderr. */
	if (!freopen("/dev/null", "w", stdout) || pthread_create(&watcher, NULL, watch, argv[5]))
		return EXIT_FAILURE;
	card.link = mmap(NULL, link_memory_bytes(&card.used), PROT_READ | PROT_WRITE, MAP_SHARED, WORKER_MEMORY_FD, 0);
	hello.status = card.link == MAP_FAILED ? fail(hello.text, "mmap") : open_card(argv[1], argv[6], hello.text);
	is_open = send(WORKER_SOCKET_FD, &hello, sizeof(hello), MSG_NOSIGNAL) == sizeof(hello) && !hello.status;
	if (is_open) {
		serve();
		while (card.flights > 0)
			land();
		close_card();
	}
	folder_remove(argv[5]); /* the driver may be gone */
	_exit(is_open ? EXIT_SUCCESS : EXIT_FAILURE);
}
