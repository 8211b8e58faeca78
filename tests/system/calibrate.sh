#!/usr/bin/env bash
# veto calibrate: a threshold with a stated risk from made questions, refused where they can't show it, and used.
# shellcheck source=tests/system/lib.sh
. "$SOURCE/tests/system/lib.sh"

# Questions whose right candidates have high scores, and wrong ones low ones, but for some; of both kinds of length.
python3 - "$work" <<'PY'
import json, random, sys
def trace(path, questions, labelled=True):
    dice = random.Random(1)
    with open(path, "w") as out:
        print(json.dumps({"trace": 1, "candidates": 4, "cohort": 4, "max_tokens": 20, "policy": "none", "source": "exact"}), file=out)
        for q in range(questions):
            shift = dice.gauss(0, 0.3)
            for c in range(4):
                right = dice.random() < 0.6
                logp = [min(0, round(dice.gauss(-1 if right else -2.2, 0.3) + shift, 7)) for _ in range(20)]
                line = {"prompt": f"q{q}", "candidate": c, "finished": True, "answer": "1" if right else str(2 + c), "correct": right,
                        "tokens": list(range(20)), "logp": logp, "entropy": [-x for x in logp], "lse": [-x for x in logp]}
                print(json.dumps(line if labelled else line | {"correct": None}), file=out)
trace(sys.argv[1] + "/trace.jsonl", 300)
trace(sys.argv[1] + "/few.jsonl", 40)
PY
trace=$work/trace.jsonl
calibrate() { "$VETO" calibrate -o "$work/policy.json" "$@" "$trace"; }
field() { python3 -c "import json, sys; print(json.loads(sys.stdin.readline())['$1'])" <"$work/stdout"; }
holds() {
	cases=$((cases + 1))
	python3 -c "import json, sys; d = json.loads(sys.stdin.readline()); sys.exit(not ($1))" <"$work/stdout" || complain "not $1: $(cat "$work/stdout")"
}

# A wide gap between right and wrong saves much at a small risk; less risk, or a weaker test, saves less.
expect '"risk":"candidate"' calibrate --policy "floor:score=token_logp,window=8,threshold=?" --json
holds 'd["saved"] > 0.1 and d["risk_candidate"] < 0.2 and d["p"] <= 0.1 and d["chosen"] == d["tested"] - 2 > 60 and d["units"] > 100'
saved=$(field saved)
"$VETO" evaluate --json --policy "$work/policy.json" --split 0.3,0.5,0.2 --part test "$trace" | tail -n 1 >"$work/stdout"
holds "d['saved'] == $saved"
less() {
	local text=$1
	shift
	expect "$text" calibrate --policy "floor:score=token_logp,window=8,threshold=?" --json "$@"
	holds "0 < d['saved'] <= $saved"
}
less '"alpha":0.05' --alpha 0.05
less '"pvalue":"hb"' --pvalue hb
less '"delta":0.01' --delta 0.01
expect '"risk":"pooled"' calibrate --policy "floor:score=entropy,window=8,threshold=?" --risk pooled --json
expect '"risk":"answer"' calibrate --policy "gate:score=token_logp,rungs=8,keep=?" --risk answer --json
holds 'd["saved"] > 0.2 and d["risk_answer"] < 0.2'
expect "risk candidate at most 0.1 with a chance of 0.9, by wsr over" calibrate --policy "floor:score=token_logp,rungs=4+12,threshold=?"
python3 -c 'import json, sys; t = json.load(open(sys.argv[1]))["threshold"]; sys.exit(not (len(t) == 2 and t[0] != t[1]))' "$work/policy.json" ||
	complain "two rungs: $(cat "$work/policy.json")"
cp "$work/policy.json" "$work/first.json"
expect "  risk        candidate (the chance that a right candidate of a question is rejected)" "$VETO" inspect "$work/first.json"
cases=$((cases + 1))
"$VETO" inspect --json "$work/first.json" | python3 -c '
import json, sys
file, seen = json.load(open(sys.argv[1])), json.load(sys.stdin)
assert file == {"policy": seen["policy"]} | seen["parameters"] | {"calibrated_" + key: value for key, value in seen["calibrated"].items()} and seen["intact"], seen' \
	"$work/first.json" 2>"$work/log" || complain "inspect --json of what calibrate wrote: $(tail -n 1 "$work/log")"
