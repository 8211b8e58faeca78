#!/usr/bin/env bash
# veto run on a real model: what it prints, what it writes, how it ends, and what it refuses.
# shellcheck source=tests/system/lib.sh
. "$SOURCE/tests/system/lib.sh"

model=${MODEL:-$("$SOURCE/host/setup.sh" model)} || exit 1
# Short runs: the tests share the machine.
run() { "$VETO" run -m "$model" --seed 3 "$@"; }
field() { python3 -c 'import json, sys; d = json.loads(sys.stdin.readlines()[int(sys.argv[1])]); print(eval(sys.argv[2]))' "$@"; }
equal() {
	cases=$((cases + 1))
	[ "$1" = "$2" ] || complain "$3: '$1', expected '$2'"
}
question="What is the capital of France?"
answer='regex:capital of France is ([A-Z][a-z]+)'

# The line and the summary of one prompt.
expect "1: answer 'paris'; kept " run -p "$question" -n 4 --max-tokens 24 --answer "$answer" --policy gate:rungs=3,keep=0.5
grep -q "rejected at token 3 by gate: self_certainty " "$work/stdout" || complain "no reason for a rejection"
grep -q "rejected by rule    2: gate:score=self_certainty,keep=0.5,rungs=3" "$work/stdout" || complain "no count by rule"
for line in "tokens generated" "tokens saved        about" "wall time" "of it scoring and deciding"; do
	grep -q "$line" "$work/stdout" || complain "the summary lacks '$line'"
done

# Lockstep over two prompts at once in one process; known answers; JSON.
cat >"$work/prompts" <<'JSON'
{"id": "fr", "prompt": "What is the capital of France?", "answer": "Paris"}

{"id": "it", "prompt": "What is the capital of Italy?", "answer": 5}
JSON
run --prompts "$work/prompts" -n 3 --max-tokens 12 --answer 'regex:is ([A-Z][a-z]+)' --json >"$work/a" || complain "run failed"
equal "$(wc -l <"$work/a")" 3 "JSON lines"
equal "$(field 0 'd["id"]' <"$work/a")" fr "id"
equal "$(field 0 'd["right"]' <"$work/a")" True "a right answer"
equal "$(field 1 'd["right"]' <"$work/a")" False "a wrong answer"
equal "$(field 2 'd["summary"]["prompts"], d["summary"]["known_answers"], d["summary"]["right"]' <"$work/a")" "(2, 2, 1)" "summary"
# The same seeds give the same texts, wherever the prompt stands in the file.
run -p "What is the capital of Italy?" -n 3 --max-tokens 12 --json >"$work/b"
equal "$(field 0 '[c["text"] for c in d["candidates"]]' <"$work/b")" \
	"$(field 1 '[c["text"] for c in d["candidates"]]' <"$work/a")" "texts of the same seeds"

# A rejected candidate writes no further token; waiting ones take its slot.
run -p "$question" -n 6 --cohort 2 --max-tokens 10 --policy floor:window=2,threshold=2000 --json >"$work/a"
equal "$(field 0 '[(c["state"], c["tokens"]) for c in d["candidates"][1:]]' <"$work/a")" \
	"[('rejected', 2), ('rejected', 2), ('rejected', 2), ('rejected', 2), ('rejected', 2)]" "rejected after two tokens"
equal "$(field 0 'd["candidates"][1]["verdict"], d["candidates"][1]["threshold_q20"]' <"$work/a")" "('REJECT', 2097152000)" "reason"
# Its cells are freed: there is room for two candidates of 40 tokens, and 40 of 12 tokens follow each other.
expect "39 rejected" run -p "Tell me about the history of Rome." -n 40 --cohort 2 --max-tokens 40 --policy floor:window=12,threshold=2000
# The others wait for the warm-up, and then they run.
run -p "$question" -n 4 --max-tokens 8 --policy window-floor:window=2,warmup=2,keep=0 --json >"$work/a"
equal "$(field 0 '[c["tokens"] > 0 for c in d["candidates"]]' <"$work/a")" "[True, True, True, True]" "warm-up"
equal "$(field 1 '[d["summary"]["kept"] + d["summary"]["rejected"], d["summary"]["voteless"], d["summary"]["cut_off"] <= d["summary"]["kept"]]' <"$work/a")" \
	"[3, 1, True]" "counts after a warm-up"
