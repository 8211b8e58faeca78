/* SPDX-License-Identifier: Apache-2.0 */
/* Who a model is: read from its GGUF file (github.com/ggml-org/ggml, docs/gguf.md). */
#ifndef VETO_BACKBONE_H
#define VETO_BACKBONE_H

#include "sha256.h"

#include <stdint.h>

/* Who makes a model's hidden states. */
struct backbone {
	char fingerprint[SHA256_HEX]; /* the same for every quantisation of a model: see backbone_read() */
	char quantisation[16]; /* "Q8_0", or the number of general.file_type */
	char architecture[64];
	uint32_t embedding_length, blocks, tokens;
};

/* Fingerprint and quantisation, which say whose scores are the same. */
#define BACKBONE_NAME (SHA256_HEX + 16)
void backbone_name(const struct backbone *b, char name[BACKBONE_NAME]);

/* Read a model's identity: the SHA-256 of, as little-endian u64, and texts behind their lengths: the architecture, embedding
 * length, number of blocks, number of tokens, the bytes of tokenizer.ggml.tokens as they stand in the file (each token a
 * text), and for each *_norm.weight, in the order of the names' bytes, its name and its weights as fp32.  name is for
 * messages.
 *   -EINVAL  no GGUF of versions 2 or 3, one file of a split model, cut short, a number that leads outside, or one of these is
 *            missing; see `why`
 *   -ENOMEM */
int backbone_parse(const void *file, uint64_t bytes, const char *name, struct backbone *out, char *why);
/* The same of a file.  -errno of opening it. */
int backbone_read(const char *path, struct backbone *out, char *why);

#endif
