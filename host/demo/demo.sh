#!/usr/bin/env bash
# demo.sh VETO: short factual questions, eight candidates each, with rejecting and without, from the same seeds.
# MODEL names another GGUF file, DEVICE another device, SEED other random numbers.
set -euo pipefail
veto=$1
here=$(cd "$(dirname "$0")" && pwd)
model=${MODEL:-$("$here/../setup.sh" model)}
policy=gate:rungs=8,keep=0.5

echo "demo: $(wc -l <"$here/questions.jsonl") questions, 8 candidates each, model $(basename "$model")"
echo "demo: after 8 tokens the half of the candidates with the higher mean self-certainty goes on ($policy);"
echo "demo: the rest leave the batch; then the same again without rejecting; the most frequent answer counts"
start=$SECONDS
"$veto" run -m "$model" --prompts "$here/questions.jsonl" -n 8 --max-tokens 64 --seed "${SEED:-1}" \
	--answer 'regex:is ([A-Z][A-Za-z ]*)' --policy "$policy" -d "${DEVICE:-cpu:threads=1}" --compare
echo "demo: done, $((SECONDS - start)) s of generation"
