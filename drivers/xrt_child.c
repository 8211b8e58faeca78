/* SPDX-License-Identifier: Apache-2.0 */
/* veto-xrt IMAGE UNITS FOLDER [CARD]: the process that XRT lives in, started by the xrt: driver.  It uses UNITS compute
 * units of the image; CARD is a PCI address, where there is no emulation.  XRT fixes its mode once a process, its emulation
 * may take the process down, and a hung run can only be left by a kill: none of that is the user's process. */
#include "clock.h"
#include "veto_kernels.h"
#include "worker.h"
#include "xrt_folder.h"
#include "xrt_link.h"

#include <experimental/xrt_bo.h>
#include <experimental/xrt_device.h>
#include <experimental/xrt_kernel.h>

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
#define RESULTS_BYTES ((LINK_LAUNCH_ROWS * 5 + 1) * sizeof(struct veto_beat))
#define JOBS_BYTES (LINK_LAUNCH_ROWS * sizeof(struct veto_logits_job))

/* A buffer of the card, and where this process sees it. */
struct buffer {
	xrtBufferHandle handle;
	void *memory;
};

/* A compute unit. */
struct unit {
	xrtKernelHandle kernel;
	uint64_t landed_ns; /* when its last launch did */
};

struct slot {
	struct unit *unit;
	struct buffer rows, jobs, results;
	xrtRunHandle run;
	uint32_t rows_in_flight;
	uint64_t start_ns;
};

static struct {
	xrtDeviceHandle device;
	uint32_t units, slots;
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
	int err = open_buffer(&s->rows, u, LINK_ROWS_BYTES, VETO_SCORE_LOGITS_ROWS, text);

	if (!err)
		err = open_buffer(&s->jobs, u, JOBS_BYTES, VETO_SCORE_LOGITS_JOBS, text);
	if (!err)
		err = open_buffer(&s->results, u, RESULTS_BYTES, VETO_SCORE_LOGITS_RESULTS, text);
	if (err)
		return err;
	errno = 0;
	s->unit = u;
	s->run = xrtRunOpen(u->kernel);
	if (!s->run || xrtRunSetArg(s->run, VETO_SCORE_LOGITS_ROWS, s->rows.handle) ||
		xrtRunSetArg(s->run, VETO_SCORE_LOGITS_JOBS, s->jobs.handle) ||
		xrtRunSetArg(s->run, VETO_SCORE_LOGITS_RESULTS, s->results.handle))
		return fail(text, "xrtRunOpen");
	return 0;
}

