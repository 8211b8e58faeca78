/* SPDX-License-Identifier: Apache-2.0 */
/* veto-xrt IMAGE SECONDS FOLDER: the process that XRT lives in, started by the xrt: driver; no run takes longer than
 * SECONDS.  XRT fixes its mode once a process, its emulation may take the process down, and a hung run can only be left by
 * a kill: none of that is the user's process. */
#include "clock.h"
#include "veto_kernels.h"
#include "worker.h"
#include "xrt_folder.h"
#include "xrt_link.h"

#include <experimental/xrt_bo.h>
#include <experimental/xrt_device.h>
#include <experimental/xrt_kernel.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define RESULTS_BYTES ((LINK_LAUNCH_ROWS * 5 + 1) * sizeof(struct veto_beat))
#define JOBS_BYTES (LINK_LAUNCH_ROWS * sizeof(struct veto_logits_job))

/* A buffer of the card, and where this process sees it. */
struct buffer {
	xrtBufferHandle handle;
	void *memory;
};

struct unit {
	struct buffer rows, jobs, results;
	xrtRunHandle run;
	uint32_t rows_in_flight;
	uint64_t start_ns;
};

static struct {
	xrtDeviceHandle device;
	xrtKernelHandle kernel;
	struct unit unit[LINK_SLOTS];
	struct link_memory *memory;
	uint32_t flight[LINK_SLOTS], first, flights; /* slots whose runs are on their way: a ring */
	uint64_t landed_ns; /* when the last one did */
} card;

/* XRT's functions say little: errno often stays 0. */
static int fail(char *text, const char *what)
{
	int err = errno;

	snprintf(text, LINK_TEXT_BYTES, "%s failed: %s", what, err ? strerror(err) : "XRT does not say why");
	return err ? -err : -EIO;
}

static int open_buffer(struct buffer *b, size_t bytes, int argument, char *text)
{
	errno = 0;
	b->handle = xrtBOAlloc(card.device, bytes, 0, (unsigned)xrtKernelArgGroupId(card.kernel, argument));
	b->memory = b->handle ? xrtBOMap(b->handle) : NULL;
	return b->memory ? 0 : fail(text, "xrtBOAlloc");
}

static int open_unit(struct unit *u, char *text)
{
	int err = open_buffer(&u->rows, LINK_ROWS_BYTES, VETO_SCORE_LOGITS_ROWS, text);

	if (!err)
		err = open_buffer(&u->jobs, JOBS_BYTES, VETO_SCORE_LOGITS_JOBS, text);
	if (!err)
		err = open_buffer(&u->results, RESULTS_BYTES, VETO_SCORE_LOGITS_RESULTS, text);
	if (err)
		return err;
	errno = 0;
	u->run = xrtRunOpen(card.kernel);
	if (!u->run || xrtRunSetArg(u->run, VETO_SCORE_LOGITS_ROWS, u->rows.handle) ||
		xrtRunSetArg(u->run, VETO_SCORE_LOGITS_JOBS, u->jobs.handle) ||
		xrtRunSetArg(u->run, VETO_SCORE_LOGITS_RESULTS, u->results.handle))
		return fail(text, "xrtRunOpen");
	return 0;
}

static int open_card(const char *image, char *text)
{
	xuid_t uuid;
	int err = 0;

	errno = 0;
	card.device = xrtDeviceOpen(0);
	if (!card.device)
		return fail(text, "xrtDeviceOpen");
	errno = 0;
	if (xrtDeviceLoadXclbinFile(card.device, image) || xrtDeviceGetXclbinUUID(card.device, uuid))
		return fail(text, "xrtDeviceLoadXclbinFile");
	errno = 0;
	card.kernel = xrtPLKernelOpen(card.device, uuid, LINK_KERNEL);
	if (!card.kernel)
		return fail(text, "xrtPLKernelOpen");
	for (int i = 0; i < LINK_SLOTS && !err; i++)
		err = open_unit(&card.unit[i], text);
	return err;
}

static void close_card(void)
{
	for (int i = 0; i < LINK_SLOTS; i++) {
		xrtRunClose(card.unit[i].run);
		xrtBOFree(card.unit[i].rows.handle);
		xrtBOFree(card.unit[i].jobs.handle);
		xrtBOFree(card.unit[i].results.handle);
	}
	xrtKernelClose(card.kernel);
	xrtDeviceClose(card.device);
}

static int copy_in(const struct unit *u, const struct link_slot *slot, const struct link_launch *launch, char *text)
{
	const size_t jobs_bytes = launch->rows * sizeof(*slot->job);
	const size_t trailer = launch->rows * sizeof(*slot->result);

	memcpy(u->rows.memory, slot->rows, launch->rows_bytes);
	memcpy(u->jobs.memory, slot->job, jobs_bytes);
	memset((char *)u->results.memory + trailer, 0, sizeof(slot->trailer));
	errno = 0;
	if (xrtBOSync(u->rows.handle, XCL_BO_SYNC_BO_TO_DEVICE, launch->rows_bytes, 0) ||
		xrtBOSync(u->jobs.handle, XCL_BO_SYNC_BO_TO_DEVICE, jobs_bytes, 0) ||
		xrtBOSync(u->results.handle, XCL_BO_SYNC_BO_TO_DEVICE, sizeof(slot->trailer), trailer))
		return fail(text, "xrtBOSync");
	return 0;
}

