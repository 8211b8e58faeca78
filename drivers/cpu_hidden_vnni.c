/* SPDX-License-Identifier: Apache-2.0 */
/* Products of hidden states with AVX-512 VNNI. */
#define VETO_VNNI
#include "cpu_hidden_avx512.c"
