#!/usr/bin/env bash
# Traces and journals of the same candidates: converted both ways, played alike, several at once, exported for trainers.
# shellcheck source=tests/system/lib.sh
. "$SOURCE/tests/system/lib.sh"

script=$SOURCE/tests/system/recording.py
works() {
	cases=$((cases + 1))
	"$@" >"$work/stdout" 2>"$work/stderr" </dev/null || complain "$*: $(head -n 3 "$work/stderr")"
}
check() {
	cases=$((cases + 1))
	python3 "$script" "$@" >"$work/log" 2>&1 || complain "$*: $(tail -n 5 "$work/log")"
}
# The sample, with a vocabulary, states, likeliest tokens, a cohort, labels that lack, and scores that are intervals.
check make "$SOURCE/tests/traces/chain-sums.jsonl" "$work/a.jsonl"
works "$VETO" import -o "$work/a.journal" "$work/a.jsonl"
expect "0 verdicts and 8 choices, 0 different" "$VETO" replay "$work/a.journal"
works "$VETO" export -o "$work/b.jsonl" "$work/a.journal"
check same "$work/a.jsonl" "$work/b.jsonl"
cmp "$work/b.jsonl.hidden.npy" "$work/hidden.npy" || complain "the states are others"
cmp "$work/b.jsonl.top.npy" "$work/top.npy" || complain "the likeliest tokens are others"
# Once written by veto, both ways give the same bytes.
works "$VETO" import -o "$work/b.journal" "$work/b.jsonl"
cmp "$work/a.journal" "$work/b.journal" || complain "a journal of a trace of a journal is another one"
expect '{"trace":1,' "$VETO" export "$work/b.journal"
grep -q "states and likeliest tokens are left out" "$work/stderr" || complain "no word of arrays that were left out"

# They are played alike, whole or in pieces.
policies=(--policy "gate:rungs=24,keep=0.5" --policy "floor:score=token_logp,threshold=-0.3" --policy self-truncation:keep=4 --select weighted)
"$VETO" evaluate --json "${policies[@]}" "$work/a.jsonl" >"$work/of-trace" || complain "evaluate failed"
"$VETO" evaluate --json "${policies[@]}" "$work/a.journal" >"$work/of-journal" || complain "evaluate failed"
grep -q '"policy":"self-truncation.*"saved":0.000000' "$work/of-trace" && complain "self-truncation saves nothing: are ids of tokens read?"
cmp "$work/of-trace" "$work/of-journal" || complain "the journal is played otherwise"
check split "$work/a.jsonl" "$work/first.jsonl" "$work/second.jsonl"
works "$VETO" import -o "$work/second.journal" "$work/second.jsonl"
"$VETO" evaluate --json "${policies[@]}" "$work/first.jsonl" "$work/second.journal" >"$work/of-both" || complain "evaluate failed"
cmp "$work/of-trace" "$work/of-both" || complain "two recordings are played otherwise than one"
refuse 2 "question 'chain-0-4' stands in another recording, too" "$VETO" evaluate "$work/a.jsonl" "$work/first.jsonl"
for change in model=other sampler=other template=other step=other answer=other source=top-k:5 candidates=7 max_tokens=170 vocab=99; do
	check change "$work/second.jsonl" "$work/changed.jsonl" "$change"
	refuse 2 "they are not of one recording" "$VETO" evaluate "$work/first.jsonl" "$work/changed.jsonl"
done

# As a server would list the tokens.
"$VETO" evaluate --as top-k:5 --json --policy floor:score=topk_confidence,window=4,threshold=9 --policy floor:score=entropy,window=4,threshold=-0.5 \
	--policy floor:score=sc_lower,window=4,threshold=7 --policy floor:score=self_certainty,window=4,threshold=100 \
	--policy floor:score=token_logp,window=4,threshold=-0.5 "$work/a.jsonl" >"$work/as" || complain "--as failed"
check as "$work/a.jsonl" 5 "$work/as"
vocab=$(sed -n '1s/.*"vocab": \([0-9]*\).*/\1/p' "$work/a.jsonl")
sed '1s/, "vocab": [0-9]*//' "$work/a.jsonl" >"$work/unstated.jsonl"
refuse 2 "score=entropy: the likeliest tokens tell no such score; entropy, self_certainty and sc_lower with --vocab N" \
	"$VETO" evaluate --as top-k:5 --policy floor:score=entropy,window=4,threshold=-0.5 "$work/unstated.jsonl"
for file in a unstated; do
	"$VETO" evaluate --as top-k:5 --vocab "$vocab" --json --policy floor:score=sc_lower,window=4,threshold=7 "$work/$file.jsonl" >"$work/$file.out" ||
		complain "--vocab failed: $file"
