/* SPDX-License-Identifier: Apache-2.0 */
/* SHA-256, by OpenSSL. */
#ifndef VETO_SHA256_H
#define VETO_SHA256_H

#include <stddef.h>

#define SHA256_HEX 65 /* of a digest, its 0 among them */

struct sha256;

struct sha256 *sha256_new(void); /* NULL: out of memory */
void sha256_add(struct sha256 *s, const void *data, size_t bytes);
/* Write the digest, and free s. */
void sha256_end(struct sha256 *s, char hex[SHA256_HEX]);

#endif
