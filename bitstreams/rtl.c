/* SPDX-License-Identifier: Apache-2.0 */
/* Plays host and memory for the RTL twins. */
#include "rtl.h"
#include "rtl_bridge.h"
#include "veto_kernels.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define BEAT_BYTES 64u
#define BEAT_SIZE 6 /* as AXI codes it */
#define INCREMENTING 1
#define BOUNDARY_BYTES 4096u /* which no burst may cross */
#define SLAVE_ERROR 2
#define BURSTS_MAX 32
#define RESET_CYCLES 64
#define STALL_CYCLES 1000000u
#define SLOW_TIMES 20u

enum { CONTROL = 0x00, GLOBAL_ENABLE = 0x04, ENABLE = 0x08, STATUS = 0x0c };

/* What tells the kernels apart: their simulation, and the registers of their arguments. */
static const struct {
	struct rtl_bridge *(*new)(void);
	uint32_t buffers, at[RTL_BUFFERS_MAX], count_at;
} kernels[RTL_KERNELS] = {
	[RTL_VETO_SCORE_LOGITS] = {rtl_bridge_logits_new, 3,
		{VETO_SCORE_LOGITS_ROWS_REGISTER, VETO_SCORE_LOGITS_JOBS_REGISTER, VETO_SCORE_LOGITS_RESULTS_REGISTER},
		VETO_SCORE_LOGITS_COUNT_REGISTER},
	[RTL_VETO_SCORE_HIDDEN] = {rtl_bridge_hidden_new, 5,
		{VETO_SCORE_HIDDEN_STATES_REGISTER, VETO_SCORE_HIDDEN_JOBS_REGISTER, VETO_SCORE_HIDDEN_RESULTS_REGISTER,
			VETO_SCORE_HIDDEN_META_REGISTER, VETO_SCORE_HIDDEN_WEIGHTS_0_REGISTER},
		VETO_SCORE_HIDDEN_COUNT_REGISTER},
};

/* An accepted burst, or a write that is to be answered. */
struct burst {
	const char *memory;
	uint64_t due; /* cycle */
	uint32_t beats;
	bool fails;
};

struct queue {
	struct burst burst[BURSTS_MAX];
	uint32_t first, count;
};

struct read_port {
	struct rtl_read_pins *pins, before;
	struct queue queue;
	uint32_t sent; /* beats of the first */
};

struct write_port {
	struct rtl_write_pins *pins, before;
	struct queue addresses, answers;
	uint32_t data[16];
	bool has_data;
};

struct rtl {
	enum rtl_kernel kernel;
	struct rtl_bridge *bridge;
	struct rtl_pins pins;
	void *(*at)(uint64_t address, uint64_t bytes);
	struct rtl_pace pace;
	struct read_port read[RTL_READ_PORTS_MAX];
	struct write_port results;
	uint64_t cycle, moved, started, ended; /* moved: the last that moved anything */
	uint32_t reads, writes;
	const char *broken;
};

static void expect(struct rtl *rtl, bool is_kept, const char *rule)
{
	if (!is_kept && !rtl->broken)
		rtl->broken = rule;
}

static bool is_open(struct rtl *rtl)
{
	if (rtl->pace.gaps == 0)
		return true;
	rtl->pace.seed = rtl->pace.seed * 6364136223846793005u + 1442695040888963407u;
	return (rtl->pace.seed >> 33) % 100 >= rtl->pace.gaps;
}

static struct burst *queue_first(struct queue *q) { return q->count > 0 ? &q->burst[q->first] : NULL; }

static void queue_put(struct queue *q, struct burst burst) { q->burst[(q->first + q->count++) % BURSTS_MAX] = burst; }

static void queue_take(struct queue *q)
{
	q->first = (q->first + 1) % BURSTS_MAX;
	q->count--;
}

/* The memory of a burst that keeps to the rules; NULL: it does not. */
static char *find(struct rtl *rtl, uint64_t address, uint32_t beats, uint8_t size, uint8_t type)
{
	expect(rtl, size == BEAT_SIZE && type == INCREMENTING,
		"a burst is not of 64-byte beats that follow each other");
	expect(rtl, address % BEAT_BYTES == 0, "a burst does not start on a beat");
	expect(rtl, address % BOUNDARY_BYTES + beats * BEAT_BYTES <= BOUNDARY_BYTES, "a burst crosses 4 KiB");
	return rtl->broken ? NULL : rtl->at(address, (uint64_t)beats * BEAT_BYTES);
}

/* --- Reads --- */

