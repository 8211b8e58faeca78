/* SPDX-License-Identifier: Apache-2.0 */
/* Which of a list of settings has a risk of at most alpha, with a chance of at least 1 - delta to be right: Learn then Test
 * (Angelopoulos and others, arXiv 2110.01052), its fixed sequence. */
#ifndef VETO_CALIBRATION_H
#define VETO_CALIBRATION_H

#include <stdbool.h>
#include <stdint.h>

/* P-values of "the mean loss is above alpha", of losses in 0..1 that are exchangeable. */
enum calibration_test {
	CALIBRATION_WSR, /* Waudby-Smith and Ramdas, arXiv 2010.09686: a betting martingale, in the order of the losses */
	CALIBRATION_HB, /* Hoeffding and Bentkus, as in arXiv 2110.01052 */
	CALIBRATION_TESTS
};
extern const char *const calibration_tests[CALIBRATION_TESTS]; /* names */

struct calibration {
	enum calibration_test test;
	double alpha, delta; /* in (0, 1) */
};

double calibration_p(const struct calibration *c, const double *loss, uint32_t units);

/* The units that are needed to certify anything: at no loss at all p is at most delta from so many on. */
uint32_t calibration_needed(const struct calibration *c);

/* Walk the settings, loss[setting * units + unit], and stop at the first whose p is above delta.  Returns how many passed: the
 * last of them is the one to use.  p[settings]: what was found, of *tested settings. */
uint32_t calibration_choose(const struct calibration *c, const double *loss, uint32_t settings, uint32_t units,
	double *p, uint32_t *tested);

#endif
