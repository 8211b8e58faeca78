#!/usr/bin/env bash
# veto score prints the specified fields of every golden row, on every device of DEVICES that opens here.
# shellcheck source=tests/system/lib.sh
. "$SOURCE/tests/system/lib.sh"

for script in golden golden_hidden golden_statistics; do
	python3 -B "$SOURCE/tests/$script.py" --check || complain "the golden files are not those that $script.py makes"
done
cd "$SOURCE/tests/golden" || exit 1
for device in $DEVICES; do
	if ! "$VETO" score -d "$device" top-2-fp32.npy >"$work/out" 2>&1; then
		grep -q "this processor or build has no" "$work/out" || complain "$device: $(cat "$work/out")"
		continue
	fi
	for file in *.npy; do
		cases=$((cases + 1))
		# shellcheck disable=SC2046 # The options are words.
		"$VETO" score --json -d "$device" $(cat "${file%.npy}.args") "$file" >"$work/scores" ||
			complain "$device, $file: exit code $?"
		diff "$work/scores" "${file%.npy}.scores" >"$work/diff" || complain "$device, $file: $(head -n 4 "$work/diff")"
	done
done
finish