calibrate --policy "floor:score=token_logp,rungs=4+12,threshold=?" >/dev/null
cases=$((cases + 1))
cmp -s "$work/policy.json" "$work/first.json" || complain "the same command gives another policy"

# What the data can't show is not written.
rm "$work/policy.json"
refuse 1 "at alpha 0.02 and delta 0.1 at least 119 are needed" calibrate --policy "floor:score=token_logp,threshold=?" --alpha 0.02 --split 0.5,0.3,0.2
refuse 1 "that saves something is certified: gate:score=token_logp,rungs=4,keep=0.7" calibrate --policy "gate:score=token_logp,rungs=4,keep=?" --alpha 0.05
trace=$work/few.jsonl
refuse 1 "questions that count, and at alpha 0.1 and delta 0.1 at least 25 are needed" calibrate --policy "floor:score=token_logp,threshold=?"
trace=$work/trace.jsonl
[ ! -e "$work/policy.json" ] || complain "a policy was written"

# Used otherwise than it was calibrated for.
refuse 2 "it was calibrated for 4 candidates, and there are 8" "$VETO" evaluate --policy "$work/first.json" "$SOURCE/tests/traces/chain-sums.jsonl"
refuse 2 "it was calibrated for 4 candidates a cohort, and there are 2" "$VETO" evaluate --policy "$work/first.json" --cohort 2 "$trace"
sed '1s/"max_tokens": 20/"max_tokens": 21/' "$trace" >"$work/longer.jsonl"
refuse 2 "it was calibrated for 20 tokens at most, and there are 21" "$VETO" evaluate --policy "$work/first.json" "$work/longer.jsonl"

# A file that was edited promises nothing; blanks do not count, and without the promise it is a policy like any other.
cp "$work/first.json" "$work/other.json"
reseal "$work/other.json"
cases=$((cases + 1))
cmp "$work/first.json" "$work/other.json" || complain "the checksum is another: $(cat "$work/first.json")"
sed -i 's/"window": 16/"window": 15/' "$work/other.json"
refuse 2 "other.json: it is not as calibrate wrote it" "$VETO" evaluate --policy "$work/other.json" "$trace"
reseal "$work/other.json"
expect "saved" "$VETO" evaluate --policy "$work/other.json" "$trace"
sed 's/"calibrated_units"/"calibrated_unit"/' "$work/first.json" >"$work/other.json"
reseal "$work/other.json"
refuse 2 "other.json:14:2: 'calibrated_unit' is not known, and so can't be checked" "$VETO" evaluate --policy "$work/other.json" "$trace"
grep -v checksum "$work/first.json" | sed 's/"calibrated_beside": "none",/"calibrated_beside": "none"/' >"$work/other.json"
refuse 2 "other.json: it is not as calibrate wrote it" "$VETO" evaluate --policy "$work/other.json" "$trace"
tr -d '\n\t' <"$work/first.json" >"$work/other.json"
expect "saved" "$VETO" evaluate --policy "$work/other.json" "$trace"
(echo "{" && sed -n '2,/shadow/p' "$work/first.json" | sed '$s/,$//' && echo "}") >"$work/other.json"
expect "saved" "$VETO" evaluate --policy "$work/other.json" --cohort 2 "$trace"

# Rules that are in force together are calibrated together, and held to it: another that rejects adds to the risk, one that stops
# can change answers, and without one that stops more is left to reject.
floor="floor:score=token_logp,window=8,threshold=?"
esc="esc:window=2"
consensus="consensus:weight=none,score=token_logp"
expect "+ esc:window=2" calibrate --policy "$floor" --policy "$esc"
grep -q '"calibrated_beside": "esc:window=2' "$work/policy.json" || complain "beside: $(cat "$work/policy.json")"
refuse 2 "its risk was calibrated with esc:window=2" "$VETO" evaluate --policy "$work/policy.json" "$trace"
expect "saved" "$VETO" evaluate --policy "$work/policy.json + $esc" "$trace"
expect "saved" "$VETO" evaluate --policy "$work/policy.json + $esc + $consensus" "$trace"
expect "saved" "$VETO" evaluate --policy "$work/policy.json + $esc + floor:score=token_logp,threshold=0,shadow=1" "$trace"
refuse 2 "its risk was calibrated without floor:score=token_logp,window=16,threshold=-3" \
	"$VETO" evaluate --policy "$work/policy.json + $esc + floor:score=token_logp,threshold=-3" "$trace"