static void offer_read(struct rtl *rtl, struct read_port *port)
{
	struct rtl_read_pins *pins = port->pins;
	const struct burst *first = queue_first(&port->queue);

	pins->arready = port->queue.count < BURSTS_MAX && is_open(rtl);
	if (pins->rvalid) /* what is offered stays */
		return;
	pins->rvalid = first && first->due <= rtl->cycle && is_open(rtl);
	if (!pins->rvalid) {
		memset(pins->rdata, 0xa5, sizeof(pins->rdata));
		return;
	}
	memcpy(pins->rdata, first->memory + port->sent * BEAT_BYTES, BEAT_BYTES);
	pins->rlast = port->sent + 1 == first->beats;
	pins->rresp = first->fails ? SLAVE_ERROR : 0;
}

static void move_read(struct rtl *rtl, struct read_port *port)
{
	struct rtl_read_pins *pins = port->pins, *before = &port->before;

	expect(rtl,
		!(before->arvalid && !before->arready) ||
			(pins->arvalid && pins->araddr == before->araddr && pins->arlen == before->arlen),
		"a read's address changes before it is taken");
	*before = *pins;
	if (pins->arvalid && pins->arready) {
		const uint32_t beats = pins->arlen + 1u;
		const char *memory = find(rtl, pins->araddr, beats, pins->arsize, pins->arburst);
		const bool is_slow = rtl->pace.slow_read > 0 && port == &rtl->read[rtl->pace.slow_read - 1];
		const uint64_t due = rtl->cycle + (is_slow ? SLOW_TIMES : 1) * rtl->pace.latency_cycles;

		if (memory)
			queue_put(&port->queue,
				(struct burst){memory, due, beats, ++rtl->reads == rtl->pace.failing_reads});
		rtl->moved = rtl->cycle;
	}
	if (!pins->rvalid || !pins->rready)
		return;
	pins->rvalid = 0;
	rtl->moved = rtl->cycle;
	if (++port->sent == queue_first(&port->queue)->beats) {
		queue_take(&port->queue);
		port->sent = 0;
	}
}

/* --- Writes, a beat each --- */

static void offer_write(struct rtl *rtl, struct write_port *port)
{
	struct rtl_write_pins *pins = port->pins;
	const struct burst *answer = queue_first(&port->answers);

	pins->awready = port->addresses.count < BURSTS_MAX && port->answers.count < BURSTS_MAX && is_open(rtl);
	pins->wready = !port->has_data && is_open(rtl);
	if (pins->bvalid)
		return;
	pins->bvalid = answer && answer->due <= rtl->cycle && is_open(rtl);
	pins->bresp = pins->bvalid && answer->fails ? SLAVE_ERROR : 0;
}

static void move_write(struct rtl *rtl, struct write_port *port)
{
	struct rtl_write_pins *pins = port->pins, *before = &port->before;
	struct burst *first;

	expect(rtl, !(before->awvalid && !before->awready) || (pins->awvalid && pins->awaddr == before->awaddr),
		"a write's address changes before it is taken");
	expect(rtl,
		!(before->wvalid && !before->wready) ||
			(pins->wvalid && memcmp(pins->wdata, before->wdata, sizeof(pins->wdata)) == 0),
		"a write's data change before they are taken");
	*before = *pins;
	if (pins->awvalid && pins->awready) {
		char *memory = find(rtl, pins->awaddr, pins->awlen + 1u, pins->awsize, pins->awburst);

		expect(rtl, pins->awlen == 0, "a write is longer than a beat");
		if (memory)
			queue_put(&port->addresses,
				(struct burst){memory, 0, 1, ++rtl->writes == rtl->pace.failing_writes});
		rtl->moved = rtl->cycle;
	}
	if (pins->wvalid && pins->wready) {
		expect(rtl, pins->wlast && pins->wstrb == UINT64_MAX, "a write is not of one whole beat");
		memcpy(port->data, pins->wdata, sizeof(port->data));
		port->has_data = true;
		rtl->moved = rtl->cycle;
	}
	first = queue_first(&port->addresses);
	if (port->has_data && first && port->answers.count < BURSTS_MAX) {
		if (!first->fails)
			memcpy((char *)(uintptr_t)first->memory, port->data, sizeof(port->data));
		first->due = rtl->cycle + rtl->pace.latency_cycles;
		queue_put(&port->answers, *first);
		queue_take(&port->addresses);
		port->has_data = false;
	}
	if (pins->bvalid && pins->bready) {
		queue_take(&port->answers);
		pins->bvalid = 0;
	}
}

