#!/usr/bin/env bash
# Journals of a real model: recorded, judged again, cut short, damaged.
# shellcheck source=tests/system/lib.sh
. "$SOURCE/tests/system/lib.sh"

model=${MODEL:-$("$SOURCE/host/setup.sh" model)} || exit 1
run() { "$VETO" run -m "$model" --seed 3 --max-tokens 24 "$@"; }
question="What is the capital of France?"

# Every sort of rule, on one candidate after the other or all at once.
for policy in "gate:rungs=3,keep=0.5" "floor:window=4,threshold=12,shadow=1" "window-floor:window=4,warmup=2,keep=0.5" \
	"speculative:budget=30" "self-truncation:tau=0.5" "self-evaluate:at=3+6,below=0.6" "detect:words=is|the,think=4" "consensus:min_answers=2,weight=none" "esc:window=2"; do
	for cohort in 2 5; do
		expect "1: " run -p "$question" -n 5 --cohort "$cohort" --answer last-line --policy "$policy" --journal "$work/j"
		expect "0 different" "$VETO" replay "$work/j"
	done
done
expect "1: " run -p "$question" -n 4 --select borda --policy gate:rungs=3,keep=0.5 --policy floor:window=6,threshold=9 --journal "$work/two"
expect '"different":0,"unfinished":0,"torn_bytes":0,"complete":true' "$VETO" replay --json "$work/two"
grep -qE '"verdicts":[1-9]' "$work/stdout" || complain "nothing was rejected: $(cat "$work/stdout")"

# Hidden states and the likeliest tokens, which are what the scores say.
cat >"$work/prompts" <<'JSON'
{"id": "fr", "prompt": "What is the capital of France?", "answer": "Paris"}
{"id": "sum", "prompt": "Compute 2 + 3, then add 4, a step a line.", "answer": 9}
JSON
expect "2 prompts" run --prompts "$work/prompts" -n 3 --max-tokens 40 --record hidden,top --journal "$work/full" --rows "$work/rows.npy"
expect "2 prompts, " "$VETO" replay "$work/full"
[ "$(stat -c %s "$work/full")" -gt $((3 * $(stat -c %s "$work/j"))) ] || complain "states and log-probabilities take no room"

# What a server would list of these rows bounds their scores.
expect "OK ] the_truth_lies_inside_for_recorded_rows" "$BUILD/bin/test_interval" "$work/rows.npy"

expect "prompts     2, in " "$VETO" inspect "$work/full"
expect '"torn_bytes":0,"complete":true}' "$VETO" inspect --json "$work/full"
python3 -c 'import json, sys; d = json.load(sys.stdin); sys.exit(d["header"]["top"] != 20 or d["header"]["vocab"] != 49152)' <"$work/stdout" ||
	complain "the header is another one: $(cat "$work/stdout")"

# Killed in the middle: what was written before is whole.
run --prompts "$work/prompts" -n 3 --max-tokens 200 --journal "$work/killed" >"$work/stdout" 2>&1 &
pid=$!
while kill -0 "$pid" 2>/dev/null && [ "$(stat -c %s "$work/killed" 2>/dev/null || echo 0)" -lt 4000 ]; do sleep 0.05; done
pkill -9 -P "$pid" 2>/dev/null
kill -9 "$pid" 2>/dev/null
wait "$pid" 2>/dev/null
expect "the recording was cut short" "$VETO" replay "$work/killed"

# Torn and flipped.
size=$(stat -c %s "$work/two")
for at in 12 100 $((size / 2)) $((size - 1)); do
	head -c "$at" "$work/two" >"$work/torn"
	if [ "$at" -lt 200 ]; then
		refuse 1 "the journal ends before its header does" "$VETO" replay "$work/torn"
	else
		expect "the recording was cut short" "$VETO" replay "$work/torn"
	fi
	python3 - "$work/two" "$at" >"$work/flipped" <<'PY'
import sys
data = bytearray(open(sys.argv[1], "rb").read())
data[int(sys.argv[2])] ^= 16
sys.stdout.buffer.write(data)
PY
	refuse 1 "is damaged" "$VETO" replay "$work/flipped"
done

# Bad input.
refuse 2 "a JOURNAL is needed" "$VETO" replay
refuse 2 "unexpected argument 'b'" "$VETO" replay a b
refuse 2 "can't read '$work/none'" "$VETO" replay "$work/none"
refuse 2 "'$work/prompts' is no journal" "$VETO" replay "$work/prompts"
refuse 2 "--record 'text': expected hidden, top, or hidden,top" run -p x --journal "$work/j" --record text
refuse 2 "it needs --journal FILE" run -p x --record top
refuse 2 "--journal is given twice" run -p x --journal "$work/j" --journal "$work/k"
refuse 2 "can't write '/nowhere/j'" run -p x --journal /nowhere/j
finish
