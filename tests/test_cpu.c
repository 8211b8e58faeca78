/* SPDX-License-Identifier: Apache-2.0 */
/* What cpu: takes where it is not told. */
#include "check.h"
#include "cpu.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void opens_as(const char *uri, const char *want)
{
	struct veto_device *dev;

	assert_int_equal(veto_device_open(uri, &dev, NULL), 0);
	assert_string_equal(veto_device_info(dev)->uri, want);
	veto_device_close(dev);
}

static void the_best_instruction_set_and_every_processor_are_taken(void **state)
{
	const char *best = "portable";
	char want[64];

	(void)state;
#ifdef __x86_64__
	if (cpu_avx2.is_supported())
		best = "avx2";
	if (cpu_avx512.is_supported())
		best = "avx512";
#endif
	snprintf(want, sizeof(want), "cpu:isa=%s,threads=%ld", best, sysconf(_SC_NPROCESSORS_ONLN));
	opens_as("cpu:", want);
	opens_as("cpu:threads=0", want);
	snprintf(want, sizeof(want), "cpu:isa=%s,threads=3", best);
	opens_as("cpu:isa=best,threads=3", want);
	opens_as("cpu:threads=1,isa=portable", "cpu:isa=portable,threads=1");
}

/* With processors that lack an instruction set its device can't be opened, and is listed with the reason. */
static void what_the_processor_lacks_can_not_be_opened(void **state)
{
	(void)state;
	for (size_t i = 0; cpu_isas[i]; i++) {
		struct veto_device *dev = NULL;
		char uri[64], why[VETO_WHY_MAX] = "";
		int err;

		snprintf(uri, sizeof(uri), "cpu:isa=%s", cpu_isas[i]->name);
		err = veto_device_open(uri, &dev, why);
		assert_int_equal(err == 0, cpu_isas[i]->is_supported());
		if (err)
			assert_non_null(strstr(why, "this processor or build has no isa="));
		veto_device_close(dev);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_best_instruction_set_and_every_processor_are_taken),
		cmocka_unit_test(what_the_processor_lacks_can_not_be_opened),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
