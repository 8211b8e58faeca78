/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel that scores rows of logits. */
#ifndef VETO_SCORE_LOGITS_H
#define VETO_SCORE_LOGITS_H

#include "veto_hw.h"

/* Score count rows (0..VETO_LAUNCH_ROWS_MAX): row i lies at jobs[i]'s offset in rows, and its struct veto_logits_result
 * goes to results[5 * i].  A struct veto_trailer follows at results[5 * count].  jobs and results hold the structs of
 * veto_hw.h as beats. */
void veto_score_logits(
	const struct veto_beat *rows, const struct veto_beat *jobs, struct veto_beat *results, uint32_t count);

#endif
