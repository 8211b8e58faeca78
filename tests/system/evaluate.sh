#!/usr/bin/env bash
# veto evaluate: recorded candidates through policies, against a script that works it out anew; and what it refuses.
# shellcheck source=tests/system/lib.sh
. "$SOURCE/tests/system/lib.sh"

trace=$SOURCE/tests/traces/chain-sums.jsonl
evaluate() { "$VETO" evaluate "$@" "$trace"; }
policies=()
for policy in floor:score=token_logp,window=8,threshold=-0.2 floor:score=entropy,window=16,threshold=-0.3,min_survivors=0 \
	floor:score=top1_logp,window=1,threshold=-0.5 floor:score=margin,window=3,threshold=2.5 floor:score=topk_confidence,window=5,threshold=9 \
	gate:score=token_logp,rungs=16+32,keep=0.5 gate:rungs=48,keep=0.3,min_survivors=3 gate:score=margin,rungs=70 gate:score=entropy,rungs=200; do
	policies+=(--policy "$policy")
done
cases=$((cases + 1))
evaluate --json "${policies[@]}" >"$work/lines" || complain "evaluate failed"
[ "$(wc -l <"$work/lines")" = 10 ] || complain "$(wc -l <"$work/lines") lines for 9 policies"
python3 "$SOURCE/tests/system/evaluate.py" "$trace" <"$work/lines" >"$work/log" 2>&1 || complain "$(cat "$work/log")"
echo '{"chain-0-4": "test", "chain-1-5": "fit", "chain-2-4": "fit", "chain-3-4": "test", "chain-4-3": "fit", "chain-5-4": "fit", "chain-6-3": "test",
	"chain-7-4": "calibrate"}' >"$work/split.json"
for part in fit test; do
	cases=$((cases + 1))
	evaluate --json "${policies[@]}" --split "$work/split.json" --part $part >"$work/part" || complain "evaluate failed"
	python3 "$SOURCE/tests/system/evaluate.py" "$trace" "$work/split.json" $part <"$work/part" >"$work/log" 2>&1 || complain "$part: $(cat "$work/log")"
done
# Candidates that never finish, and wrong ones whose steps have no labels.
python3 - "$trace" "$work/cut-off.jsonl" <<'PY'
import json, sys
head, *lines = [json.loads(line) for line in open(sys.argv[1])]
for i, line in enumerate(lines):
    line["finished"] = i % 5 != 0
    if not line["correct"] and i % 3 == 0:
        del line["steps"]
open(sys.argv[2], "w").write("".join(json.dumps(x) + "\n" for x in [head, *lines]))
PY
cases=$((cases + 1))
"$VETO" evaluate --json "${policies[@]}" "$work/cut-off.jsonl" >"$work/part" || complain "evaluate failed"
python3 "$SOURCE/tests/system/evaluate.py" "$work/cut-off.jsonl" <"$work/part" >"$work/log" 2>&1 || complain "$(cat "$work/log")"
expect '"oracle":"first-token"' "$VETO" evaluate --json "$work/cut-off.jsonl"
expect '"oracle":"steps"' evaluate --json
expect '"tokens_difference":null' evaluate --json
expect '"score":null,"brier":null,"ece":null' evaluate --json --policy consensus
expect "reliability of margin: none: there is no fit part without --split" evaluate --policy floor:score=margin,threshold=7
evaluate --json "${policies[@]}" | cmp -s - "$work/lines" || complain "the same command gives other lines"

