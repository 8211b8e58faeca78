/* SPDX-License-Identifier: Apache-2.0 */
/* The RTL twin as the kernel of a test bench. */
#include "rtl_kernel.h"
#include "check.h"
#include "score_logits.h"

static struct rtl *rtl; /* one for all launches: none leaves anything for the next */
static const struct rtl_pace *fixed_pace;

void rtl_kernel_pace(const struct rtl_pace *pace) { fixed_pace = pace; }

uint64_t rtl_kernel_cycles(void) { return rtl_cycles(rtl); }

void veto_score_logits(
	const struct veto_beat *rows, const struct veto_beat *jobs, struct veto_beat *results, uint32_t count)
{
	static const struct rtl_pace paces[] = {
		{.latency_cycles = 0}, {.latency_cycles = 3, .gaps = 20}, {.latency_cycles = 100, .gaps = 70}};
	static uint64_t launches;
	struct rtl_pace pace = fixed_pace ? *fixed_pace : paces[launches % 3];
	const char *broken;

	if (!rtl)
		rtl = rtl_new(RTL_VETO_SCORE_LOGITS, NULL);
	assert_non_null(rtl);
	pace.seed = launches++;
	rtl_set_pace(rtl, &pace);
	broken = rtl_launch(rtl, (uint64_t[]){(uintptr_t)rows, (uintptr_t)jobs, (uintptr_t)results}, count);
	if (broken)
		fail_msg("launch %d: %s", (int)launches, broken);
}
