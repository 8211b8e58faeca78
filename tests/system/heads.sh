#!/usr/bin/env bash
# veto head, and what it makes: heads of every published shape, tables, fingerprints of models.
# shellcheck source=tests/system/lib.sh
. "$SOURCE/tests/system/lib.sh"

python3 "$SOURCE/tests/system/heads.py" "$work" || exit 1

# near WHAT A B WITHIN: two files of numbers.
near() {
	cases=$((cases + 1))
	paste "$2" "$3" | awk -v within="$4" 'NF != 2 || ($1 - $2) ^ 2 > within ^ 2 { bad = 1; print } END { exit bad || NR == 0 }' >"$work/far" ||
		complain "$1: $(head -n 2 "$work/far")"
}
reward() { python3 -c 'import json, sys
for line in sys.stdin:
    d = json.loads(line)
    print(d["reward_q31"] / 2**31 if "reward_q31" in d else d["reward_q16"] / 2**16)'; }

# What a device says of itself; one that this processor lacks can nothing.
"$VETO" devices --json >"$work/devices"
can_score() { grep -F "{\"device\":\"${1%,threads=*}\"," "$work/devices" | grep -q "\"heads\":\[[^]]*\"$2\""; }
sort_of() {
	case $1 in
	qwen-* | sprm | probe | coderl) echo two-layer ;;
	*) echo one-layer ;;
	esac
}
can_score cpu: one-layer || complain "cpu: takes no heads: $(cat "$work/devices")"