static int open_unit(uint32_t index, const xuid_t uuid, char *text)
{
	char name[128];

	snprintf(name, sizeof(name), LINK_KERNEL ":{" LINK_KERNEL "_%u}", index + 1);
	errno = 0;
	card.unit[index].kernel = xrtPLKernelOpen(card.device, uuid, name);
	return card.unit[index].kernel ? 0 : fail(text, "xrtPLKernelOpen");
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

static void close_card(void)
{
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

static int copy_in(const struct slot *s, const struct link_slot *link, const struct link_launch *launch, char *text)
{
	const size_t jobs_bytes = launch->rows * sizeof(*link->job);
	const size_t trailer = launch->rows * sizeof(*link->result);

	memcpy(s->rows.memory, link->rows, launch->rows_bytes);
	memcpy(s->jobs.memory, link->job, jobs_bytes);
	memset((char *)s->results.memory + trailer, 0, sizeof(link->trailer));
	errno = 0;
	if (xrtBOSync(s->rows.handle, XCL_BO_SYNC_BO_TO_DEVICE, launch->rows_bytes, 0) ||
		xrtBOSync(s->jobs.handle, XCL_BO_SYNC_BO_TO_DEVICE, jobs_bytes, 0) ||
		xrtBOSync(s->results.handle, XCL_BO_SYNC_BO_TO_DEVICE, sizeof(link->trailer), trailer))
		return fail(text, "xrtBOSync");
	return 0;
}

static int copy_out(const struct slot *s, struct link_slot *link, uint32_t rows, char *text)
{
	const size_t bytes = rows * sizeof(*link->result);

	errno = 0;
	if (xrtBOSync(s->results.handle, XCL_BO_SYNC_BO_FROM_DEVICE, bytes + sizeof(link->trailer), 0))
		return fail(text, "xrtBOSync");
	memcpy(link->result, s->results.memory, bytes);
	memcpy(&link->trailer, (char *)s->results.memory + bytes, sizeof(link->trailer));
	return 0;
}

/* Copy a launch's rows to the card and start it behind those in flight. */
static int start(const struct link_launch *launch, char *text)
{
	struct slot *s = &card.slot[launch->slot];
	int err = copy_in(s, &card.link[launch->slot], launch, text);

	if (err)
		return err;
	errno = 0;
	if (xrtRunSetArg(s->run, VETO_SCORE_LOGITS_COUNT, launch->rows) || xrtRunStart(s->run))
		return fail(text, "xrtRunStart");
	s->rows_in_flight = launch->rows;
	s->start_ns = clock_ns();
	card.flight[(card.first + card.flights++) % card.slots] = launch->slot;
	return 0;
}

/* Wait for the oldest launch in flight, and fetch its results. */
static struct link_report land(void)
{
	struct link_report report = {.slot = card.flight[card.first], .is_over = true};
	struct slot *s = &card.slot[report.slot];
	const uint64_t from = s->start_ns > s->unit->landed_ns ? s->start_ns : s->unit->landed_ns;
	const int state = xrtRunWait(s->run);

	s->unit->landed_ns = clock_ns();
	card.first = (card.first + 1) % card.slots;
	card.flights--;
	report.device_ns = s->unit->landed_ns - from;
	if (state != ERT_CMD_STATE_COMPLETED) {
		report.status = -EIO;
		snprintf(report.text, sizeof(report.text), "the run ended in state %d", state);
	} else {
		report.status = copy_out(s, &card.link[report.slot], s->rows_in_flight, report.text);
	}
	return report;
}

/* Carry launches until the driver closes the socket.  The rows of some are copied while others run. */
static void serve(void)
{
	struct link_launch launch;
	struct link_report report;
	ssize_t bytes;

	for (;;) {
		/* The driver has as many slots, so a launch comes only while there is room. */
		bytes = recv(WORKER_SOCKET_FD, &launch, sizeof(launch), card.flights > 0 ? MSG_DONTWAIT : 0);
		if (bytes != sizeof(launch) && (bytes >= 0 || errno != EAGAIN))
			return;
		if (bytes == sizeof(launch)) {
			report = (struct link_report){.slot = launch.slot};
			report.status = start(&launch, report.text);
		} else {
			report = land();
		}
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

	if (argc != 4 && argc != 5) {
		fprintf(stderr, "usage: veto-xrt IMAGE UNITS FOLDER [CARD] (started by veto's xrt: device)\n");
		return 2;
	}
	card.units = (uint32_t)atoi(argv[2]);
	card.slots = card.units * LINK_SLOTS_A_UNIT;
	unsetenv("LD_PRELOAD"); /* for the model, which XRT starts */
	/* Hardware emulation's shim chats on stdout; errors go to stderr. */
	if (!freopen("/dev/null", "w", stdout) || pthread_create(&watcher, NULL, watch, argv[3]))
		return EXIT_FAILURE;
	card.link = mmap(NULL, link_memory_bytes(card.units), PROT_READ | PROT_WRITE, MAP_SHARED, WORKER_MEMORY_FD, 0);
	hello.status = card.link == MAP_FAILED ? fail(hello.text, "mmap") : open_card(argv[1], argv[4], hello.text);
	is_open = send(WORKER_SOCKET_FD, &hello, sizeof(hello), MSG_NOSIGNAL) == sizeof(hello) && !hello.status;
	if (is_open) {
		serve();
		while (card.flights > 0)
			land();
		close_card();
	}
	folder_remove(argv[3]); /* the driver may be gone */
	_exit(is_open ? EXIT_SUCCESS : EXIT_FAILURE);
}