# Settled candidates are stopped.
run -p "$question" -n 6 --cohort 3 --max-tokens 24 --answer "$answer" --policy consensus:min_answers=2,weight=none --json >"$work/a"
equal "$(field 0 'd["settled"], any(c["state"] == "settled" for c in d["candidates"])' <"$work/a")" "(True, True)" "settled"
# The model is asked on a copy: whoever is not rejected writes what it writes otherwise.
run -p "$question" -n 4 --max-tokens 12 --policy self-evaluate:at=2+4,below=1,shadow=1 --compare --json >"$work/a"
equal "$(field 0 'd["questions"], d["think_tokens"], len(d["shadow"]), d["full"]["questions"]' <"$work/a")" "(3, 0, 3, 0)" "questions"
equal "$(field 0 '[c["text"] for c in d["candidates"]] == [c["text"] for c in d["full"]["candidates"]]' <"$work/a")" True "texts beside questions"
equal "$(field 0 'd["shadow"][0]["score"], 0 < d["shadow"][0]["score_q20"] < 1 << 20' <"$work/a")" "('subset_first', True)" "probability of yes"
# What is asked is what the candidate wrote, and the question.
for ask in "Reply Yes." "Reply No."; do
	run -p "Say: the sky is blue." -n 2 --max-tokens 6 --temperature 0 --policy "self-evaluate:at=4,below=1,shadow=1,ask= $ask" --json |
		field 0 'd["shadow"][0]["score_q20"]'
done >"$work/asked"
equal "$(sort -u "$work/asked" | wc -l)" 2 "replies to two questions: $(tr '\n' ' ' <"$work/asked")"
expect "3 rejected" run -p "$question" -n 4 --max-tokens 12 --policy self-evaluate:at=2,below=1
# A candidate that the model calls complete and right settles the prompt; it depends on the seed whether one does.
for seed in 1 2 3 4 5 6; do
	"$VETO" run -m "$model" --seed "$seed" -p "What is the capital of Italy? Tell a little about it." -n 8 --max-tokens 60 --json \
		--policy "detect:words=.|is|the,k=1,think=8" >"$work/a"
	[ "$(field 0 'd["settled"]' <"$work/a")" = False ] || break
done
equal "$(field 0 'd["settled"], "completed" in [c["state"] for c in d["candidates"]]' <"$work/a")" "(True, True)" "complete"
equal "$(field 0 'all(c["tokens"] < 60 for c in d["candidates"] if c["state"] == "completed")' <"$work/a")" True "ended there"
# Slow verdicts come behind thoughts.
for seed in 1 2 3 4 5 6; do
	"$VETO" run -m "$model" --seed "$seed" -p "What is 2+2? Reply with a short sentence and then check it." -n 6 --max-tokens 40 --json \
		--policy "detect:words=.|=|:,k=64,agreement=1,think=5" >"$work/a"
	[ "$(field 0 'd["think_tokens"]' <"$work/a")" = 0 ] || break
done
equal "$(field 0 'd["think_tokens"] > 0 and d["think_tokens"] <= 5 * d["questions"]' <"$work/a")" True "thoughts"
# A policy that was calibrated for another run is refused before anything is written.
cat >"$work/calibrated.json" <<'JSON'
{"policy": "gate", "rungs": 3, "calibrated_alpha": 0.1, "calibrated_candidates": 4, "calibrated_cohort": 4, "calibrated_max_tokens": 12,
	"calibrated_sampler": "{\"temperature\":0.7,\"min_p\":0.05}", "calibrated_template": "of the model", "calibrated_source": "exact",
	"calibrated_step": "\n", "calibrated_answer": "last-line", "calibrated_model": "another", "calibrated_checksum": "0"}
