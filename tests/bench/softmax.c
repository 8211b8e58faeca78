/* SPDX-License-Identifier: Apache-2.0 */
/* The plain way to a row's log-sum-exp, sum of p times l, mean and best logit: no masks, no NaNs, no top-k. */
#include <math.h>
#include <stdint.h>

/* Compiled once with each set of flags, under another name: -DSOFTMAX=softmax_o3. */
void SOFTMAX(const float *l, uint32_t cols, float out[4]);

void SOFTMAX(const float *l, uint32_t cols, float out[4])
{
	float best = l[0], sum = 0, weighted = 0, plain = 0;

	for (uint32_t i = 1; i < cols; i++)
		best = l[i] > best ? l[i] : best;
	for (uint32_t i = 0; i < cols; i++) {
		float e = expf(l[i] - best);

		sum += e;
		weighted += e * l[i];
		plain += l[i];
	}
	out[0] = best + logf(sum);
	out[1] = weighted / sum;
	out[2] = plain / (float)cols;
	out[3] = best;
}