# Selectors are combined with policies, rules are joined, and what stops rejects nobody.
evaluate --json --select majority --select weighted --policy consensus --policy "consensus + gate:rungs=32" >"$work/lines" || complain "selectors failed"
cases=$((cases + 1))
python3 - "$work/lines" <<'PY' || complain "selectors: $(cat "$work/lines")"
import json, sys
none, none_w, stop, stop_w, both, both_w = [json.loads(line) for line in open(sys.argv[1])]
assert [none["select"], none_w["select"]] == ["majority", "weighted"]
assert none["saved"] == none_w["saved"] == 0 and none["accuracy"] == none["accuracy_full"]
assert stop["right_rejected"] == 0 and 0 < stop["saved"] < both["saved"] and both["right_rejected"] > 0
assert both["policy"].startswith("consensus:") and " + gate:" in both["policy"]
PY
expect "risk_candidate\":0.000000" evaluate --json
expect "window-floor:warmup=3,window=16, majority" evaluate --policy window-floor:warmup=3,window=16
expect "0 of 44 right candidates" evaluate --policy gate:rungs=8,shadow=1

# Parts: every question is in one of them, by shares or by a file.
questions() { evaluate --json "$@" | sed -n '1s/.*"questions":\([0-9]*\).*/\1/p'; }
for split in 1,1,1 0.2,0.5,0.3 0,0,1; do
	cases=$((cases + 1))
	sum=0
	for part in fit calibrate test; do sum=$((sum + $(questions --split $split --part $part))); done
	[ "$sum" = 8 ] || complain "--split $split: $sum questions in its parts"
done
[ "$(questions --split 0,0,1 --part test)" = 8 ] || complain "--split 0,0,1: not all are for the test"
echo '{"chain-0-4": "test", "chain-1-5": "fit", "chain-3-4": "test", "elsewhere": "fit"}' >"$work/split.json"
[ "$(questions --split "$work/split.json" --part test)" = 2 ] || complain "a split's file: $(questions --split "$work/split.json" --part test)"
refuse 2 "--part needs --split" evaluate --part test
refuse 2 "--part 'tests': expected fit, calibrate or test" evaluate --split 1,1,1 --part tests
refuse 2 "--split '1,1': neither three shares, such as 0.3,0.4,0.3, nor a file" evaluate --split 1,1
refuse 2 "--split '0,0,0': all shares are 0" evaluate --split 0,0,0
refuse 2 "a share is no number from 0 on" evaluate --split 1,-1,1
echo '{"chain-0-4": "train"}' >"$work/split.json"
refuse 2 "'train' is not fit, calibrate or test" evaluate --split "$work/split.json"

# What can't be played, or is no trace.
refuse 2 "a RECORDING is needed" "$VETO" evaluate
refuse 2 "can't open '/nowhere.jsonl'" "$VETO" evaluate /nowhere.jsonl
refuse 2 "partial-reward: beams fork, and recorded candidates can't" evaluate --policy partial-reward
refuse 2 "score=reward: the recording has no such score of every candidate" evaluate --policy gate:score=reward
refuse 2 "this policy selects; use --select" evaluate --policy majority
refuse 2 "unknown policy 'gates'" evaluate --policy gates
python3 - "$trace" "$work" <<'PY'
import json, sys
head, *lines = [json.loads(line) for line in open(sys.argv[1])]
first = lines[0]
def write(name, *objects):
    open(f"{sys.argv[2]}/{name}.jsonl", "w").write("".join(o if isinstance(o, str) else json.dumps(o) + "\n" for o in objects))
def spoil(name, **members):
    write(name, head, first | members, *lines[1:])
