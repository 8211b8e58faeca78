/* SPDX-License-Identifier: Apache-2.0 */
/* Heads on the card: laid out by the caller, carried there by the thread. */
#include "param.h"
#include "xrt_device.h"
#include "xrt_layout.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BUFFER_BYTES_MAX ((1ull << 32) - 64) /* that XRT takes */

/* One call that no launch is beside, and its answer; -ETIMEDOUT, -EPIPE: the card is lost. */
static int ask(struct xrt *xrt, const struct link_call *call, struct link_report *report)
{
	int err = worker_send(&xrt->worker, call, sizeof(*call));

	if (!err)
		err = worker_receive(&xrt->worker, report, sizeof(*report), xrt->deadline_ns);
	return err == -EAGAIN ? -ETIMEDOUT : err;
}

/* Make the request of the thread that waits for it; its own failure ends the card, the request's does not. */
static int serve_request(struct xrt *xrt)
{
	struct request *r = &xrt->request;
	struct link_call call = {
		.op = r->is_unload ? LINK_UNLOAD : LINK_LOAD, .head = r->head, .part = r->part, .bytes = r->bytes};
	struct link_report report;
	int err = ask(xrt, &call, &report);

	call.op = LINK_FILL;
	for (size_t at = 0; at < r->bytes && !err && !report.status; at += LINK_ROWS_BYTES) {
		call.offset = at;
		call.bytes = r->bytes - at < LINK_ROWS_BYTES ? r->bytes - at : LINK_ROWS_BYTES;
		memcpy(slot_of(xrt, 0)->rows, r->data + at, call.bytes);
		err = ask(xrt, &call, &report);
	}
	if (!err) {
		r->status = report.status;
		memcpy(r->why, report.text, sizeof(r->why));
	}
	return err;
}

int xrt_take_request(struct xrt *xrt)
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
	xrt_end_request(xrt, xrt->request.status);
	pthread_mutex_unlock(&xrt->lock);
	return 0;
}

void xrt_end_request(struct xrt *xrt, int status)
{
	xrt->request.status = status;
	xrt->request.is_wanted = false;
	pthread_cond_signal(&xrt->has_answered);
}

/* Have the thread see to a request, and wait for it. */
static int request(struct xrt *xrt, const struct request *wanted, char why[LINK_TEXT_BYTES])
{
	int status;

	pthread_mutex_lock(&xrt->lock);
	if (!xrt->lost) {
		xrt->request = *wanted;
		xrt->request.is_wanted = true;
		xrt_wake(xrt);
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

/* Lay out a part of the head and have it carried to the card. */
static int load_part(
	struct xrt *xrt, uint32_t slot, const struct veto_head *head, uint32_t part, size_t bytes, char *why)
{
	struct request r = {.head = slot, .part = part, .bytes = bytes};
	char text[LINK_TEXT_BYTES], *memory = malloc(bytes);
	int err;

	if (!memory)
		return param_fail(-ENOMEM, why, "xrt: no memory to lay out %zu bytes of a head", bytes);
	if (part == 0)
		xrt_layout_meta(head, memory);
	else
		xrt_layout_weights(head, xrt->units.ports, part - 1, memory);
	r.data = memory;
	err = request(xrt, &r, text);
	free(memory);
	return err ? param_fail(err, why, "xrt: %zu bytes of a head: %.*s", bytes, LINK_TEXT_BYTES, text) : 0;
}

int xrt_load(struct driver *drv, uint32_t slot, const struct veto_head *head, char *why)
{
	struct xrt *xrt = drv->state;
	const size_t weights = xrt_layout_weight_bytes(head, xrt->units.ports);
	const uint64_t room = xrt->port_bytes < BUFFER_BYTES_MAX ? xrt->port_bytes : BUFFER_BYTES_MAX;
	int err;

	if (weights > room)
		return param_fail(-ENOSPC, why,
			"xrt: the head has %zu bytes of weights for each of %u ports, and there a buffer has at most %" PRIu64,
			weights, xrt->units.ports, room);
	err = load_part(xrt, slot, head, 0, xrt_layout_meta_bytes(head), why);
	for (uint32_t p = 1; p <= xrt->units.ports && !err; p++)
		err = load_part(xrt, slot, head, p, weights, why);
	if (err)
		xrt_unload(drv, slot);
	return err;
}

void xrt_unload(struct driver *drv, uint32_t slot)
{
	const struct request r = {.head = slot, .is_unload = true};
	char text[LINK_TEXT_BYTES];

	request(drv->state, &r, text);
}
