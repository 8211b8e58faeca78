/* SPDX-License-Identifier: Apache-2.0 */
/* What a policy file was calibrated for, and whether it is used so. */
#ifndef VETO_CALIBRATED_H
#define VETO_CALIBRATED_H

#include "cli.h"
#include "json.h"

enum usage_text {
	USAGE_MODEL,
	USAGE_FINGERPRINT,
	USAGE_SAMPLER,
	USAGE_TEMPLATE,
	USAGE_SOURCE,
	USAGE_STEP,
	USAGE_ANSWER,
	USAGE_HEAD,
	USAGE_SELECT,
	USAGE_TEXTS
};
extern const char *const usage_names[USAGE_TEXTS];

/* How rules are used.  A text that is NULL is not known, and so not compared; the model counts where fingerprints are not
 * known. */
struct usage {
	uint32_t candidates, cohort, max_tokens;
	const char *text[USAGE_TEXTS];
	const struct veto_rule *rule; /* all that are in force together */
	uint32_t rules;
};

/* That the file which `text` names, if it names one, was calibrated for this, as it is; own: the rule in it.  EXIT_MISUSED,
 * having said what is not so. */
int calibrated_check(const char *command, const char *text, const struct usage *usage, uint32_t own);

enum calibrated_state {
	CALIBRATED_NOT,
	CALIBRATED_INTACT,
	CALIBRATED_CHANGED /* since it was written: it promises nothing */
};
/* Errors as json_object(). */
int calibrated_find_state(const struct json_source *source, enum calibrated_state *out, char *why);

/* How it was calibrated. */
struct calibrated {
	const char *risk, *pvalue;
	double alpha, delta;
	int64_t lists;
	uint32_t units;
	uint64_t seed;
};

/* Write usage->rule[own] with what it was calibrated for.  EXIT_FAILED, having said why. */
int calibrated_write(
	const char *command, const char *path, const struct usage *usage, uint32_t own, const struct calibrated *how);

#endif
