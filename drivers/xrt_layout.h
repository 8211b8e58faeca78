/* SPDX-License-Identifier: Apache-2.0 */
/* How a head lies in a card's memories, as veto_hw.h says of struct veto_hidden_job. */
#ifndef VETO_XRT_LAYOUT_H
#define VETO_XRT_LAYOUT_H

#include "head.h"

/* The op of jobs for a head. */
enum veto_hidden_op xrt_layout_op(const struct veto_head *head);

/* Bytes of a head's meta, and of its weights in each of so many ports; both are whole beats. */
size_t xrt_layout_meta_bytes(const struct veto_head *head);
size_t xrt_layout_weight_bytes(const struct veto_head *head, uint32_t ports);

/* Fill all of these bytes.  A job's meta_offset and weight_offset are where they come to lie, the latter in all ports at
 * the same place. */
void xrt_layout_meta(const struct veto_head *head, void *out);
void xrt_layout_weights(const struct veto_head *head, uint32_t ports, uint32_t port, void *out);

#endif