write("header", first)
write("policy", head | {"policy": "gate:keep=0.5"}, *lines)
write("cohort", head | {"cohort": 9}, *lines)
write("version", head | {"trace": 2}, *lines)
write("vocab", head | {"vocab": None}, *lines)
write("model", head | {"model": ["a long name, in a list, whose end is not needed é"]}, *lines)
write("unruled", {k: v for k, v in head.items() if k != "policy"}, *lines)
write("nameless", head, {k: v for k, v in first.items() if k != "prompt"}, *lines[1:])
write("empty", head)
write("nothing")
write("torn", head, *lines[:-1], json.dumps(lines[-1])[:1000])
write("missing", head, *lines[1:])
write("twice", head, first, *lines)
write("short", head | {"max_tokens": 60}, *lines)
write("unlabelled", head, {k: v for k, v in first.items() if k != "correct"}, *lines[1:])
named = {("token_logp" if key == "logp" else key): value for key, value in first.items()}
write("named", head, named, *lines[1:])
write("both", head, first | {"token_logp": "mine"}, *lines[1:])
write("lacking", head, {k: v for k, v in first.items() if k != "logp"}, *lines[1:])
spoil("lengths", logp=first["logp"][:-1])
spoil("value", entropy=["high", *first["entropy"][1:]])
spoil("object", entropy=[{"low": 0.25, "high": 0.5}, *first["entropy"][1:]])
spoil("interval", entropy=[[0.5, 0.25], *first["entropy"][1:]])
spoil("index", candidate=8)
spoil("finished", finished="yes")
spoil("correct", correct="yes")
spoil("number", answer=182)
spoil("tokens", tokens={"length": 76})
spoil("half", candidate=0.5)
spoil("prompt", prompt=7)
# The candidates 4, 5 and 7 of the first question have the same wrong answer.
def relabel(name, index=5, **members):
    write(name, head, *[line | members if i == index else line for i, line in enumerate(lines)])
relabel("contradiction", correct=True)
relabel("contradiction-cut", correct=True, finished=False)
relabel("contradiction-unlabelled", 9, correct=None) # as right as the others, which are
relabel("contradiction-elsewhere", correct=True, answer="55")
for name, answer in ("null", None), ("empty", ""):
    spoil(f"answer-{name}", answer=answer)
    spoil(f"answer-{name}-wrong", answer=answer, correct=False)
    spoil(f"answer-{name}-cut", answer=answer, finished=False)
write("answer-missing", head, {k: v for k, v in first.items() if k != "answer"}, *lines[1:])
spoil("steps", steps=[[len(first["tokens"]), True]])
spoil("steps-half", steps=[[3.5, True]])
spoil("steps-object", steps={"3": True})
spoil("steps-text", steps="3")
spoil("steps-twice", steps=[[3, True], [3, None]])
spoil("steps-falling", steps=[[5, True], [9, True], [7, False]])
spoil("steps-null", steps=None)
for name, source in ("other", "approximate"), ("object", {"exact": 1}), ("zero", "top-k:0"), ("none", "top-k:"), ("more", "top-k:5x"):
    write(f"source-{name}", head | {"source": source}, *lines)
write("source-list", head | {"source": "top-k:5"}, *lines)
write("source-missing", {k: v for k, v in head.items() if k != "source"}, *lines)
for name, questions in ("list", ["What?"]), ("member", head["questions"] | {"chain-3-4": 7}), ("null", None):
    write(f"questions-{name}", head | {"questions": questions}, *lines)
spoil("cut", finished=False)
spoil("unknown", entropy=[None, [0.25, 0.5], *first["entropy"][2:]])
PY
spoilt() { refuse 2 "$work/$1.jsonl$2" "$VETO" evaluate "$work/$1.jsonl"; }
for asking in self-evaluate:at=16 detect:words=Step; do
	refuse 2 "it asks the model, and recorded candidates can't answer" evaluate --policy $asking