JSON
# shellcheck disable=SC2317 # It is called by refuse and expect.
ruled() { "$VETO" run -m "$model" -p "$question" -n 4 --max-tokens 12 --policy "$work/calibrated.json" --journal "$work/unwritten" "$@"; }
refuse 2 "it is not as calibrate wrote it" ruled
reseal "$work/calibrated.json"
refuse 2 "it was calibrated for the model another, and this is ${model##*/}" ruled
[ ! -e "$work/unwritten" ] || complain "a journal was written"
sed -i "s/another/${model##*/}/" "$work/calibrated.json"
reseal "$work/calibrated.json"
expect "3 rejected" ruled
refuse 2 "it was calibrated for the answer last-line, and this is last-number" ruled --answer last-number
refuse 2 'it was calibrated for steps that end with "\u000a", and these end with "."' ruled --step .
refuse 2 "its risk was calibrated without floor:score=margin,window=4,threshold=1" ruled --policy floor:score=margin,window=4,threshold=1
expect "3 rejected" ruled --policy consensus
refuse 2 "it was calibrated for the sampler" ruled --temperature 0.8
refuse 2 "it was calibrated for 12 tokens at most, and there are 13" ruled --max-tokens 13
refuse 2 "it was calibrated for 4 candidates, and there are 5" ruled -n 5
# In shadow nothing is stopped.
run -p "$question" -n 4 --max-tokens 8 --policy gate:rungs=2,shadow=1 --json >"$work/a"
equal "$(field 0 'len(d["shadow"]), d["shadow"][0]["policy"], [c["state"] for c in d["candidates"] if c["state"] == "rejected"]' <"$work/a")" \
	"(3, 'gate', [])" "shadow"
expect "in shadow rejected at token 2 by gate: self_certainty " run -p "$question" -n 4 --max-tokens 4 --policy gate:rungs=2,shadow=1

# What is drawn: at temperature 0, or from the likeliest token alone, always the same text; else texts that the seed decides.
texts() { run -p "$question" -n 4 --max-tokens 6 --json "$@" | field 0 'sorted({c["text"] for c in d["candidates"]})'; }
likeliest=$(texts --temperature 0)
equal "$(python3 -c "print(len($likeliest))")" 1 "texts at temperature 0"
equal "$(texts --temperature 3 --min-p 0 --top-p 0.00001)" "$likeliest" "texts of the likeliest token by top-p"
equal "$(texts --temperature 3 --min-p 1)" "$likeliest" "texts of the likeliest token by min-p"
drawn=$(texts --temperature 3 --min-p 0)
equal "$(python3 -c "print(len($drawn))")" 4 "texts at temperature 3"
equal "$(texts --temperature 3 --min-p 0)" "$drawn" "texts of the same seed"
[ "$(texts --temperature 3 --min-p 0 --seed 4)" != "$drawn" ] || complain "another seed gives the same texts"

# Candidates that are cut off have no answer; sums count what the candidates say.
run -p "$question" -n 5 --max-tokens 8 --temperature 1.2 --json >"$work/a"
equal "$(field 0 '[c for c in d["candidates"] if c["state"] == "cut_off" and "answer" in c], any(c["state"] == "cut_off" for c in d["candidates"])' <"$work/a")" \
	"([], True)" "answers of candidates that are cut off"
cut=$(field 0 'sum(c["state"] == "cut_off" for c in d["candidates"])' <"$work/a")
equal "$(field 1 'd["summary"]["cut_off"], d["summary"]["scoring_s"] >= 0, d["summary"]["scoring_share"] > 0' <"$work/a")" "($cut, True, True)" "sums"
# The chosen answer is judged, not the first candidate's.
run --prompts "$work/prompts" -n 6 --max-tokens 16 --temperature 1.5 --answer "$answer" --json >"$work/a"
equal "$(field 0 'd["right"] == (d["answer"] == "paris"), d["candidates"][0].get("answer") == "paris", d["right"]' <"$work/a")" \
	"(True, False, True)" "right, and not by candidate 0"

# A prompt of more tokens than a batch.
expect "1 candidates kept" run -p "$(yes word | head -n 700 | tr '\n' ' ')" -n 1 --max-tokens 2

