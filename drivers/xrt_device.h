/* SPDX-License-Identifier: Apache-2.0 */
/* The xrt: device from the inside: a child process, the thread that talks to it, and what others ask of the thread. */
#ifndef VETO_XRT_DEVICE_H
#define VETO_XRT_DEVICE_H

#include "worker.h"
#include "xrt_cards.h"
#include "xrt_flight.h"
#include "xrt_place.h"

#include <pthread.h>

/* A part of a head that the card is to hold, or a head that it is to hold no more: the thread, which has the socket, sees to
 * it while no run is in flight. */
struct request {
	bool is_wanted, is_unload;
	uint32_t head, part;
	size_t bytes;
	const char *data;
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
	uint64_t port_bytes; /* of the least memory that a port of weights has */
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

static inline struct link_slot *slot_of(struct xrt *xrt, uint32_t slot)
{
	return (struct link_slot *)xrt->worker.memory + slot;
}

/* Have the thread look for work. */
void xrt_wake(struct xrt *xrt);

/* The thread's part of a request, if one is wanted: 0, or why the card is lost. */
int xrt_take_request(struct xrt *xrt);
/* The end of what can't be had any more.  The lock is held. */
void xrt_end_request(struct xrt *xrt, int status);

/* As the backend's. */
int xrt_load(struct driver *drv, uint32_t slot, const struct veto_head *head, char *why);
void xrt_unload(struct driver *drv, uint32_t slot);

#endif
