#!/usr/bin/env bash
# veto head train: learns what is there to learn, gives the same file again, and says what is wrong.
# shellcheck source=tests/system/lib.sh
. "$SOURCE/tests/system/lib.sh"

python3 "$SOURCE/tests/system/train.py" "$work" || exit 1
trace=$work/trace.jsonl
train() { "$VETO" head train "$@"; }
# value KEY: of the JSON on stdin.
value() { python3 -c 'import json, sys; print(json.load(sys.stdin)[sys.argv[1]])' "$1"; }
# above A B: a number above another.
above() { awk -v a="$1" -v b="$2" 'BEGIN { exit !(a > b) }'; }

# A step's scores and its state each say something of whether it is right; both say more.
for features in scores hidden both; do
	for labels in steps answer; do
		cases=$((cases + 1))
		train --features $features --labels $labels --json -o "$work/$features-$labels.head" "$trace" >"$work/stdout" 2>"$work/stderr" ||
			complain "$features, $labels: $(cat "$work/stderr")"
		value validation_auc <"$work/stdout" >"$work/auc-$features-$labels"
		[ ! -s "$work/stderr" ] || complain "$features, $labels: said $(cat "$work/stderr")"
	done
done
auc() { cat "$work/auc-$1"; }
above "$(auc scores-steps)" 0.8 || complain "AUC by scores: $(auc scores-steps)"
above "$(auc hidden-steps)" 0.7 || complain "AUC by states: $(auc hidden-steps)"
above "$(auc both-steps)" "$(auc scores-steps)" || complain "AUC by both: $(auc both-steps), by scores $(auc scores-steps)"
above "$(auc both-steps)" "$(auc hidden-steps)" || complain "AUC by both: $(auc both-steps), by states $(auc hidden-steps)"

# The same data, options and seed give the same bytes, wherever the command runs; another seed does not.
for options in "--features both --labels steps" "--features hidden --hidden 16 --int8" "--features both --hidden 32 --split 1,0,0"; do
	cases=$((cases + 1))
	# shellcheck disable=SC2086 # The options are words.
	{
		train $options --seed 3 -o "$work/a.head" "$trace" >/dev/null 2>"$work/stderr" || complain "$options: $(cat "$work/stderr")"
		(cd "$work" && mkdir -p elsewhere && cd elsewhere && train $options --seed 3 -o b.head ../trace.jsonl) >/dev/null
		cmp "$work/a.head" "$work/elsewhere/b.head" || complain "$options: another file in another folder"
		train $options --seed 4 -o "$work/c.head" "$trace" >/dev/null
		cmp -s "$work/a.head" "$work/c.head" && complain "$options: the seed changes nothing"
	}
done

# It learns from the fit part alone, and the questions that choose are whole texts.
for options in "--features both --labels steps" "--features hidden" "--features scores"; do
	cases=$((cases + 1))
	# shellcheck disable=SC2086 # The options are words.
	{
		train $options --split "$work/split.json" -o "$work/a.head" "$trace" >/dev/null || complain "$options: no head by a file's split"
		train $options --split "$work/split.json" -o "$work/c.head" "$work/turned.jsonl" >/dev/null
		cmp "$work/a.head" "$work/c.head" || complain "$options: what is not of the fit part was learned from"
		train $options --split 1,0,0 -o "$work/c.head" "$work/turned.jsonl" >/dev/null
		cmp -s "$work/a.head" "$work/c.head" && complain "$options: the split changes nothing"
	}
done
expect '"questions":60,"validation_questions":15,' train --split 1,0,0 --json -o "$work/c.head" "$trace"
expect '"questions":60,"validation_questions":16,' train --split 1,0,0 --json -o "$work/c.head" "$work/doubles.jsonl"

# What the files say.
expect "statistics  mean:self_certainty+" "$VETO" inspect "$work/scores-steps.head"
grep -q "arithmetic  HX1 1, TS1 1" "$work/stdout" || complain "no arithmetic: $(cat "$work/stdout")"
grep -q "^layers" "$work/stdout" && complain "layers: $(cat "$work/stdout")"
expect '"cols":0,"layers":0,"width":0,"outputs":1,"statistics":"' "$VETO" inspect --json "$work/scores-steps.head"
expect '"cols":16,"layers":1,"width":0,"outputs":1}' "$VETO" inspect --json "$work/hidden-steps.head"
train --hidden 32 -o "$work/a.head" "$trace" >/dev/null
expect 'layers      16 to 32, ReLU, to 1, int16' "$VETO" inspect "$work/a.head"
expect '"shape":"probe","output":"sigmoid","aggregation":"last","tap":"final_norm","backbone":"any"' "$VETO" inspect --json "$work/both-steps.head"
grep -q '"statistics":"' "$work/stdout" || complain "no statistics: $(cat "$work/stdout")"

