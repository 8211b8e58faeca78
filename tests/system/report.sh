#!/usr/bin/env bash
# veto evaluate --report: what stands in its tables, against a script that works it out anew; and what can't be written.
# shellcheck source=tests/system/lib.sh
. "$SOURCE/tests/system/lib.sh"

# Final scores of a question's candidates lie apart, so that the bound says something.
trace=$work/trace.jsonl
python3 - "$SOURCE/tests/traces/chain-sums.jsonl" "$trace" <<'PY'
import json, sys
head, *lines = [json.loads(line) for line in open(sys.argv[1])]
for line in lines:
    line["margin"] = [x + line["candidate"] * 5 % 8 for x in line["margin"]]
open(sys.argv[2], "w").write("".join(json.dumps(x) + "\n" for x in [head, *lines]))
PY
evaluate() { "$VETO" evaluate "$@" "$trace"; }
policies=()
for policy in gate:score=margin,rungs=16+40,keep=0.5 floor:score=entropy,rungs=24+56,threshold=-0.11+-0.1 \
	"consensus + gate:rungs=72,keep=0.25" gate:score=token_logp,rungs=8+24,keep=0.5 window-floor:warmup=2,window=8; do
	policies+=(--policy "$policy")
done
split=$work/split.json
echo '{"chain-0-4": "test", "chain-1-5": "fit", "chain-2-4": "fit", "chain-3-4": "test", "chain-4-3": "fit", "chain-5-4": "fit", "chain-6-3": "test"}' >"$split"
numbers() {
	cases=$((cases + 1))
	evaluate --report "$work/report.html" --json "$@" >"$work/lines" || complain "evaluate $* failed"
	python3 "$SOURCE/tests/system/report.py" "$trace" "$split" "$work/report.html" <"$work/lines" >"$work/log" 2>&1 || complain "$*: $(cat "$work/log")"
}
numbers "${policies[@]}" --split "$split" --part test
numbers "${policies[@]}" --split "$split" --part fit --select weighted --select majority
cp "$work/report.html" "$work/first.html"
numbers "${policies[@]}" --split "$split" --part fit --select weighted --select majority
cmp -s "$work/report.html" "$work/first.html" || complain "the same command gives another report"
"$VETO" evaluate "${policies[@]}" "$trace" >"$work/plain"
evaluate "${policies[@]}" --report "$work/report.html" >"$work/again"
cmp -s "$work/plain" "$work/again" || complain "--report changes what is printed"
grep -q "there is no fit part without --split" "$work/report.html" || complain "nothing says why there is no reliability"
grep -q 'id="reliability"' "$work/report.html" && complain "a diagram without a fit part"
evaluate --report "$work/report.html" >/dev/null # without any policy
grep -q 'id="pareto"' "$work/report.html" || complain "no plot without policies"
grep -q "not stated" "$work/report.html" && complain "the recording says all"
grep -qF '<dt>Sampler</dt><dd>{&quot;temperature&quot;:0.7,&quot;min_p&quot;:0.05}</dd>' "$work/report.html" || complain "the sampler is not there"
grep -qF 'File</dt><dd>'"$trace"'</dd>' "$work/report.html" || complain "the file is not there"
sed '1s/"model": "[^"]*", //' "$trace" >"$work/silent.jsonl"
"$VETO" evaluate --report "$work/report.html" "$work/silent.jsonl" >/dev/null
grep -qF '<dt>Model</dt><dd>not stated</dd>' "$work/report.html" || complain "a model that nobody stated"

# What can't be written is said before anything is played, and leaves nothing.
mkdir "$work/folder" "$work/empty"
mkfifo "$work/fifo"
refuse 1 "can't write '/nowhere/r.html'" evaluate --report /nowhere/r.html
refuse 1 "can't write '$work/folder': it is no regular file" evaluate --report "$work/folder"
refuse 1 "can't write '$work/fifo': it is no regular file" evaluate --report "$work/fifo"
cp "$trace" "$work/copy.jsonl"
refuse 2 "--report $trace is a file that is read" evaluate --report "$trace"
refuse 2 "unknown policy 'gates'" evaluate --report "$work/empty/report.html" --policy gates
refuse 2 "option '--report' needs a value" "$VETO" evaluate --report
cmp -s "$trace" "$work/copy.jsonl" || complain "the trace was written"
refuse 1 "can't write '$work/empty/report.html'" bash -c "trap '' XFSZ; ulimit -f 8; '$VETO' evaluate --report '$work/empty/report.html' '$trace'"
[ -z "$(ls "$work/empty")" ] || complain "left: $(ls "$work/empty")"
evaluate --report "$work/empty/report.html" >/dev/null
[ "$(ls "$work/empty")" = report.html ] || complain "left: $(ls "$work/empty")"
finish
