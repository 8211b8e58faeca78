/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel that scores hidden states. */
#ifndef VETO_SCORE_HIDDEN_H
#define VETO_SCORE_HIDDEN_H

#include "veto_hw.h"

/* Ports of weights: 1, 2, 4, 8 or 16. */
#ifndef VETO_WEIGHT_PORTS
#define VETO_WEIGHT_PORTS 1
#endif

/* what(0) what(1) ...: once for each port. */
#define VETO_EACH_WEIGHT_PORT(what) VETO_PORTS(VETO_WEIGHT_PORTS, what)
#define VETO_PORTS(ports, what) VETO_PORTS_OF(ports, what)
#define VETO_PORTS_OF(ports, what) VETO_PORTS_##ports(what)
#define VETO_PORTS_1(what) what(0)
#define VETO_PORTS_2(what) VETO_PORTS_1(what) what(1)
#define VETO_PORTS_4(what) VETO_PORTS_2(what) what(2) what(3)
#define VETO_PORTS_8(what) VETO_PORTS_4(what) what(4) what(5) what(6) what(7)
#define VETO_PORTS_16(what) VETO_PORTS_8(what) what(8) what(9) what(10) what(11) what(12) what(13) what(14) what(15)

#define VETO_WEIGHT_PARAMETER(port) const struct veto_beat *weights_##port,
#define VETO_WEIGHT_PARAMETERS VETO_EACH_WEIGHT_PORT(VETO_WEIGHT_PARAMETER)

/* Score count jobs (0..VETO_LAUNCH_ROWS_MAX).  The struct veto_hidden_result of all their states, 5 beats each, go to
 * results one behind the other, and a struct veto_trailer follows.  jobs, meta and results hold the structs of veto_hw.h
 * as beats. */
void veto_score_hidden(const struct veto_beat *states, const struct veto_beat *jobs, struct veto_beat *results,
	const struct veto_beat *meta, VETO_WEIGHT_PARAMETERS uint32_t count);

#endif
