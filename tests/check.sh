#!/usr/bin/env bash
# check.sh BUILD: run every test of a build and end with a plain summary.
set -uo pipefail
build=$1
log=$build/check.log
ctest --test-dir "$build" --output-on-failure -j "$(nproc)" | tee "$log"
status=${PIPESTATUS[0]}
total=$(grep -cE '^ *[0-9]+/[0-9]+ Test ' "$log")
skipped=$(grep -cE '^ *[0-9]+/[0-9]+ Test .*\*\*\*Skipped' "$log")
passed=$(grep -cE '^ *[0-9]+/[0-9]+ Test .* Passed ' "$log")
echo
if [ "$skipped" -gt 0 ]; then
	echo "skipped:"
	grep -E '^ *[0-9]+/[0-9]+ Test .*\*\*\*Skipped' "$log"
fi
if [ "$total" -eq 0 ]; then
	echo "no test ran"
	status=1
fi
echo "check: $passed passed, $((total - passed - skipped)) failed, $skipped skipped"
exit "$status"