done
spoilt header ":1: \"trace\" is missing"
spoilt policy ": it was recorded with the policy 'gate:keep=0.5'"
spoilt cohort ":1: \"cohort\" is 9, no whole number from 1 to 8"
spoilt version ":1: \"trace\" is 2, and not 1"
spoilt vocab ":1: \"vocab\" is null, no whole number from 1 to 262144"
spoilt model ":1: \"model\" is [\"a long name, in a list, whose end is not n..., neither text nor an object"
spoilt unruled ": \"policy\" is missing from its header: \"none\" stands there if nothing was stopped"
spoilt nameless ":2: \"prompt\" is missing"
spoilt empty ": there is no candidate in it"
spoilt nothing ": there is no candidate in it"
spoilt torn ":65: the line is cut off behind '"
grep -q "', at column 1001\$" "$work/stderr" || complain "a line that is cut off: $(cat "$work/stderr")"
line() { # TEXT MESSAGE: what is said of such a second line
	{ head -n 1 "$trace"; printf %s "$1"; } >"$work/line.jsonl"
	spoilt line ":2: $2"
}
# shellcheck disable=SC1003 # A backslash at the end is meant.
for cut in '{"a": [1, 2' '{"a": "x, \"y: [' '{"a": "x\' '{"a": tru' '{"a": -' '{"a"' '{' '{"a": 1, ' '{"a": "é'; do
	line "$cut" "the line is cut off behind '${cut% }', at column "
done
line '{"a": "0123456789abcdefghijklmnopqrstuvwxyz' "the line is cut off behind 'cdefghijklmnopqrstuvwxyz', at column 44"
line '{"a": "éééééééééééééx' "the line is cut off behind 'éééééééééééx', at column 35"
line '{"a": "ééééééééééééé' "the line is cut off behind 'éééééééééééé', at column 34"
line '{"logp": [-0.5, -Infinity, -2]}' "no JSON at column 17: '-Infinity, -2]}'"
line '{"logp": [NaN]' "no JSON at column 11: 'NaN]'"
line '{"a": [1, 2}' "no JSON at column 12: '}'"
line '{"a": "x"y", "b": 1}' "no JSON at column 10: 'y\", \"b\": 1}'"
line '{"a": 1,}' "no JSON at column 9: '}'"
line "{'a': 1}" "no JSON at column 2: ''a': 1}'"
line 'éééééééééééé1éé' "no JSON at column 1: 'éééééééééééé'"
line '{"a": ,ééééééééééééé' "no JSON at column 7: ',ééééééééééé'"
line '[{"a": 1}]' "no JSON object at column 1: '[{\"a\": 1}]'"
line '{"a": 1} {"b": 2}' "the JSON object has ended before column 10: '{\"b\": 2}'"
line $'\n' "an empty line"
spoilt missing ": 'chain-0-4' lacks candidate 0 of 8"
spoilt twice ":3: candidate 0 of 'chain-0-4' stands there twice"
spoilt short ":2: there are 76 tokens, and \"max_tokens\" is 60"
spoilt named ":2: \"token_logp\": the key is \"logp\""
expect "none, majority" "$VETO" evaluate "$work/both.jsonl"
refuse 2 'floor: score=token_logp: the recording has no such score of every candidate ("logp" in a trace)' \
	"$VETO" evaluate --policy floor:score=token_logp,threshold=-1 "$work/lacking.jsonl"
expect "none, majority" "$VETO" evaluate "$work/lacking.jsonl"
spoilt lengths ":2: \"logp\" has 75 values, and \"tokens\" has 76"
spoilt value ":2: \"entropy\" [0] is no number"
spoilt object ":2: \"entropy\" [0] is no number"
while IFS='|' read -r key value message; do # of the third token
	python3 - "$trace" "$work/range.jsonl" "$key" "$value" <<'PY'
import json, sys
source, path, key, value = sys.argv[1:]
head, first, *lines = [json.loads(line) for line in open(source)]
first[key] = [None, None, json.loads(value), *[None] * (len(first["tokens"]) - 3)]
open(path, "w").write("".join(json.dumps(o).replace("Infinity", "1e999") + "\n" for o in [head, first, *lines]))
PY
	if [ "$message" = good ]; then
		expect "none, majority" "$VETO" evaluate "$work/range.jsonl"
	else
		spoilt range ":2: \"$key\" [2] is $message"
	fi
done <<'RANGES'
logp|5|5, above 0
logp|0.04|0.04, above 0
logp|0.0003|good
logp|[0.5, 1]|0.5, above 0
logp|[-1, 0.5]|0.5, above 0
logp|[-1, null]|good
logp|-9999|-9999, below -2060.5
top1_logp|1e999|inf, above 0
self_certainty|-0.3|-0.3, below 0
self_certainty|-0.2|good
self_certainty|2049|2049, above 2048
entropy|-0.5|-0.5, below 0
entropy|[-0.03, 13]|good
entropy|[-0.1, 13]|-0.1, below 0
entropy|[13, 14]|14, above 13.5
margin|-1|-1, below 0
margin|1e9|1e+09, above 2048
topk_confidence|-1.5|-1.5, below 0
topk_confidence|9499|9499, above 2060.5
lse|-1025|-1025, below -1024
lse|1036.48|good
lse|1037|1037, above 1036.5
mean|-5002|-5002, below -1024
sc_lower|-1|-1, below 0
sc_lower|-0.05|good
subset_first|-0.01|-0.01, below 0
subset_mass|1.01|1.01, above 1
subset_mass|[0, 1]|good
reward|-32768|good
reward|1e5|100000, above 32768
RANGES
spoilt interval ":2: \"entropy\" [0] is no number, null, or pair of numbers that rise"
spoilt index ":2: \"candidate\" is 8, no whole number from 0 to 7"
spoilt finished ":2: \"finished\" is \"yes\", neither true nor false"
spoilt correct ":2: \"correct\" is \"yes\", neither true nor false"
spoilt number ":2: \"answer\" is 182, neither text nor null"
spoilt tokens ":2: \"tokens\" is {\"length\":76}, no list"
spoilt half ":2: \"candidate\" is 0.5, no whole number from 0 to 7"
spoilt prompt ":2: \"prompt\" is 7, no text"
spoilt steps ":2: \"steps\": [76,true] is no [position below 76, true, false or null]"
spoilt steps-half ":2: \"steps\": [3.5,true] is no [position below 76, true, false or null]"
spoilt steps-object ":2: \"steps\" is {\"3\":true}, no list"
spoilt steps-text ":2: \"steps\" is \"3\", no list"
spoilt steps-twice ":2: \"steps\": position 3 does not lie above 3"
spoilt steps-falling ":2: \"steps\": position 7 does not lie above 9"
spoilt source-other ":1: \"source\" is \"approximate\", neither \"exact\" nor \"top-k:K\""
spoilt source-object ":1: \"source\" is {\"exact\":1}, neither"
spoilt source-zero ":1: \"source\" is \"top-k:0\", neither"
spoilt source-none ":1: \"source\" is \"top-k:\", neither"
spoilt source-more ":1: \"source\" is \"top-k:5x\", neither"
spoilt questions-list ":1: \"questions\" is [\"What?\"], no object"
spoilt questions-member ":1: \"questions\": 'chain-3-4' is 7, no text"
for file in steps-null source-list source-missing questions-null; do
	expect "none, majority" "$VETO" evaluate "$work/$file.jsonl"
done
for answer in null empty missing; do
	spoilt answer-$answer ": candidate 0 of 'chain-0-4': \"correct\" is true, and there is no \"answer\""
done
for file in answer-null-wrong answer-empty-wrong answer-null-cut answer-empty-cut contradiction-cut contradiction-unlabelled contradiction-elsewhere; do
	expect "none, majority" "$VETO" evaluate "$work/$file.jsonl"
done
spoilt contradiction ": candidates 4 and 5 of 'chain-0-4' have the same answer, '54', and \"correct\" is true of 5 alone"
expect '"right":43,' "$VETO" evaluate --json "$work/cut.jsonl" # only what has finished is right
expect '"questions":7,"unlabelled":1,' "$VETO" evaluate --json "$work/unlabelled.jsonl"
expect '"questions":8,"unlabelled":0,' "$VETO" evaluate --json --policy floor:score=entropy,threshold=-1 "$work/unknown.jsonl"
finish
