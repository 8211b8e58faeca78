/* SPDX-License-Identifier: Apache-2.0 */
/* Whatever a rule's text or JSON holds: what is read is printed, and read back the same; sessions take or refuse it. */
#include "veto.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct veto_rule *rule)
{
	char text[2048], why[VETO_WHY_MAX];
	struct veto_session *s;
	struct veto_rule back;

	if (veto_rule_print(rule, text, sizeof(text)) >= 500)
		return; /* longer than a text may be */
	if (veto_rule_parse(text, &back, why) || back.policy != rule->policy ||
		memcmp(&back.values, &rule->values, sizeof(back.values)) != 0)
		abort();
	if (veto_session_new(rule, 1, 8, 0, 16, &s, why) == 0)
		veto_session_free(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);
	char why[VETO_WHY_MAX];
	struct veto_rule rule;

	if (!text)
		return 0;
	memcpy(text, data, size);
	text[size] = 0;
	if (veto_rule_parse(text, &rule, why) == 0)
		check(&rule);
	if (veto_rule_parse_json((const char *)data, size, "fuzz.json", &rule, why) == 0)
		check(&rule);
	free(text);
	return 0;
}
