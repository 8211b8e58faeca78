#!/usr/bin/env bash
# fuzz.sh BUILD: every fuzz target for FUZZ_SECONDS (60), from a few good inputs on.
set -euo pipefail
build=$1
seconds=${FUZZ_SECONDS:-60}
here=$(cd "$(dirname "$0")" && pwd)

mkdir -p "$build/corpus/npy" "$build/corpus/rule"
for file in "$here"/../golden/*.npy; do
	head -c 400 "$file" >"$build/corpus/npy/$(basename "$file")"
done
i=0
for rule in gate:keep=0.5,rungs=1+2 floor:threshold=-1.5e-3,window=4 consensus:weight=none \
	'{"policy":"gate","rungs":[1,2],"keep":0.3}' '{"policy":"floor","threshold":1}' window-floor:warmup=2,keep=0.9; do
	i=$((i + 1))
	printf '%s' "$rule" >"$build/corpus/rule/seed$i"
done
for target in npy rule; do
	echo "fuzz: $target for $seconds s"
	"$build/bin/fuzz_$target" -max_total_time="$seconds" -timeout=5 -max_len=4096 -print_final_stats=1 -verbosity=0 \
		-artifact_prefix="$build/crash-$target-" "$build/corpus/$target" 2>&1 | grep -E 'ERROR|SUMMARY|executed_units|new_units' ||
		true
	[ "${PIPESTATUS[0]}" = 0 ] || { echo "fuzz: $target failed; see $build/crash-$target-*"; exit 1; }
done
echo "fuzz: nothing found"
