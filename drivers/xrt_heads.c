/* SPDX-License-Identifier: Apache-2.0 */
/* Heads on the card: laid out by the caller, carried there by the thread. */
#include "param.h"
#include "xrt_device.h"
#include "xrt_layout.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WEIGHT_PORTS 1u /* of the images that there are recipes for */
#define BUFFER_BYTES_MAX ((1ull << 32) - 64) /* that XRT takes */

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

int xrt_load(struct driver *drv, uint32_t slot, const struct veto_head *head, char *why)
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

void xrt_unload(struct driver *drv, uint32_t slot)
{
	const struct request r = {.head = slot, .is_unload = true};
	char text[LINK_TEXT_BYTES];

	request(drv->state, &r, text);
}