done
cmp "$work/a.out" "$work/unstated.out" || complain "--vocab is another vocabulary than the header's"
as=(calibrate --policy "floor:score=token_logp,window=4,threshold=?" --alpha 0.6 --delta 0.5 --split "0.3,0.7,0" -o "$work/as.json")
expect "no test part" "$VETO" "${as[@]}" --as top-k:5 "$work/a.jsonl"
refuse 2 "it was calibrated for the source top-k:5, and this is exact" "$VETO" evaluate --policy "$work/as.json" "$work/a.jsonl"
expect "saved" "$VETO" evaluate --as top-k:5 --policy "$work/as.json" "$work/a.jsonl"
refuse 2 "--as top-k:7: the recording lists the 6 likeliest tokens" "$VETO" "${as[@]}" --as top-k:7 "$work/a.jsonl"
if "$VETO" head train --help >/dev/null 2>&1; then
	works "$VETO" head train --features scores --split 1,0,0 -o "$work/own.head" "$work/a.jsonl"
	refuse 2 "--head $work/own.head, --as top-k:6: none of its rewards is known" "$VETO" evaluate --head "$work/own.head" --as top-k:6 "$work/a.jsonl"
	refuse 2 "--head $work/own.head, --as top-k:6: it counts on self_certainty, and the recording has no such score" \
		"$VETO" evaluate --head "$work/own.head" --as top-k:6 "$work/unstated.jsonl"
fi
refuse 2 "--vocab 99: the recording's model has $vocab tokens" "$VETO" evaluate --as top-k:5 --vocab 99 "$work/a.jsonl"
refuse 2 "--vocab 99: it is for --as" "$VETO" evaluate --vocab 99 "$work/a.jsonl"
sed '1s/"cohort": [0-9]*/"cohort": 2/' "$work/a.jsonl" >"$work/two.jsonl"
"$VETO" evaluate --json "${policies[@]}" "$work/two.jsonl" >"$work/of-two" || complain "evaluate failed"
"$VETO" evaluate --cohort 2 --json "${policies[@]}" "$work/a.jsonl" | cmp - "$work/of-two" || complain "--cohort is another cohort than the header's"
cmp -s "$work/of-trace" "$work/of-two" && complain "the cohort does not matter"
refuse 2 "--vocab 1x: expected" "$VETO" evaluate --vocab 1x "$work/a.jsonl"
expect "0.0 % saved" "$VETO" evaluate --as top-k:6 --policy floor:score=self_certainty,window=4,threshold=1000 "$work/a.jsonl"
refuse 2 "the recording has no such score of every candidate" "$VETO" evaluate --as top-k:4 --policy floor:score=topk_confidence,threshold=9 "$work/a.jsonl"
refuse 2 "no such score" "$VETO" evaluate --as top-k:6 --policy floor:score=lse,threshold=9 "$work/a.jsonl"
refuse 2 "--as top-k:7: the recording lists the 6 likeliest tokens" "$VETO" evaluate --as top-k:7 "$work/a.jsonl"
refuse 2 "--as top-k:1: the recording lists the 0 likeliest tokens; veto run --record top lists 20" "$VETO" evaluate --as top-k:1 "$SOURCE/tests/traces/chain-sums.jsonl"
for bad in exact top-k: top-k:0 top-k:x 5; do
	refuse 2 "--as '$bad': expected top-k:K" "$VETO" evaluate --as "$bad" "$work/a.jsonl"
done

# Arrays that are not what the trace says.
for bad in '"file":"gone.npy"|can'"'"'t read' '"file":"hidden.npy"|of type f2, and log-probabilities are of f4' '"row":4e9|is no whole number below' \
	'"row":-1|is no whole number below' '"file":7|"top" is no {' '"row":99999|is no whole number below'; do
	check bad-top "$work/a.jsonl" "$work/bad.jsonl" "{${bad%%|*}}"
	refuse 2 "${bad##*|}" "$VETO" evaluate "$work/bad.jsonl"
done

# Files elsewhere are not read, whoever wrote the trace; those in folders beside it are.
mkdir -p "$work/sub"
cp "$work/top.npy" "$work/sub/..top.npy"
for file in "$work/top.npy" sub/../top.npy "../${work##*/}/top.npy" sub/..; do
	for key in top hidden; do
		check bad-file "$work/a.jsonl" "$work/bad.jsonl" $key "$file"
		refuse 2 "$work/bad.jsonl:7: \"$key\": '$file' does not lie beside the trace" "$VETO" evaluate "$work/bad.jsonl"
	done
