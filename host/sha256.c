/* SPDX-License-Identifier: Apache-2.0 */
/* SHA-256, by OpenSSL. */
#include "sha256.h"

#include <openssl/evp.h>
#include <stdio.h>

/* Is EVP_MD_CTX. */
struct sha256;

struct sha256 *sha256_new(void)
{
	EVP_MD_CTX *context = EVP_MD_CTX_new();

	if (context && EVP_DigestInit_ex(context, EVP_sha256(), NULL) == 1)
		return (struct sha256 *)context;
	EVP_MD_CTX_free(context);
	return NULL;
}

void sha256_add(struct sha256 *s, const void *data, size_t bytes) { EVP_DigestUpdate((EVP_MD_CTX *)s, data, bytes); }

void sha256_end(struct sha256 *s, char hex[SHA256_HEX])
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned bytes = 0;

	EVP_DigestFinal_ex((EVP_MD_CTX *)s, digest, &bytes);
	EVP_MD_CTX_free((EVP_MD_CTX *)s);
	for (unsigned i = 0; i < bytes; i++)
		snprintf(hex + (size_t)2 * i, 3, "%02x", digest[i]);
}