# Rewards in recordings: a floor stops more wrong than right candidates, on questions that were not learned from.
for head in scores both hidden; do
	cases=$((cases + 1))
	"$VETO" evaluate --head "$work/$head-steps.head" --split 0.3,0.5,0.2 --part calibrate --policy floor:score=reward,threshold=0.4,min_survivors=0 \
		--json "$trace" | tail -n 1 >"$work/line"
	python3 - "$work/line" <<-'PY' || complain "$head: $(cat "$work/line")"
		import json, sys
		d = json.load(open(sys.argv[1]))
		assert d["saved"] > 0.05 and d["risk_candidate"] < 0.35 and d["accuracy"] >= d["accuracy_full"] - 0.2, d
	PY
	expect '"policy":"floor:score=reward' "$VETO" calibrate --head "$work/$head-steps.head" --policy "floor:score=reward,threshold=?" --alpha 0.4 \
		--delta 0.3 --json -o "$work/$head.json" "$trace"
	expect "$work/$head.json, majority" "$VETO" evaluate --head "$work/$head-steps.head" --policy "$work/$head.json" "$trace"
done
expect "gate" "$VETO" evaluate --head "$work/both-steps.head" --policy gate:score=reward,rungs=8 --select best:score=reward "$trace"
expect "gate" "$VETO" evaluate --head "$work/scores-steps.head" --policy gate:score=reward,rungs=7 "$trace"
refuse 2 "gate: rungs=7: candidate 0 of 'q0' has no reward there, as no state of that token was recorded" \
	"$VETO" evaluate --head "$work/both-steps.head" --policy gate:score=reward,rungs=7 "$trace"
python3 "$SOURCE/tests/system/train.py" --rewards "$work" >"$work/rewards" || complain "rewards in Python: $(tail -n 2 "$work/rewards")"
while read -r head threshold tokens; do
	cases=$((cases + 1))
	"$VETO" evaluate --head "$work/$head.head" --policy "floor:score=reward,threshold=$threshold,min_survivors=0" --json "$trace" | tail -n 1 >"$work/line"
	[ "$(value tokens_used <"$work/line")" = "$tokens" ] || complain "$head, $threshold: $(value tokens_used <"$work/line") tokens, expected $tokens"
done <"$work/rewards"
[ "$(wc -l <"$work/rewards")" = 9 ] || complain "the script compares $(wc -l <"$work/rewards") floors"

# What a head has learned from tells nothing of it.
"$VETO" head train --features both --split 1,0,0 -o "$work/all.head" "$trace" >"$work/log" 2>&1 || complain "$(cat "$work/log")"
refuse 2 "questions of the test part, so its rewards of them tell nothing: use the --split and --seed" \
	"$VETO" evaluate --head "$work/all.head" --split 0,0,1 --part test "$trace"
refuse 2 "questions of the calibrate part" "$VETO" calibrate --head "$work/all.head" --policy "floor:score=reward,threshold=?" --split 0,1,0 -o "$work/p.json" "$trace"

"$VETO" evaluate --head "$work/both-steps.head" --split 0.3,0.5,0.2 --part fit "$trace" 2>&1 >"$work/stdout" |
	grep -q "warning: the head has learned from .* of these questions" || complain "evaluate --part fit: no warning"
refuse 2 "-o $work/split.json is a file that is read" "$VETO" head train --split "$work/split.json" -o "$work/split.json" "$trace"
progress "penalty " "$VETO" head train --features both -o "$work/x.head" "$trace"

