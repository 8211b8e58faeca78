/* SPDX-License-Identifier: Apache-2.0 */
/* quantize IN.gguf OUT.gguf: the model again, its weights as Q8_0. */
#include <llama.h>

#include <stdio.h>

int main(int argc, char **argv)
{
	struct llama_model_quantize_params params = llama_model_quantize_default_params();

	if (argc != 3) {
		fprintf(stderr, "usage: quantize IN.gguf OUT.gguf\n");
		return 2;
	}
	params.ftype = LLAMA_FTYPE_MOSTLY_Q8_0;
	params.allow_requantize = true;
	return llama_model_quantize(argv[1], argv[2], &params) ? 1 : 0;
}
