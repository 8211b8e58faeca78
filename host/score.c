/* SPDX-License-Identifier: Apache-2.0 */
/* Names and units of scores and formats. */
#include "veto.h"

#include <errno.h>
#include <math.h>
#include <string.h>

const struct veto_field_info veto_fields[VETO_FIELDS] = {
	[VETO_SELF_CERTAINTY] = {"self_certainty", "q20", 1, false},
	[VETO_ENTROPY] = {"entropy", "q20", -1, true},
	[VETO_LSE] = {"lse", "q20", 1, true},
	[VETO_MEAN] = {"mean", "q20", 1, true},
	[VETO_TOP1_LOGP] = {"top1_logp", "q20", 1, true},
	[VETO_MARGIN] = {"margin", "q20", 1, false},
	[VETO_TOPK_CONFIDENCE] = {"topk_confidence", "q20", 1, false},
	[VETO_TOKEN_LOGP] = {"token_logp", "q20", 1, true},
	[VETO_SUBSET_FIRST] = {"subset_first", "q31", 1, false},
	[VETO_SUBSET_MASS] = {"subset_mass", "q31", 1, false},
	[VETO_REWARD] = {"reward", "q31", 1, true},
	[VETO_SC_LOWER] = {"sc_lower", "q20", 1, true},
};

const char *const veto_format_names[VETO_FORMATS] = {"fp32", "fp16", "bf16"};

const char *const veto_head_sort_names[VETO_HEAD_SORTS] = {"one-layer", "two-layer", "table"};

const char *veto_version(void) { return VETO_VERSION; }

int veto_field_find(const char *name)
{
	for (int i = 0; i < VETO_FIELDS; i++)
		if (strcmp(veto_fields[i].name, name) == 0)
			return i;
	return -ENOENT;
}

int64_t veto_logp_q20(double nats)
{
	if (!(nats >= -1024 && nats <= 0.001))
		return VETO_NO_LOGP;
	return llrint(fmin(nats, 0) * 0x1p20);
}

size_t veto_format_bytes(enum veto_format format) { return format == VETO_FP32 ? 4 : 2; }