# Rewards that were recorded may be those of a head that has learned from the same questions: only the head can tell.
checksum=$("$VETO" inspect "$work/both-steps.head" | sed -n 's/^sha256 *//p')
python3 - "$work" "$checksum" <<'PY'
import json, sys
work, checksum = sys.argv[1:]
head, *lines = [json.loads(line) for line in open(f"{work}/trace.jsonl")]
for name, more in {"of-head": {"head": checksum}, "of-some": {}}.items():
    with open(f"{work}/{name}.jsonl", "w") as out:
        for line in [head | more] + [{k: v for k, v in x.items() if k != "hidden"} | {"reward": [0.9 if x["correct"] else 0.2 for _ in x["tokens"]]} for x in lines]:
            print(json.dumps(line), file=out)
PY
recorded=(calibrate --policy "floor:score=reward,threshold=?" --alpha 0.4 -o "$work/p.json")
refuse 2 "nothing tells whether the head whose rewards are recorded, $checksum, has learned from these questions" "$VETO" "${recorded[@]}" "$work/of-head.jsonl"
refuse 2 "nothing tells whether the head whose rewards are recorded has learned from these questions" "$VETO" "${recorded[@]}" "$work/of-some.jsonl"
expect "threshold=" "$VETO" "${recorded[@]}" --head "$work/both-steps.head" "$work/of-head.jsonl"
grep -q "\"calibrated_head\": \"$checksum\"" "$work/p.json" || complain "the head of recorded rewards: $(cat "$work/p.json")"
refuse 2 "questions of the calibrate part, so its rewards of them tell nothing" "$VETO" "${recorded[@]}" --head "$work/both-steps.head" --seed 2 "$work/of-head.jsonl"
refuse 2 "it reads hidden states, and the recording has none" "$VETO" "${recorded[@]}" --head "$work/both-steps.head" "$work/of-some.jsonl"
expect "% saved" "$VETO" evaluate --policy floor:score=reward,threshold=0.5,min_survivors=0 "$work/of-head.jsonl"
grep -q "warning: nothing tells whether the head whose rewards are recorded, $checksum, has" "$work/stderr" || complain "evaluate: no warning of recorded rewards"

# With a head a gate ranks by its reward, as it does in veto run.
expect '"policy":"gate:score=reward,' "$VETO" evaluate --head "$work/scores-steps.head" --policy gate:rungs=4 --json "$trace"
expect '"policy":"gate:score=token_logp,' "$VETO" evaluate --head "$work/scores-steps.head" --policy gate:score=token_logp,rungs=4 --json "$trace"

# Options.
refuse 2 "train needs -o" train "$trace"
refuse 2 "a RECORDING is needed" train -o "$work/x.head"
refuse 2 "--features 'states': expected hidden, scores or both" train --features states -o "$work/x.head" "$trace"
refuse 2 "--labels 'right': expected answer or steps" train --labels right -o "$work/x.head" "$trace"
refuse 2 "--hidden '8': expected 0, 16 or 32" train --hidden 8 -o "$work/x.head" "$trace"
refuse 2 "--hidden 16: statistics of scores go without" train --hidden 16 --features scores -o "$work/x.head" "$trace"
refuse 2 "--int8: the weights of statistics have 16 bits" train --int8 --features scores -o "$work/x.head" "$trace"
refuse 2 "--seed" train --seed -1 -o "$work/x.head" "$trace"
refuse 2 "--split '1,1': neither three shares" train --split 1,1 -o "$work/x.head" "$trace"
refuse 2 "can't open 'more'" train -o "$work/x.head" "$trace" more
refuse 2 "unknown option '--shape'" train --shape probe -o "$work/x.head" "$trace"
refuse 2 "-o $trace is a file that is read" train -o "$trace" "$trace"
refuse 2 "can't open '/nowhere.jsonl'" train -o "$work/x.head" /nowhere.jsonl
refuse 2 "can't read '/nowhere.gguf'" train --backbone /nowhere.gguf -o "$work/x.head" "$trace"
refuse 1 "can't write '/nowhere/x.head.partial'" train -o /nowhere/x.head "$trace"

