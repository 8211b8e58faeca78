#!/usr/bin/env bash
# fuzz.sh BUILD: every fuzz target for FUZZ_SECONDS (60), from a few good inputs on.
set -euo pipefail
build=$1
seconds=${FUZZ_SECONDS:-60}
here=$(cd "$(dirname "$0")" && pwd)

mkdir -p "$build/corpus/npy" "$build/corpus/rule" "$build/corpus/xclbin"
head -c 1000 /dev/zero >"$build/corpus/xclbin/zeros"
for file in "$here"/../golden/*.npy; do
	head -c 400 "$file" >"$build/corpus/npy/$(basename "$file")"
done
i=0
for rule in gate:keep=0.5,rungs=1+2 floor:threshold=-1.5e-3,window=4 consensus:weight=none \
	'{"policy":"gate","rungs":[1,2],"keep":0.3}' '{"policy":"floor","threshold":1}' window-floor:warmup=2,keep=0.9; do
	i=$((i + 1))
	printf '%s' "$rule" >"$build/corpus/rule/seed$i"
done
for target in npy rule xclbin; do
	echo "fuzz: $target for $seconds s"
	if ! "$build/bin/fuzz_$target" -max_total_time="$seconds" -timeout=5 -max_len=4096 -print_final_stats=1 -verbosity=0 \
		-artifact_prefix="$build/crash-$target-" "$build/corpus/$target" >"$build/fuzz-$target.log" 2>&1; then
		grep -E 'error|ERROR|SUMMARY' "$build/fuzz-$target.log" || tail -n 5 "$build/fuzz-$target.log"
		echo "fuzz: $target failed; see $build/fuzz-$target.log and $build/crash-$target-*"
		exit 1
	fi
	grep -E 'executed_units|new_units' "$build/fuzz-$target.log"
done
echo "fuzz: nothing found"
