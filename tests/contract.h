/* SPDX-License-Identifier: Apache-2.0 */
/* The contract of devices, in three parts. */
#ifndef VETO_TESTS_CONTRACT_H
#define VETO_TESTS_CONTRACT_H

#include "veto.h"

extern const char *contract_uri; /* of the device under test */
extern uint64_t contract_random_rows; /* to be compared at least */

struct veto_device *contract_open(void);

/* Their answers, on so many logits; returns how many tests failed. */
int contract_test_rows(uint64_t logits);

/* Heads, on so many products of weights. */
int contract_test_hidden(uint64_t products);

#endif