# Recordings that teach nothing.
refuse 1 "the recording has no hidden states: --features scores needs none" train -o "$work/x.head" "$work/stateless.jsonl"
refuse 1 "the recording has no score of every candidate's tokens" train --features scores -o "$work/x.head" "$work/scoreless.jsonl"
refuse 1 "the fit part has no question whose candidates all have \"correct\"" train -o "$work/x.head" "$work/unlabelled.jsonl"
refuse 1 "the fit part has no question whose candidates all have \"steps\"" train --labels steps -o "$work/x.head" "$work/stepless.jsonl"
refuse 1 "and 0 that are wrong, and both are needed" train -o "$work/x.head" "$work/right.jsonl"
expect '"unlabelled":1,' train --split 1,0,0 --json -o "$work/x.head" "$work/partly.jsonl"
expect '1 questions without labels are left out' train --split 1,0,0 -o "$work/x.head" "$work/partly.jsonl"
expect '"unusable":1,' train --split 1,0,0 --json -o "$work/x.head" "$work/infinite.jsonl"
rm -f "$work/x.head"

# States that are not there, or don't fit.
spoilt() { refuse 2 "$work/$1.jsonl:2: \"hidden\"$2" "$VETO" evaluate "$work/$1.jsonl"; }
spoilt members " is no {\"file\": text, \"rows\": list, \"positions\": list}"
spoilt lengths ": \"rows\" has 1 values, and \"positions\" has 4"
spoilt row ": row 960 is no whole number below 960"
spoilt half ": row 0.5 is no whole number below "
spoilt position ": position 13 is no whole number below 13"
spoilt falling ": position 3 does not lie above 7"
spoilt file ": can't read '$work/nowhere.npy'"
spoilt text ": $work/trace.jsonl: not an .npy file"
spoilt wide ": 'wide.npy' is of type f4, and states are of f2"
refuse 2 "$work/mixed.jsonl:3: \"hidden\": 'narrow.npy' has states of 8 values, and those before have 16" "$VETO" evaluate "$work/mixed.jsonl"

# Heads that are none for a recording.
refuse 2 "can't read '/nowhere.head'" "$VETO" evaluate --head /nowhere.head "$trace"
refuse 2 "--head $work/hidden-steps.head: it reads hidden states, and the recording has none" "$VETO" evaluate --head "$work/hidden-steps.head" "$work/stateless.jsonl"
refuse 2 "--head $work/hidden-steps.head: it reads states of 16 values, and those of the recording have 8" \
	"$VETO" evaluate --head "$work/hidden-steps.head" "$work/narrow.jsonl"
refuse 2 "--head $work/scores-steps.head: it counts on self_certainty, and the recording has no such score of every candidate" \
	"$VETO" calibrate --head "$work/scores-steps.head" --policy "floor:score=reward,threshold=?" -o "$work/x.json" "$work/scoreless.jsonl"
refuse 2 "--head $work/hidden-steps.head: it reads hidden states, and candidate 0 of 'q0' has none at token 12, where a step ends" \
	"$VETO" evaluate --head "$work/hidden-steps.head" "$work/gap.jsonl"
refuse 2 "its reward counts on 27 statistics of token scores, and rows of states have none" "$VETO" score --head "$work/both-steps.head" "$work/h.npy"
expect '"reward_q31":' "$VETO" score --json --head "$work/hidden-steps.head" "$work/h.npy"
# Live: statistics need no states, and a model of 576 values none of 16.
if [ -n "$QUANTIZE" ]; then
	model=${MODEL:-$("$SOURCE/host/setup.sh" model)} || exit 1
	# shellcheck disable=SC2317 # It is called by refuse and expect.
	run() { "$VETO" run -m "$model" -p "Name three colours, a line each." --seed 3 -n 4 --max-tokens 24 "$@"; }
	train --features scores --labels steps --split 1,0,0 --backbone "$model" -o "$work/live.head" "$SOURCE/tests/traces/chain-sums.jsonl" >/dev/null ||
		complain "no head for $model"
	expect 'by floor: reward ' run --head "$work/live.head" --policy floor:score=reward,threshold=1
	grep -q 'hidden states' "$work/stdout" && complain "states were scored: $(cat "$work/stdout")"
	expect '"reward_q31":' run --head "$work/live.head" --json
	refuse 2 "$work/both-steps.head reads states of 16 values, and $model makes states of 576" run --head "$work/both-steps.head"
	refuse 2 "$trace has states of 16 values, and $model makes states of 576" train --backbone "$model" -o "$work/x.head" "$trace"
fi
[ -z "$(find "$work" -name 'x*' -o -name '*.partial')" ] || complain "something was left behind: $(find "$work" -name 'x*' -o -name '*.partial')"
finish