for file in "$work"/*.safetensors; do
	shape=$(basename "$file" .safetensors)
	for bits in "" --int8; do
		[ "$shape$bits" != subspace--int8 ] || continue
		"$VETO" head import --shape "$shape" $bits -o "$work/$shape.head" "$file" >"$work/stdout" 2>"$work/stderr" ||
			complain "$shape: $(cat "$work/stderr")"
		grep -q 'without --backbone nothing keeps the head from states of another model' "$work/stderr" || complain "$shape: no warning"
		[ "$shape" = subspace ] || grep -q "; outputs differ from those of the floats by up to " "$work/stdout" || complain "$shape$bits: no word of its error"
		"$VETO" score --json --head "$work/$shape.head" "$work/$shape.npy" >"$work/scores" || complain "$shape can't score"
		reward <"$work/scores" >"$work/got"
		near "$shape$bits" "$work/got" "$work/$shape.rewards" "$([ -z "$bits" ] && echo 0.001 || echo 0.05)"
		for device in $DEVICES; do
			can_score "$device" "$(sort_of "$shape")" || continue
			cases=$((cases + 1))
			"$VETO" score --json -d "$device" --head "$work/$shape.head" "$work/$shape.npy" 2>"$work/stderr" | cmp -s "$work/scores" - ||
				complain "$shape$bits: $device scores otherwise: $(cat "$work/stderr")"
		done
	done
done
expect 'layers      96 to 96, ReLU, to 2, int8' "$VETO" inspect "$work/qwen-prm.head"
expect 'output      softmax:1' "$VETO" inspect "$work/qwen-prm.head"
expect '"shape":"sprm","output":"sigmoid","aggregation":"geometric-mean","tap":"layer:-2","backbone":"any"' "$VETO" inspect --json "$work/sprm.head"
expect 'reward' "$VETO" score --head "$work/probe.head" "$work/probe.npy"
"$VETO" head import --shape probe --aggregate mean --tap layer:-3 -o "$work/probe.head" "$work/probe.safetensors" >/dev/null 2>&1
expect '"aggregation":"mean","tap":"layer:-3"' "$VETO" inspect --json "$work/probe.head"

# Raw states, as they lie in memory.
tail -c $((5 * 96 * 4)) "$work/probe.npy" >"$work/probe.raw"
"$VETO" score --json --head "$work/probe.head" "$work/probe.npy" >"$work/scores"
"$VETO" score --json --head "$work/probe.head" "$work/probe.raw" | cmp -s - "$work/scores" || complain "raw states score otherwise"

# What is wrong is said, and nothing is left.
head="$work/probe.head"
refuse 2 "unknown shape 'gpt'; known: qwen-prm" "$VETO" head import --shape gpt -o "$work/x" "$work/probe.safetensors"
refuse 2 "qwen-prm needs a tensor \"score.0.weight\", and there is none" "$VETO" head import --shape qwen-prm -o "$work/x" "$work/probe.safetensors"
refuse 2 "not a safetensors file" "$VETO" head import --shape probe -o "$work/x" "$work/probe.npy"
refuse 2 "import needs --shape, -o and a safetensors file" "$VETO" head import --shape probe "$work/probe.safetensors"
for tap in layer:-+3 layer:-99999999999 layer:-0 layer:-3x; do
	refuse 2 "--tap $tap: expected final_norm or layer:-N" "$VETO" head import --shape probe --tap $tap -o "$work/x" "$work/probe.safetensors"
done
refuse 2 "-o $work/probe.safetensors is the file that is read" "$VETO" head import --shape probe -o "$work/probe.safetensors" "$work/probe.safetensors"
refuse 2 "--tap final: expected final_norm or layer:-N" "$VETO" head import --shape probe --tap final -o "$work/x" "$work/probe.safetensors"
refuse 2 "--aggregate sum: expected last, mean, product, min, geometric-mean or max-pool" "$VETO" head import --shape probe --aggregate sum -o "$work/x" "$work/probe.safetensors"
refuse 1 "can't write '/nowhere/x.partial'" "$VETO" head import --shape probe -o /nowhere/x "$work/probe.safetensors"
refuse 2 "unknown verb 'imp'" "$VETO" head imp
refuse 2 "no sound GGUF: it does not start with 'GGUF'" "$VETO" head import --shape probe --backbone "$work/probe.npy" -o "$work/x" "$work/probe.safetensors"
[ -z "$(find "$work" -name 'x*' -o -name '*.partial')" ] || complain "something was left behind"
head -c 500 "$head" >"$work/cut.head"
refuse 2 "$work/cut.head: " "$VETO" score --head "$work/cut.head" "$work/probe.npy"
refuse 2 "states of 3000 values, and the head reads 96" "$VETO" score --head "$head" "$SOURCE/tests/golden/size-3000-fp32.npy"
refuse 2 "--sch and --logp go together" "$VETO" score --sch "$head" "$work/probe.npy"
refuse 2 "it is a head, and no table: use --head" "$VETO" score --sch "$head" --logp "$work/probe.rewards" --tokens "$work/probe.rewards" "$work/probe.npy"
refuse 2 "one --head or --sch is enough" "$VETO" score --sch "$head" --head "$head" "$work/probe.npy"
refuse 2 "--vocab, --subset and --top-k are of logits, and --head of hidden states" "$VETO" score --head "$head" --vocab 3 "$work/probe.npy"
refuse 2 "--vocab, --subset and --top-k are of logits, and --head of hidden states" "$VETO" score --head "$head" --top-k 0 "$work/probe.npy"

# The table of a real model, and the model's name in every quantisation.
if [ -n "$QUANTIZE" ]; then
	model=${MODEL:-$("$SOURCE/host/setup.sh" model)} || exit 1
	expect '49152 tokens of 576 values, i24, of token_embd.weight' "$VETO" head sch --model "$model" -o "$work/smol.sch"
	expect '49152 tokens of 576 values, i16, of token_embd.weight' "$VETO" head sch --model "$model" --i16 -o "$work/smol16.sch"
	fingerprint=$("$VETO" inspect "$work/smol.sch" | sed -n 's/^backbone *//p')
	"$QUANTIZE" "$model" "$work/again.gguf" >"$work/log" 2>&1 || complain "quantize: $(tail -n 2 "$work/log")"
	expect "of token_embd.weight (q8_0)" "$VETO" head sch --model "$work/again.gguf" -o "$work/again.sch"
	expect "backbone    $fingerprint" "$VETO" inspect "$work/again.sch"
	expect "quantised   Q8_0" "$VETO" inspect "$work/again.sch"
	expect "quantised   Q4_1" "$VETO" inspect "$work/smol.sch"
	# Scores of states of no model: those that lack what a table needs are absent, and the others are not.
	python3 - "$work" <<-'PY'
		import random, struct, sys
		dice = random.Random(1)
		rows = [[dice.gauss(0, 1) for _ in range(576)] for _ in range(6)]
		header = "{'descr': '<f4', 'fortran_order': False, 'shape': (6, 576), }"
		header += " " * ((-len(header) - 11) % 64) + "\n"
		rows[5][7] = float("nan")
		open(sys.argv[1] + "/s.npy", "wb").write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode()
		    + b"".join(struct.pack("<576f", *row) for row in rows))
		open(sys.argv[1] + "/s.tokens", "w").write("0\n49151\n5\n6\n7\n8\n")
		open(sys.argv[1] + "/s.logps", "w").write("-1.5\n0.0005\nnan\n-9999\n-3.4028234663852886e38\n-1\n")
	PY
	score() { "$VETO" score --json --sch "$work/smol.sch" --tokens "$work/s.tokens" --logp "$work/s.logps" "$work/s.npy"; }
	score >"$work/scores" || complain "the table can't score"
	[ "$(grep -c self_certainty_q20 "$work/scores")" = 2 ] || complain "scores: $(cat "$work/scores")"
	grep -q '"row":5,"status":"bad_state","source":"sch"' "$work/scores" || complain "a state with NaN: $(tail -n 1 "$work/scores")"
	echo 49152 >"$work/beyond"
	refuse 2 "$work/beyond:1: token 49152 is not below the vocabulary of 49152" \
		"$VETO" score --sch "$work/smol.sch" --tokens "$work/beyond" --logp "$work/s.logps" "$work/s.npy"
	echo -1,5 >"$work/comma"
	refuse 2 "$work/comma:1: '-1,5' is not a number" \
		"$VETO" score --sch "$work/smol.sch" --tokens "$work/s.tokens" --logp "$work/comma" "$work/s.npy"
	refuse 2 "it is a table: use --sch" "$VETO" score --head "$work/smol.sch" "$work/s.npy"
	refuse 2 "$work/probe.safetensors reads states of 96 values, and $model makes states of 576" \
		"$VETO" head import --shape probe --backbone "$model" -o "$work/x" "$work/probe.safetensors"
	# Live: states at rungs and at step ends, by which a gate ranks; the table's self-certainty lies near that of the logits.
	python3 - "$work" <<-'PY'
		import os, pathlib, random, sys
		sys.path.insert(0, os.environ["SOURCE"] + "/tests/system")
		import heads
		dice = random.Random(2)
		heads.safetensors(pathlib.Path(sys.argv[1]) / "live.safetensors", {"weight": heads.normals(dice, 1, 576, 0.01), "bias": [0.0]})
		heads.safetensors(pathlib.Path(sys.argv[1]) / "plane.safetensors", {"u": [[float(i == k) for i in range(576)] for k in range(3)]})
	PY
	"$VETO" head import --shape probe --backbone "$model" -o "$work/live.head" "$work/live.safetensors" >/dev/null || complain "no head for $model"
	run() { "$VETO" run -m "$model" -p "Name three colours, a line each." --seed 3 -n 4 --max-tokens 24 "$@"; }
	expect 'by gate: reward ' run --head "$work/live.head" --policy gate:rungs=4,keep=0.5
	grep -q 'hidden states       ' "$work/stdout" || complain "no count of states"
	expect '"reward_q31":' run --head "$work/live.head" --json
	expect 'by floor: reward ' run --head "$work/live.head" --policy floor:score=reward,threshold=1
	"$VETO" head import --shape subspace --backbone "$model" -o "$work/plane.head" "$work/plane.safetensors" >/dev/null || complain "no distance"
	expect '"reward_q16":-' run --head "$work/plane.head" --json
	grep -q '"reward_q31"' "$work/stdout" && complain "a distance is no probability: $(head -n 1 "$work/stdout")"
	expect 'by gate: reward -' run --head "$work/plane.head" --policy gate:rungs=4,keep=0.5
	for device in $DEVICES; do
		can_score "$device" one-layer || continue
		cases=$((cases + 1))
		run -d "$device" --head "$work/live.head" --policy gate:rungs=4,keep=0.5 --json 2>"$work/stderr" | grep -v summary | sed -E 's/"[a-z_]*_ns":[0-9]+//g' >"$work/got"
		[ -s "$work/expected" ] || mv "$work/got" "$work/expected"
		[ ! -s "$work/got" ] || cmp -s "$work/got" "$work/expected" || complain "$device runs otherwise: $(cat "$work/got" "$work/stderr")"
	done
	expect 'by gate: self_certainty ' run --head "$work/live.head" --policy gate:rungs=4,keep=0.5,score=self_certainty
	expect 'nats a token away from that of the logits in the mean' run --sch "$work/smol.sch"
	run --sch "$work/smol.sch" --json >"$work/stdout" || complain "a run with a table failed"
	python3 -c 'import json, sys; s = json.loads(sys.stdin.readlines()[-1])["summary"]; sys.exit(not (0 < s["table_difference_mean_nats"] < 0.3 and s["table_compared"] == s["tokens"]))' \
		<"$work/stdout" || complain "the table's self-certainty: $(tail -n 1 "$work/stdout")"
	expect 'nats a token away' run --sch "$work/again.sch"
	grep -q 'warning: the table was made for Q8_0, and the model is Q4_1' "$work/stderr" || complain "no word of the quantisation: $(cat "$work/stderr")"
	# Beams: the worse half goes early in a step, the others fork.
	beams() { "$VETO" run -m "$model" -p "Name three colours, a line each." --seed 3 --beam 4:2 --head "$work/live.head" --max-tokens 24 "$@"; }
	holds() {
		cases=$((cases + 1))
		python3 -c 'import json, sys
d, s = [json.loads(line) for line in sys.stdin]
c, past, s = d["candidates"], d.get("past"), s["summary"]
sys.exit(not eval(sys.argv[1]))' "$1" <"$work/beams" || complain "beams: not $1: $(cat "$work/beams")"
	}
	expect ' rejected at token 4 by partial-reward: reward ' beams --policy partial-reward:tau=4
	grep -qE 'candidate [0-3] forked from [0-3] at token ' "$work/stdout" || complain "no fork: $(cat "$work/stdout")"
	for way in "--temperature 0.7" "--temperature 1.5 --seed 8 --step e" "--seed 4 --select best:score=reward"; do
		# shellcheck disable=SC2086 # Options.
		beams --json --policy partial-reward:tau=4 $way >"$work/beams" 2>/dev/null || complain "beams $way: failed"
		# shellcheck disable=SC2086
		beams --json --policy partial-reward:tau=4 $way 2>/dev/null | sed -E 's/"[a-z_]*(_ns|_s|_share)":[0-9.]+//g' |
			cmp -s - <(sed -E 's/"[a-z_]*(_ns|_s|_share)":[0-9.]+//g' "$work/beams") || complain "beams $way: the same seed goes otherwise"
		holds 'len(c) == 4 and s["kept"] >= 1 and s["kept"] + sum(b["state"] == "rejected" for b in c) == 4'
		holds 's["forked"] == sum(v["verdict"] == "FORK" for v in past) > 0'
		holds 's["rejected"] == sum(v.get("verdict") == "REJECT" for v in past + c) >= 2'
		# What is written once is counted once: paths less what forks have copied.
		holds 's["tokens"] == sum(b["tokens"] for b in c) + sum(v["at_token"] * (1 if v["verdict"] == "REJECT" else -1) for v in past)'
		holds 'all(b["tokens"] <= 24 for b in c)'
	done
	# A fork goes on from its beam's state: its rows are those of the likeliest text, but for the engine's rounding.
	beams --policy partial-reward:tau=2 --step e --temperature 0 --max-tokens 9 --rows "$work/beams.npy" --json >"$work/beams" 2>/dev/null ||
		complain "beams that take the likeliest failed"
	holds 's["forked"] >= 4 and {(b["state"], b["text"]) for b in c} == {("cut_off", c[0]["text"])}'
	run -n 1 --temperature 0 --max-tokens 9 --rows "$work/one.npy" >/dev/null || complain "one candidate failed"
	cases=$((cases + 1))
	python3 - "$work/one.npy" "$work/beams.npy" <<-'PY' || complain "a fork's rows are others"
		import array, struct, sys
		def rows(path):
		    data = open(path, "rb").read()
		    start = 10 + struct.unpack("<H", data[8:10])[0]
		    count, cols = eval(data[10:start])["shape"]
		    values = array.array("f", data[start:])
		    return [values[i * cols : (i + 1) * cols : 7] for i in range(count)]
		one, beams = [rows(path) for path in sys.argv[1:]]
		far = [min(max(abs(x - y) for x, y in zip(row, other)) for other in one) for row in beams]
		sys.exit(max(far) > 2 or len(far) < 20)
	PY
	# Its random numbers are its own.
	beams --json --policy partial-reward:tau=2 --step e --temperature 3 --min-p 0 >"$work/beams" 2>/dev/null
	holds 's["forked"] > 1 and len({b["text"] for b in c}) == 4'
	beams --json --policy partial-reward:tau=4,shadow=1 >"$work/beams" 2>/dev/null || complain "beams in shadow failed"
	holds 'len(d["shadow"]) == 2 and past == [] and s["kept"] == 4'
	beams --json --policy partial-reward:tau=4 --compare >"$work/beams" 2>/dev/null || complain "beams can't be compared"
	holds 's["finished_in_both"] == 1 and sum(b["state"] in ("finished", "cut_off") for b in c) == 2 and s["full"]["kept"] == 4'
	expect ',tau=64,expand=4,' "$VETO" run -m "$model" -p "Hello." --beam 4:4 --head "$work/live.head" --step . --max-tokens 24
	refuse 2 "--beam ranks by rewards: it needs --head FILE" "$VETO" run -m "$model" -p a --beam 4:2
	refuse 2 "--beam says how many candidates there are: leave out -n" beams -n 4
	refuse 2 "--beam says how many candidates there are: leave out --cohort" beams --cohort 4
	refuse 2 "--policy partial-reward:expand=3: --beam says how often a beam forks: leave out expand" beams --policy partial-reward:expand=3
	refuse 2 "--policy partial-reward: it needs --beam N:M" run --head "$work/live.head" --policy partial-reward
	refuse 2 "more than one rule partial-reward" beams --policy partial-reward --policy partial-reward:tau=3
	for bad in 4 4: :2 4:1 2:4 4:2x -4:2 256:2 99999999999999999999999999999999999:2 4:99999999999999999999; do
		refuse 2 "--beam '$bad': expected N:M, M from 2 and N from M to 255" "$VETO" run -m "$model" -p a --head "$work/live.head" --beam "$bad"
	done
	refuse 2 "score=reward: the rows of this stream come without that score" run --policy gate:score=reward
	refuse 2 "$work/smol.sch: it is a table: use --sch" run --head "$work/smol.sch"
	refuse 2 "$work/live.head: it is a head, and no table: use --head" run --sch "$work/live.head"
	refuse 2 "--head is given twice" run --head "$work/live.head" --head "$work/live.head"
	refuse 2 "--beam is given twice" beams --beam 4:2
	refuse 2 "$work/probe.head reads states of 96 values, and $model makes states of 576" run --head "$work/probe.head"
	"$VETO" head import --shape probe --backbone "$model" --tap layer:-2 -o "$work/tap.head" "$work/live.safetensors" >/dev/null
	refuse 2 "the head probe reads the state layer:-2, and this source gives final_norm" run --head "$work/tap.head"
	refuse 2 "--step: the text is empty" run --head "$work/live.head" --step ""
	refuse 2 "can't read '$work/no.head': No such file" run --head "$work/no.head"
	head -c 200000 "$model" >"$work/cut.gguf"
	refuse 2 "$work/cut.gguf: no sound GGUF: it ends too soon at byte " "$VETO" head sch --model "$work/cut.gguf" -o "$work/x"
fi
finish