# --compare generates the same seeds without rejecting.
run -p "$question" -n 4 --max-tokens 12 --policy gate:rungs=2 --compare --json >"$work/a"
equal "$(field 0 'd["tokens"] < d["full"]["tokens"]' <"$work/a")" True "tokens without rejecting"
equal "$(field 1 'd["summary"]["tokens_saved"] == d["summary"]["full"]["tokens"] - d["summary"]["tokens"]' <"$work/a")" True "saved"
run -p "$question" -n 4 --max-tokens 24 --policy gate:rungs=12,keep=0.75 --compare --json >"$work/a"
equal "$(field 1 'd["summary"]["finished_in_both"], d["summary"]["text_changed"]' <"$work/a")" "$(field 0 \
	'[(len(b), sum(x["text"] != y["text"] for x, y in b)) for b in [[(x, y) for x, y in zip(d["candidates"], d["full"]["candidates"]) if {x["state"], y["state"]} <= {"finished", "cut_off"}]]][0]' <"$work/a")" "texts that changed"
expect "tokens saved by rejecting: " run -p "$question" -n 4 --max-tokens 6 --policy gate:rungs=2 --compare

# On every device the same answers, scores and verdicts.
alike() {
	run --prompts "$work/prompts" -n 4 --max-tokens 16 --temperature 1.2 --policy gate:rungs=2+5,keep=0.5 --policy floor:window=4,threshold=5 \
		--compare --json -d "$1" | sed -E 's/"(wall_ns|scoring_ns|wall_s|scoring_s|scoring_share)":[0-9.]+/"\1":0/g'
}
alike cpu:isa=portable >"$work/a"
grep -q '"verdict":"REJECT"' "$work/a" || complain "nobody was rejected"
for device in $DEVICES; do
	cases=$((cases + 1))
	"$VETO" score -d "$device" "$SOURCE/tests/golden/top-2-fp32.npy" >/dev/null 2>&1 || continue # not on this processor
	alike "$device" >"$work/b"
	cmp -s "$work/a" "$work/b" || complain "$device: $(diff "$work/a" "$work/b" | head -n 4)"
done

# --rows holds every row that was scored, and they score to what the session saw.
run -p "$question" -n 2 --max-tokens 6 --rows "$work/rows.npy" --policy floor:window=1,threshold=2000,min_survivors=0 --json >"$work/a"
"$VETO" score --json "$work/rows.npy" >"$work/scores" || complain "the rows can't be scored"
equal "$(wc -l <"$work/scores")" 2 "rows written"
together=()
for device in $DEVICES; do
	"$VETO" score -d "$device" "$SOURCE/tests/golden/top-2-fp32.npy" >/dev/null 2>&1 && together+=(-d "$device")
done
"$VETO" score --json "${together[@]}" "$work/rows.npy" | cmp -s "$work/scores" - || complain "the rows score otherwise on another of ${together[*]}"
equal "$(field 0 'd["candidates"][1]["score_q20"]' <"$work/a")" "$(field 1 'd["self_certainty_q20"]' <"$work/scores")" "score of a row"

# Rows that can't be written, and a closed standard output, whose place the rows must not take.
cases=$((cases + 2))
run -p "$question" -n 1 --max-tokens 2 --rows /dev/full >/dev/null 2>"$work/stderr" && complain "rows on a full device: exit code 0"
grep -q "can't write '/dev/full': No space left" "$work/stderr" || complain "rows on a full device: $(cat "$work/stderr")"
run -p "$question" -n 1 --max-tokens 2 --rows "$work/rows.npy" >&-
"$VETO" score "$work/rows.npy" >/dev/null || complain "results were written into the rows"

# Ctrl-C ends with the summary so far.
cases=$((cases + 1))
for i in $(seq 200); do echo "{\"prompt\": \"Tell me a long story about the number $i.\"}"; done >"$work/stories"
"$VETO" run -m "$model" --prompts "$work/stories" -n 4 --max-tokens 100 >"$work/stdout" 2>"$work/stderr" &
pid=$! # of veto itself: a function would run in a shell of its own, which ignores the signal
for _ in $(seq 300); do
	grep -q '^1: ' "$work/stdout" && break
	sleep 0.1