static void step(struct rtl *rtl)
{
	for (uint32_t i = 0; i < rtl->bridge->reads; i++)
		offer_read(rtl, &rtl->read[i]);
	offer_write(rtl, &rtl->results);
	rtl->bridge->settle(rtl->bridge, &rtl->pins);
	if (rtl->pins.ap_rst_n) {
		for (uint32_t i = 0; i < rtl->bridge->reads; i++)
			move_read(rtl, &rtl->read[i]);
		move_write(rtl, &rtl->results);
	}
	rtl->bridge->clock(rtl->bridge);
	rtl->cycle++;
}

/* --- The host's side --- */

void rtl_write(struct rtl *rtl, uint32_t offset, uint32_t value)
{
	struct rtl_control_pins *pins = &rtl->pins.control;

	pins->awaddr = (uint16_t)offset;
	pins->wdata = value;
	pins->awvalid = pins->wvalid = 1;
	do
		step(rtl);
	while (!pins->awready);
	pins->awvalid = pins->wvalid = 0;
	pins->bready = 1;
	do
		step(rtl);
	while (!pins->bvalid);
	pins->bready = 0;
}

uint32_t rtl_read(struct rtl *rtl, uint32_t offset)
{
	struct rtl_control_pins *pins = &rtl->pins.control;

	pins->araddr = (uint16_t)offset;
	pins->arvalid = 1;
	do
		step(rtl);
	while (!pins->arready);
	pins->arvalid = 0;
	pins->rready = 1;
	do
		step(rtl);
	while (!pins->rvalid);
	pins->rready = 0;
	return pins->rdata;
}

const char *rtl_run(struct rtl *rtl)
{
	rtl_write(rtl, GLOBAL_ENABLE, 1);
	rtl_write(rtl, ENABLE, 1);
	rtl->reads = rtl->writes = 0;
	rtl->started = rtl->moved = rtl->cycle;
	rtl_write(rtl, CONTROL, 1);
	while (!rtl->pins.interrupt && !rtl->broken) {
		step(rtl);
		expect(rtl, rtl->cycle - rtl->moved < STALL_CYCLES, "it moved nothing for a million cycles");
	}
	rtl->ended = rtl->cycle;
	if (!rtl->broken)
		rtl_write(rtl, STATUS, 1); /* toggles it */
	return rtl->broken;
}

void rtl_arguments(const struct rtl *rtl, uint32_t *first, uint32_t *last)
{
	*first = kernels[rtl->kernel].at[0];
	*last = kernels[rtl->kernel].count_at;
}

const char *rtl_launch(struct rtl *rtl, const uint64_t *buffers, uint32_t count)
{
	for (uint32_t i = 0; i < kernels[rtl->kernel].buffers; i++) {
		rtl_write(rtl, kernels[rtl->kernel].at[i], (uint32_t)buffers[i]);
		rtl_write(rtl, kernels[rtl->kernel].at[i] + 4, (uint32_t)(buffers[i] >> 32));
	}
	rtl_write(rtl, kernels[rtl->kernel].count_at, count);
	return rtl_run(rtl);
}

uint64_t rtl_cycles(const struct rtl *rtl) { return rtl->ended - rtl->started; }

void rtl_set_pace(struct rtl *rtl, const struct rtl_pace *pace) { rtl->pace = *pace; }

static void *at_pointer(uint64_t address, uint64_t bytes)
{
	(void)bytes;
	return (void *)(uintptr_t)address;
}

struct rtl *rtl_new(enum rtl_kernel kernel, void *(*at)(uint64_t address, uint64_t bytes))
{
	struct rtl *rtl = calloc(1, sizeof(*rtl));

	if (!rtl)
		return NULL;
	rtl->kernel = kernel;
	rtl->bridge = kernels[kernel].new();
	if (!rtl->bridge) {
		free(rtl);
		return NULL;
	}
	rtl->at = at ? at : at_pointer;
	rtl->pace.latency_cycles = RTL_LATENCY_CYCLES;
	for (uint32_t i = 0; i < rtl->bridge->reads; i++)
		rtl->read[i].pins = &rtl->pins.read[i];
	rtl->results.pins = &rtl->pins.results;
	for (int i = 0; i < RESET_CYCLES; i++)
		step(rtl);
	rtl->pins.ap_rst_n = 1;
	return rtl;
}

void rtl_free(struct rtl *rtl)
{
	if (!rtl)
		return;
	rtl->bridge->free(rtl->bridge);
	free(rtl);
}