static int copy_out(const struct unit *u, struct link_slot *slot, uint32_t rows, char *text)
{
	const size_t bytes = rows * sizeof(*slot->result);

	errno = 0;
	if (xrtBOSync(u->results.handle, XCL_BO_SYNC_BO_FROM_DEVICE, bytes + sizeof(slot->trailer), 0))
		return fail(text, "xrtBOSync");
	memcpy(slot->result, u->results.memory, bytes);
	memcpy(&slot->trailer, (char *)u->results.memory + bytes, sizeof(slot->trailer));
	return 0;
}

/* Copy a launch's rows to the card and start it behind those in flight. */
static int start(const struct link_launch *launch, char *text)
{
	struct unit *u = &card.unit[launch->slot];
	int err = copy_in(u, &card.memory->slot[launch->slot], launch, text);

	if (err)
		return err;
	errno = 0;
	if (xrtRunSetArg(u->run, VETO_SCORE_LOGITS_COUNT, launch->rows) || xrtRunStart(u->run))
		return fail(text, "xrtRunStart");
	u->rows_in_flight = launch->rows;
	u->start_ns = clock_ns();
	card.flight[(card.first + card.flights++) % LINK_SLOTS] = launch->slot;
	return 0;
}

/* Wait for the oldest launch in flight, and fetch its results. */
static struct link_landed land(void)
{
	struct link_landed landed = {.slot = card.flight[card.first]};
	struct unit *u = &card.unit[landed.slot];
	const uint64_t from = u->start_ns > card.landed_ns ? u->start_ns : card.landed_ns;
	const int state = xrtRunWait(u->run);

	card.landed_ns = clock_ns();
	card.first = (card.first + 1) % LINK_SLOTS;
	card.flights--;
	landed.device_ns = card.landed_ns - from;
	if (state != ERT_CMD_STATE_COMPLETED) {
		landed.status = -EIO;
		snprintf(landed.text, sizeof(landed.text), "the run ended in state %d", state);
	} else {
		landed.status = copy_out(u, &card.memory->slot[landed.slot], u->rows_in_flight, landed.text);
	}
	return landed;
}

/* Carry launches until the driver closes the socket.  The rows of one are copied while another runs. */
static void serve(unsigned seconds)
{
	struct link_launch launch;
	struct link_landed landed;
	ssize_t bytes;

	for (;;) {
		/* The driver has as many slots, so a launch comes only while there is room. */
		bytes = recv(WORKER_SOCKET_FD, &launch, sizeof(launch), card.flights > 0 ? MSG_DONTWAIT : 0);
		if (bytes != sizeof(launch) && (bytes >= 0 || errno != EAGAIN))
			return;
		alarm(seconds); /* nobody may be left to kill a run that hangs */
		if (bytes == sizeof(launch)) {
			landed = (struct link_landed){.slot = launch.slot};
			landed.status = start(&launch, landed.text);
			if (landed.status == 0)
				continue;
		} else {
			landed = land();
		}
		alarm(card.flights > 0 ? seconds : 0);
		if (send(WORKER_SOCKET_FD, &landed, sizeof(landed), MSG_NOSIGNAL) != sizeof(landed))
			return;
	}
}

int main(int argc, char **argv)
{
	struct link_hello hello = {.text = LINK_KERNEL};

	if (argc != 4) {
		fprintf(stderr, "usage: veto-xrt IMAGE SECONDS FOLDER (started by veto's xrt: device)\n");
		return 2;
	}
	unsetenv("LD_PRELOAD"); /* for the model, which XRT starts */
	if (!freopen("/dev/null", "w", stdout)) /* hardware emulation's shim chats there; errors go to stderr */
		return EXIT_FAILURE;
	card.memory = mmap(NULL, sizeof(*card.memory), PROT_READ | PROT_WRITE, MAP_SHARED, WORKER_MEMORY_FD, 0);
	hello.status = card.memory == MAP_FAILED ? fail(hello.text, "mmap") : open_card(argv[1], hello.text);
	if (send(WORKER_SOCKET_FD, &hello, sizeof(hello), MSG_NOSIGNAL) != sizeof(hello) || hello.status)
		_exit(EXIT_FAILURE);
	serve((unsigned)atoi(argv[2]));
	while (card.flights > 0)
		land();
	close_card();
	folder_remove(argv[3]); /* the driver may be gone */
	return EXIT_SUCCESS;
}