done
kill -INT $pid
wait $pid
equal $? 1 "exit code after Ctrl-C"
grep -q '^interrupted: ' "$work/stdout" || complain "Ctrl-C: no word of it: $(tail -n 5 "$work/stdout")"
grep -q 'tokens generated' "$work/stdout" || complain "Ctrl-C: no summary: $(tail -n 5 "$work/stdout")"

# Ten rows and more are in the file that the run has just begun.
wait_for_rows() {
	for _ in $(seq 300); do
		[ "$(stat -c %s "$work/long.npy" 2>/dev/null || echo 0)" -gt 2000000 ] && break
		sleep 0.1
	done
}

cases=$((cases + 1))
"$VETO" run -m "$model" -p "Tell me a long story." -n 4 --max-tokens 2000 --compare --rows "$work/long.npy" >"$work/stdout" 2>"$work/stderr" &
pid=$!
wait_for_rows
kill -INT $pid
wait $pid
grep -q 'besides, the prompt that was interrupted: [1-9]' "$work/stdout" || complain "Ctrl-C in a comparison: $(tail -n 5 "$work/stdout")"

# Whatever ends it, the rows written so far are there.
rm "$work/long.npy"
"$VETO" run -m "$model" -p "Tell me a long story." -n 4 --max-tokens 2000 --rows "$work/long.npy" >/dev/null 2>&1 &
pid=$!
wait_for_rows
kill -KILL $pid
wait $pid 2>/dev/null
expect '"row":9,' "$VETO" score --json "$work/long.npy"

# On a terminal: a line a candidate, redrawn. %q quotes for bash: script starts $SHELL, or sh where it is unset.
cases=$((cases + 1))
SHELL=$BASH script -qec "$(printf '%q ' "$VETO" run -m "$model" -p $'What is the capital\nof France?' -n 3 --max-tokens 40 --temperature 1.5)" \
	/dev/null >"$work/screen" </dev/null
grep -q 'What is the capital of France?' "$work/screen" || complain "the prompt is not shown on one line"
grep -q '   2 writing .* tokens  self-certainty' "$work/screen" || complain "no live line of candidate 2"
grep -q $'\033\\[4A' "$work/screen" || complain "the live lines are not redrawn"