expect "+ $consensus" calibrate --policy "$floor + $consensus" --risk answer
refuse 2 "its risk was calibrated without esc:window=2" "$VETO" evaluate --policy "$work/policy.json + $consensus + $esc" "$trace"
# What stops too early loses answers before anything is rejected.
refuse 1 "no setting of --policy $floor + adaptive-consistency:threshold=0.6 is certified: floor:score=token_logp,window=8,threshold=-2048.000000000 + adaptive-consistency:threshold=0.6 has p" \
	calibrate --policy "$floor + adaptive-consistency:threshold=0.6" --cohort 1 --risk answer --alpha 0.05

# Other numbers: from the one that rejects least on.
expect '"list":[{"policy":"monitor:score=lse,above=3.000000"' calibrate --policy "monitor:score=lse,above=?3..1" --json
holds 'd["tested"] == d["chosen"] + 2 == len(d["list"]) and all(x["p"] <= 0.1 for x in d["list"][:-1]) and d["list"][-1]["p"] > 0.1'
holds 'all(x["risk"] <= y["risk"] and x["saved"] <= y["saved"] for x, y in zip(d["list"], d["list"][1:])) and d["list"][d["chosen"]]["saved"] > 0.1'
expect '"policy":"speculative:score=token_logp,alpha=0.25,budget=' calibrate --policy "speculative:score=token_logp,alpha=0.25,budget=?80..20" --risk answer --json
holds 'all(x["policy"].split("=")[-1].isdigit() for x in d["list"])'
refuse 2 "'?1..x' is neither ? nor ?FROM..TO" calibrate --policy "monitor:score=lse,above=?1..x"
refuse 2 "'?1..1' is neither" calibrate --policy "monitor:score=lse,above=?1..1"
refuse 2 "else above=?FROM..TO" calibrate --policy "monitor:score=lse,above=?"
refuse 1 "keep=1.000000 has p" calibrate --policy "window-floor:score=token_logp,window=2,warmup=2,keep=?" --alpha 0.05

# Questions of the same text are one unit, however often they stand there; the risk of a setting is that of all.
python3 - "$trace" "$work/copies.jsonl" <<'PY'
import json, sys
head, *lines = map(json.loads, open(sys.argv[1]))
names = list(dict.fromkeys(line["prompt"] for line in lines))
with open(sys.argv[2], "w") as out:
    print(json.dumps(head | {"questions": {again + name: name for name in names for again in ("", "again-")}}), file=out)
    for line in lines:
        print(json.dumps(line), file=out)
        print(json.dumps(line | {"prompt": "again-" + line["prompt"]}), file=out)
PY
calibrate --policy "$floor" --json >"$work/once" || complain "calibrate failed"
calibrate --policy "$floor" --json "$work/copies.jsonl" >"$work/log" 2>&1 && complain "a question in two recordings was taken"
"$VETO" calibrate --policy "$floor" --json -o "$work/policy.json" "$work/copies.jsonl" >"$work/twice" || complain "calibrate failed with copies"
cases=$((cases + 1))
python3 - "$work/once" "$work/twice" <<'PY' || complain "copies count: $(cut -c1-200 "$work/once" "$work/twice")"
import json, sys
once, twice = [{k: v for k, v in json.load(open(path)).items() if k not in ("policy", "list")} for path in sys.argv[1:]]
sys.exit(once != twice)
PY
"$VETO" evaluate --json --policy floor:score=token_logp,threshold=-2 "$trace" | sed 's/"questions.*"saved"/"saved"/; s/"right":.*"risk_c/"risk_c/' >"$work/once"
"$VETO" evaluate --json --policy floor:score=token_logp,threshold=-2 "$work/copies.jsonl" | sed 's/"questions.*"saved"/"saved"/; s/"right":.*"risk_c/"risk_c/' >"$work/twice"
cases=$((cases + 1))
cmp "$work/once" "$work/twice" || complain "copies make intervals narrower: $(cut -c1-300 "$work/once" "$work/twice")"