done
for file in sub/..top.npy ./top.npy sub//..top.npy; do
	check bad-file "$work/a.jsonl" "$work/elsewhere.jsonl" top "$file"
	expect "none, majority" "$VETO" evaluate --as top-k:6 "$work/elsewhere.jsonl"
done

# For trainers.
for format in preferences steps first-error best-of-n; do
	"$VETO" export --format $format "$work/a.journal" >"$work/lines" 2>"$work/log" || complain "export --format $format: $(cat "$work/log")"
	check lines "$work/a.jsonl" $format "$work/lines"
done
refuse 1 "nothing in the recording can be written as progress" bash -c "'$VETO' export --format progress '$work/a.journal' 2>&1 >/dev/null | tail -n 1 >&2; exit 1"
check reward "$work/a.jsonl" "$work/reward.jsonl"
"$VETO" export --format progress -o "$work/lines" "$work/reward.jsonl" 2>/dev/null || complain "export --format progress failed"
check lines "$work/reward.jsonl" progress "$work/lines"

# A journal that ends early, one in which something was rejected, one that is damaged.
head -c $(($(stat -c %s "$work/a.journal") * 2 / 3)) "$work/a.journal" >"$work/torn"
expect "none, majority" "$VETO" evaluate "$work/torn"
grep -q "1 questions are left out: the recording ended in them" "$work/stderr" || complain "no word of a recording that ends early"
{ head -c 5000 "$work/a.journal"; printf x; tail -c +5002 "$work/a.journal"; } >"$work/damaged"
refuse 2 "is damaged" "$VETO" evaluate "$work/damaged"
check change "$work/a.jsonl" "$work/ruled.jsonl" policy=gate:rungs=3
refuse 2 "it was recorded with the policy 'gate:rungs=3'" "$VETO" evaluate "$work/ruled.jsonl"
refuse 2 "it was recorded with the policy 'gate:rungs=3'" "$VETO" import -o "$work/x" "$work/ruled.jsonl"
expect '"policy":"gate:rungs=3"' "$VETO" export "$work/ruled.jsonl"
check change "$work/a.jsonl" "$work/shadow.jsonl" policy=gate:rungs=3,shadow=1
expect "none, majority" "$VETO" evaluate "$work/shadow.jsonl"

# A journal's labels fit its answers, too.
check relabel "$work/a.journal" "$work/contradiction" 0 5
refuse 2 "$work/contradiction: candidates 4 and 5 of 'chain-0-4' have the same answer, '54', and \"correct\" is true of 5 alone" "$VETO" evaluate "$work/contradiction"
check relabel "$work/a.journal" "$work/answerless" 1 2
refuse 2 "$work/answerless: candidate 2 of 'chain-1-5': \"correct\" is true, and there is no \"answer\"" "$VETO" evaluate "$work/answerless"
check relabel "$work/a.journal" "$work/other" 0 1
expect "none, majority" "$VETO" evaluate "$work/other"

# A file that is read is not written over, nor are its arrays while they are read.
cp "$work/b.jsonl" "$work/kept.jsonl"
for command in "export -o" "import -o" "export --format steps -o" "calibrate --policy floor:threshold=? -o" "head train -o" "evaluate --report"; do
	# shellcheck disable=SC2086 # The command is words.
	refuse 2 "$work/b.jsonl is a file that is read" "$VETO" $command "$work/b.jsonl" "$work/b.jsonl"
done
cmp "$work/b.jsonl" "$work/kept.jsonl" || complain "a recording was written over"
cp "$work/b.jsonl.hidden.npy" "$work/hidden.kept"
works "$VETO" export -o "$work/b.jsonl" "$work/kept.jsonl"
cmp "$work/b.jsonl.hidden.npy" "$work/hidden.kept" || complain "the states were lost on the way onto themselves"
# What is imported has neither verdicts nor choices to differ from.
check change "$work/b.jsonl" "$work/chosen.jsonl" select=majority
works "$VETO" import -o "$work/chosen.journal" "$work/chosen.jsonl"
expect "0 different" "$VETO" replay "$work/chosen.journal"

# Bad input.
refuse 2 "a RECORDING is needed" "$VETO" export
refuse 2 "-o JOURNAL is needed" "$VETO" import "$work/a.jsonl"
refuse 2 "--format 'csv': unknown" "$VETO" export --format csv "$work/a.jsonl"
refuse 2 "can't write '/nowhere/x'" "$VETO" export -o /nowhere/x "$work/a.jsonl"
refuse 2 "can't write '/nowhere/x'" "$VETO" import -o /nowhere/x "$work/a.jsonl"
refuse 2 "can't open '$work/gone'" "$VETO" export "$work/gone"
finish