# Bad models and prompts: one line, nothing written.
gguf=$SOURCE/tests/system/gguf.py
echo "no model" >"$work/text.gguf"
head -c 100000 "$model" >"$work/cut.gguf"
python3 "$gguf" make "$work/bert.gguf" bert 100
python3 "$gguf" make "$work/wide.gguf" llama 262145
echo '{"prompt": "x", "answr": 1}' >"$work/key"
printf '{"prompt": "x"}\n{"prompt": }\n' >"$work/json"
printf '\n' >"$work/none"
echo '{"prompt": ["a", "b"]}' >"$work/array"
printf '{"prompt": "a"}\000{"prompt": "b"}\n' >"$work/nul"
echo '{"policy": "gate", "keep": 2}' >"$work/gate.json"
bad() { refuse 2 "$1" "$VETO" run -m "${@:2}"; }
bad "can't read the model '$work/no.gguf'" "$work/no.gguf" -p x
bad "'$work/text.gguf' is no model that llama.cpp can load" "$work/text.gguf" -p x --rows "$work/unwritten.npy"
bad "'$work/cut.gguf' is no model that llama.cpp can load" "$work/cut.gguf" -p x
bad "'$work/bert.gguf' has no logits" "$work/bert.gguf" -p x
bad "'$work/wide.gguf' has a vocabulary of 262145 tokens: 1 to 262144" "$work/wide.gguf" -p x
bad "exceeds the model's context of 8192" "$model" -p "$(yes word | head -n 9000 | tr '\n' ' ')"
bad "exceeds the model's context of 8192" "$model" -p x --max-tokens 8192
bad "$work/key:1:17: unknown key \"answr\"" "$model" --prompts "$work/key"
bad "$work/json:2:12: this is not JSON" "$model" --prompts "$work/json"
bad "$work/none: there is no prompt in it" "$model" --prompts "$work/none"
bad "$work/array:1:2: the value of \"prompt\" is neither text nor number" "$model" --prompts "$work/array"
bad "$work/nul:1:16: a NUL can't stand in a text" "$model" --prompts "$work/nul"
bad "can't read '$work'" "$model" --prompts "$work"
bad "exceeds the model's context of 8192" "$model" -p "$(yes word | head -n 9000)"
bad "300 candidates at a time: llama.cpp writes 255 at most; see --cohort and --beam" "$model" -p x -n 300
bad "can't open '$work/no-file'" "$model" --prompts "$work/no-file"
bad "one of -p TEXT and --prompts FILE" "$model"
bad "one of -p TEXT and --prompts FILE" "$model" -p x --prompts "$work/key"
bad "-p: the prompt is empty" "$model" -p ""
bad "--cohort 9 is above the 8 candidates" "$model" -p x --cohort 9
bad "unknown policy 'gat'" "$model" -p x --policy gat
bad "gate: keep=2: '2' is not a number in the range above 0 to 1" "$model" -p x --policy gate:keep=2
bad "$work/gate.json:1:20: gate: keep=2" "$model" -p x --policy "$work/gate.json"
bad "can't open '$work/no.json'" "$model" -p x --policy "$work/no.json"
bad "gate: score=subset_mass: the rows of this stream come without that score" "$model" -p x --policy gate:score=subset_mass
bad "this policy selects; use --select" "$model" -p x --policy majority
bad "this policy does not select; use --policy" "$model" -p x --select gate
bad "warmup=16 leaves none of 8 candidates" "$model" -p x --policy window-floor
bad "--answer first: expected last-number" "$model" -p x --answer first
bad "--temperature -1: expected a number from 0 to 100" "$model" -p x --temperature -1
bad "-n 0: expected a whole number from 1 to 4096" "$model" -p x -n 0
bad "unknown device 'xpu:'" "$model" -p x -d xpu:
bad "can't write '/nowhere/rows.npy'" "$model" -p x --rows /nowhere/rows.npy
refuse 2 "-m MODEL.gguf is needed" "$VETO" run -p x
refuse 2 "unknown option '--polcy'" "$VETO" run --polcy x
[ ! -e "$work/unwritten.npy" ] || complain "--rows was written although the model is bad"

# Rows with NaN: counted, warned of once, nobody rejected for them.
python3 "$gguf" spoil "$model" "$work/nan.gguf" 40000
expect "0 rejected" "$VETO" run -m "$work/nan.gguf" -p "$question" -n 4 --max-tokens 6 --policy gate:rungs=2
equal "$(grep -c 'NaN, saturated or no logits (prompt 1' "$work/stderr")" 1 "warnings"
grep -qE 'veto run: [0-9]+ rows had NaN' "$work/stderr" || complain "NaN rows are not counted"
expect "1: " "$VETO" run -m "$work/nan.gguf" -p "$question" -n 2 --max-tokens 3 --policy window-floor:warmup=1,window=2
equal "$("$VETO" run -m "$work/nan.gguf" -p "$question" -n 2 --max-tokens 3 --policy window-floor:warmup=1,window=9 2>&1 >/dev/null |
	grep -c 'window-floor can reject nobody: its first look is at token 9, and candidates have 3 at most')" 1 "warnings of a window that never fills"
grep -q 'too few warm-up candidates finished with a score' "$work/stderr" || complain "no word of a warm-up without a threshold"
python3 "$gguf" spoil "$model" "$work/blank.gguf"
expect "kept 0, lost 2, 2 tokens" "$VETO" run -m "$work/blank.gguf" -p "$question" -n 2 --max-tokens 6
grep -q 'veto run: 2 rows had NaN' "$work/stderr" || complain "rows of nothing but NaN are not counted"

# A chat template that llama.cpp does not know: said once.
python3 "$gguf" retemplate "$model" "$work/template.gguf"
expect "1: " "$VETO" run -m "$work/template.gguf" -p "$question" -n 1 --max-tokens 3
grep -q "does not know the model's chat template" "$work/stderr" || complain "no word of an unknown chat template"
finish