# Nothing that is read is written over.
cp "$work/first.json" "$work/kept.json"
echo '{"q0": "fit"}' >"$work/parts.json"
refuse 2 "-o $work/kept.json is a file that is read" "$VETO" calibrate --policy "$work/kept.json" --policy "$floor" -o "$work/kept.json" "$trace"
refuse 2 "-o $work/parts.json is a file that is read" "$VETO" calibrate --policy "$floor" --split "$work/parts.json" -o "$work/parts.json" "$trace"
refuse 2 "--report $work/kept.json is a file that is read" "$VETO" evaluate --policy "esc + $work/kept.json" --report "$work/kept.json" "$trace"
refuse 2 "--report $work/parts.json is a file that is read" "$VETO" evaluate --split "$work/parts.json" --report "$work/parts.json" "$trace"
cmp "$work/first.json" "$work/kept.json" || complain "a policy was written over"

# Where nothing has labels there is nothing to say.
sed 's/"correct": [a-z]*/"correct": null/' "$trace" >"$work/unlabelled.jsonl"
refuse 1 "has 0 questions that count (" "$VETO" calibrate --policy "$floor" -o "$work/policy.json" "$work/unlabelled.jsonl" --split 0.3,0.5,0.2
refuse 1 "the recording has no question whose candidates all have \"correct\"" "$VETO" evaluate "$work/unlabelled.jsonl"
refuse 1 "test part has no question" "$VETO" evaluate --split 0.5,0.5,0 --part test "$trace"
mkdir "$work/a\"b.json" && cp "$work/first.json" "$work/a\"b.json/p.json"
(echo "{" && sed -n '2,/shadow/p' "$work/first.json" | sed '$s/,$//' && echo "}") >"$work/a\"b.json/p.json"
expect '"risk":' calibrate --json --alpha 0.3 --policy "$work/a\"b.json/p.json" --policy "$floor"
holds 'len(d["list"]) > 10'

progress "setting 1 of 100" "$VETO" calibrate --policy "$floor" -o "$work/policy.json" "$trace"
progress "reading $trace" "$VETO" evaluate "$trace"

# Several lists with the same questions share delta.
expect '"lists":1000' calibrate --policy "$floor" --lists 1000 --json
holds 'd["delta"] == 0.1 and d["p"] <= 0.0001 < d["list"][-1]["p"]'
grep -q '"calibrated_lists": 1000' "$work/policy.json" || complain "lists: $(cat "$work/policy.json")"
refuse 2 "--lists 0" calibrate --policy "$floor" --lists 0
refuse 2 "--cohort 5 is above the recording's 4 candidates" calibrate --policy "$floor" --cohort 5
expect "on the test part" calibrate --policy "$floor" --cohort 1
expect "saved" "$VETO" evaluate --cohort 1 --policy "$work/policy.json" "$trace"

# The policy file says what it was calibrated for, and is held to it; samplers are compared by what they say.
python3 - "$trace" "$work" <<'PY'
import json, sys
lines = open(sys.argv[1]).read().split("\n")
head = json.loads(lines[0]) | {"model": "M", "sampler": {"temperature": 0.7, "min_p": 0.05}, "template": "T", "source": "exact"}
for name, change in {"stated": {}, "alike": {"sampler": {"min_p": 5e-2, "top_p": 1.0, "temperature": 0.70}}, "model": {"model": "N"},
        "sampler": {"sampler": {"temperature": 0.8, "min_p": 0.05}}, "typical": {"sampler": {"temperature": 0.7, "min_p": 0.05, "typical": 0.9}},
        "template": {"template": "U"}, "source": {"source": "top-k:5"}, "renamed": {"model": "N", "fingerprint": "1 Q8_0"},
        "marked": {"fingerprint": "1 Q8_0"}, "other": {"fingerprint": "2 Q8_0"}}.items():
    open(f"{sys.argv[2]}/{name}.jsonl", "w").write("\n".join([json.dumps(head | change)] + lines[1:]))
