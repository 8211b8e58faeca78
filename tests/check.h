/* SPDX-License-Identifier: Apache-2.0 */
/* cmocka, with what it needs before it. */
#ifndef VETO_TESTS_CHECK_H
#define VETO_TESTS_CHECK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#endif
