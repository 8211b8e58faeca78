/* SPDX-License-Identifier: Apache-2.0 */
/* A kernel that asks for bursts: one inside its buffer of rows, then one that ends behind it.  For tests of the model. */
#include "emulated.h"
#include "veto_kernels.h"

#include <string.h>

#define ROWS_BYTES (16u << 20) /* of the buffer, as the driver makes it */

static const char *call(const unsigned char *registers, void *(*at)(uint64_t address, uint64_t bytes))
{
	uint64_t rows;

	memcpy(&rows, registers + VETO_SCORE_LOGITS_ROWS_REGISTER, sizeof(rows));
	at(rows + ROWS_BYTES - 64, 64);
	at(rows + ROWS_BYTES - 64, 128);
	return NULL;
}

const struct emulated_kernel veto_emulated_kernels[] = {{"veto_score_logits_1", VETO_SCORE_LOGITS_BASE, call}, {0}};