PY
expect "on the test part" "$VETO" calibrate --policy "floor:score=token_logp,window=8,threshold=?" -o "$work/stated.json" "$work/stated.jsonl"
for file in stated alike; do
	expect "saved" "$VETO" evaluate --policy "$work/stated.json" "$work/$file.jsonl"
	[ ! -s "$work/stderr" ] || complain "$file: $(cat "$work/stderr")"
done
refuse 2 "it was calibrated for the model M, and this is N" "$VETO" evaluate --policy "$work/stated.json" "$work/model.jsonl"
refuse 2 'it was calibrated for the sampler {"temperature":0.7,"min_p":0.05}, and this is {"temperature":0.8' "$VETO" evaluate --policy "$work/stated.json" "$work/sampler.jsonl"
refuse 2 "it was calibrated for the sampler" "$VETO" evaluate --policy "$work/stated.json" "$work/typical.jsonl"
refuse 2 "it was calibrated for the template T, and this is U" "$VETO" evaluate --policy "$work/stated.json" "$work/template.jsonl"
refuse 2 "it was calibrated for the source exact, and this is top-k:5" "$VETO" evaluate --policy "$work/stated.json" "$work/source.jsonl"
expect "on the test part" "$VETO" calibrate --policy "floor:score=token_logp,window=8,threshold=?" -o "$work/marked.json" "$work/marked.jsonl"
expect "saved" "$VETO" evaluate --policy "$work/marked.json" "$work/renamed.jsonl"
refuse 2 "it was calibrated for the fingerprint 1 Q8_0, and this is 2 Q8_0" "$VETO" evaluate --policy "$work/marked.json" "$work/other.jsonl"
expect "saved" "$VETO" evaluate --policy "$work/first.json" "$work/stated.jsonl"
grep -q "does not say for which sampler it was calibrated" "$work/stderr" || complain "no word of what can't be compared: $(cat "$work/stderr")"

# A risk of answers is that of a selector.
expect "on the test part" calibrate --risk answer --policy "floor:score=token_logp,window=8,threshold=?" --alpha 0.3
refuse 2 "its risk of answers was calibrated with another selector than --select sharpening" \
	"$VETO" evaluate --policy "$work/policy.json" --select sharpening "$trace"
expect "saved" "$VETO" evaluate --policy "$work/policy.json" "$trace"
expect "there is no test part to look at" calibrate --policy "floor:score=token_logp,window=8,threshold=?" --split 0.4,0.6,0
expect "threshold=" calibrate --policy "floor:score=token_logp,rungs=2+3+4+5+6+7+8+9,threshold=?" --alpha 0.3
rm -f "$work/policy.json"

for bad in floor:threshold=1 "floor:threshold=? + floor:threshold=?" "floor:threshold=?,window=?"; do
	refuse 2 "expected one rule with one free number" calibrate --policy "$bad"
done
refuse 2 "what can be free without a range is threshold of floor, and keep; else window=?FROM..TO" calibrate --policy "floor:score=token_logp,window=?,threshold=1"
refuse 2 "unknown policy 'flor'" calibrate --policy "flor:threshold=?"
refuse 2 "threshhold" calibrate --policy "floor:threshhold=?"
refuse 2 "window=?64..2.5: 2.5 is no whole number" calibrate --policy "floor:score=token_logp,threshold=-1,window=?64..2.5"
refuse 2 "score=self_certainty: the recording has no such score" calibrate --policy "floor:threshold=?"
refuse 2 "--alpha 1: it lies between 0 and 1" calibrate --policy "floor:threshold=?" --alpha 1
refuse 2 "--risk 'all': unknown" calibrate --policy "floor:threshold=?" --risk all
refuse 2 "--policy and -o are needed" "$VETO" calibrate "$trace"
refuse 1 "can't write '/nowhere/p.json'" "$VETO" calibrate --policy "floor:score=token_logp,window=8,threshold=?" -o /nowhere/p.json "$trace"
finish
