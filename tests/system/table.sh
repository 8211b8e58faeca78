#!/usr/bin/env bash
# The table of certified savings, on made questions: each figure is what the program says, and what is tuned is tuned on fit.
# shellcheck source=tests/system/lib.sh
. "$SOURCE/tests/system/lib.sh"

python3 "$SOURCE/tests/system/train.py" "$work" || exit 1
mkdir "$work/made" "$work/turned" "$work/wide" "$work/stateless" "$work/bin"
ln -s "$VETO" "$work/bin/veto"
# Enough questions for alpha 0.1, too few for 0.05; and the same ones with scores that only a window of 8 tells right from wrong by,
# outside of the fit part (turned) or in it (wide).
python3 - "$work" <<'PY' || exit 1
import json, os, sys
work = sys.argv[1]
parts = {f"q{q}": "fit" if q < 14 else "calibrate" if q < 54 else "test" for q in range(60)}
head, *lines = [json.loads(line) for line in open(f"{work}/trace.jsonl")]
def write(name, lines):
    with open(f"{work}/{name}/traces.jsonl", "w") as out:
        out.writelines(json.dumps(o) + "\n" for o in [head, *lines])
    json.dump(parts, open(f"{work}/{name}/split.json", "w"))
    os.symlink(f"{work}/h.npy", f"{work}/{name}/h.npy")
write("made", lines)
def only_by_eight(line):
    dips = [1 if line["correct"] and not 5 <= t < 9 else 3 if line["correct"] else 2.2 for t in range(13)]
    return line | {name: [(i if name == "entropy" else 9 - i if max(line[name]) > 0 else -i) for i in dips] for name in
                   ("self_certainty", "entropy", "logp", "top1_logp", "topk_confidence", "margin")}
write("turned", [x if parts[x["prompt"]] == "fit" else only_by_eight(x) for x in lines])
write("wide", [only_by_eight(x) if parts[x["prompt"]] == "fit" else x for x in lines])
write("stateless", [{k: v for k, v in x.items() if k != "hidden"} for x in lines])
PY
made=$work/made
split=$made/split.json
trace=$made/traces.jsonl
table() { "$SOURCE/tests/bench/table.sh" "$work" "$@" --quick; }

expect "14 / 40 / 6 questions of 4 candidates for fit / calibrate / test" table "$made" --markdown
mv "$work/stdout" "$work/table"
cases=$((cases + 1))
table "$made" --markdown | cmp - "$work/table" || complain "the same command prints another table"

# row NAME ALPHA: the line of a rejecting policy; cell N: a field of the line on stdin.
row() { grep "^| $1.* | $2 |" "$work/table"; }
cell() { cut -d '|' -f "$(($1 + 1))" | sed 's/^ *//; s/ *$//'; }
# shows N FORMAT LINE: field N is what Python's expression makes of the object on stdin, d.
shows() {
	local want
	cases=$((cases + 1))
	want=$(python3 -c 'import json, sys; d = [json.loads(x) for x in sys.stdin]; print(eval(sys.argv[1]))' "f'''$2'''")
	[ "$(cell "$1" <<<"$3")" = "$want" ] || complain "field $1, expected '$want', of: $3"
}

# A floor, a head and DeepConf's rule, certified and evaluated by hand.
certify() { "$VETO" calibrate --delta 0.1 --split "$split" -o "$work/policy.json" "$@" "$trace" >/dev/null || complain "calibrate $*"; }
evaluate() { "$VETO" evaluate --json --split "$split" --select majority --select weighted "$@" "$trace"; }
by_hand() {
	local name=$1 policy=$2 line
	shift 2
	line=$(row "$name" 0.1)
	certify --policy "$policy" --alpha 0.1 "$@"
	evaluate --part calibrate --policy "$work/policy.json" "$@" >"$work/calibrate"
	evaluate --part test --policy "$work/policy.json" "$@" >"$work/test"
	shows 4 '{100 * d[2]["saved"]:.1f} %' "$line" <"$work/calibrate"
	shows 5 '{100 * d[2]["saved"]:.1f} %' "$line" <"$work/test"
	shows 6 '{100 * d[2]["risk_candidate"]:.1f} % ({100 * d[2]["risk_candidate_low"]:.1f} to {100 * d[2]["risk_candidate_high"]:.1f})' "$line" <"$work/test"
	shows 7 '{100 * d[2]["accuracy"]:.1f} % / {100 * d[3]["accuracy"]:.1f} %' "$line" <"$work/test"
	shows 8 '{100 * d[2]["saved_cap"]:.1f} %' "$line" <"$work/test"
	shows 9 '{100 * d[2]["saved_random"]:.1f} %' "$line" <"$work/test"
	shows 10 '{d[2]["latency_tokens"]:.1f}' "$line" <"$work/test"
}
# equal NAME ALPHA POLICY NUMBERS [OPTION]...: what the best of the numbers saves on test, at a risk of at most alpha.
equal() {
	local line best numbers=$4 policy=$3 alpha=$2 policies=()
	line=$(row "$1" "$2")
	shift 4
	for number in $numbers; do policies+=(--policy "$policy=$number"); done
	best=$(evaluate --part test "${policies[@]}" "$@" | python3 -c 'import json, sys
found = [json.loads(line) for line in sys.stdin][::2]
best = max(d["saved"] for d in found if d["risk_candidate"] <= float(sys.argv[1]))
print(f"{100 * best:.1f} %")' "$alpha")
	shows 3 "$best" "$line" </dev/null
}
window() { row "$1" 0.1 | sed 's/.*W \([0-9]*\).*/\1/'; }
for score in self_certainty entropy token_logp top1_logp topk_confidence margin; do
	by_hand "floor: $score," "floor:score=$score,window=$(window "floor: $score,"),threshold=?"
done
for features in "scores steps" "hidden steps" "both steps" "both answer"; do
	"$VETO" head train --features "${features% *}" --labels "${features#* }" --split "$split" -o "$work/own.head" "$trace" >/dev/null
	by_hand "head: ${features/ /, }" "floor:score=reward,threshold=?" --head "$work/own.head"
	equal "head: ${features/ /, }" 0.1 "floor:score=reward,threshold" "$(seq -f %.6f 0.0166666667 0.0166666667 0.99)" --head "$work/own.head"
done
lows=$(python3 - "$trace" "$(window 'floor: token_logp,')" <<'PY'
import json, sys
window = int(sys.argv[2])
for line in [json.loads(line) for line in list(open(sys.argv[1]))[1:]]:
    if int(line["prompt"][1:]) >= 54:
        print(min(sum(line["logp"][t:t + window]) / window for t in range(len(line["logp"]) - window + 1)))
PY
)
equal "floor: token_logp," 0.1 "floor:score=token_logp,window=$(window 'floor: token_logp,'),threshold" "0 $lows"
# Two candidates of warm-up, two that are judged by them: even keep=1 rejects too many.
refuse 1 "keep=1.000000 has p = 0" "$VETO" calibrate --split "$split" -o "$work/policy.json" \
	--policy "window-floor:window=$(window DeepConf),warmup=$(row DeepConf 0.1 | sed 's/.*warm-up \([0-9]*\).*/\1/'),keep=?" "$trace"
cases=$((cases + 1))
[ "$(row DeepConf 0.1 | cell 4)" = "none certified" ] || complain "DeepConf's rule: $(row DeepConf 0.1)"
cases=$((cases + 1))
[ "$(grep -c '| 0.05 | [^|]* | none certified |' "$work/table")" = 11 ] || complain "40 questions certify alpha 0.05: $(grep '| 0.05 |' "$work/table")"

# A floor's window is the one whose best threshold saves most on fit.
policies=()
for window in 4 8; do
	for hundredths in $(seq -150 5 -25); do policies+=(--policy "floor:score=token_logp,window=$window,threshold=-$(printf %d.%02d $((-hundredths / 100)) $((-hundredths % 100)))"); done
done
cases=$((cases + 1))
"$VETO" evaluate --json --split "$split" --part fit "${policies[@]}" "$trace" >"$work/fit" || complain "evaluate failed on fit"
python3 - "$work/fit" "$(window 'floor: token_logp,')" <<'PY' || complain "token_logp: W $(window 'floor: token_logp,') is not the best on fit"
import json, re, sys
best = {}
for d in map(json.loads, list(open(sys.argv[1]))[1:]):
    window = re.search(r"window=(\d+)", d["policy"])[1]
    if d["risk_candidate"] <= 0.1:
        best[window] = max(best.get(window, 0), d["saved"])
sys.exit(len(best) != 2 or max(best, key=best.get) != sys.argv[2])
PY
cases=$((cases + 1))
table "$work/turned" --markdown >"$work/turned.table" || complain "turned round: failed"
names() { sed -n 's/^| \(\(floor\|DeepConf\)[^|]*| 0[^|]*\)|.*/\1/p' "$1"; }
cmp <(names "$work/table") <(names "$work/turned.table") || complain "windows are chosen outside of the fit part"
cmp -s "$work/table" "$work/turned.table" && complain "the other parts do not matter"
cases=$((cases + 1))
table "$work/wide" --markdown >"$work/wide.table" || complain "a fit part for wide windows: failed"
[ "$(grep -c '^| floor: .*, W 8 | 0.1 |' "$work/wide.table")" = 6 ] || complain "not the windows of the fit part: $(names "$work/wide.table")"

# Stopping with and without rejecting, one candidate at a time; the best policy is the one that saves most on the fit part, and a
# head, which learned there, does not count.
best=$(sed -n 's/^|   + \(.*\), alpha 0.1 |.*/\1/p; s/^| 1 |   + \(.*\), alpha 0.1 |.*/\1/p' "$work/table" | sort -u)
policies=()
while read -r score window; do
	for threshold in $(python3 - "$trace" "$score" "$window" <<'PY'
import json, sys
score, window = sys.argv[2], int(sys.argv[3])
sign, lows = -1 if score == "entropy" else 1, []
for line in map(json.loads, list(open(sys.argv[1]))[1:]):
    if int(line["prompt"][1:]) < 14 and line["correct"]:
        values = [sign * x for x in line[score.replace("token_", "")]]
        lows.append(min(sum(values[t:t + window]) / window for t in range(len(values) - window + 1)))
print(*sorted({sorted(lows)[int(level * len(lows))] for level in (0.02, 0.05, 0.1)}))
PY
	); do policies+=(--policy "floor:score=$score,window=$window,threshold=$threshold"); done
done < <(sed -n 's/^| floor: \([a-z0-9_]*\), W \([0-9]*\) | 0.1 |.*/\1 \2/p' "$work/table")
"$VETO" evaluate --json --split "$split" --part fit "${policies[@]}" "$trace" >"$work/fit" || complain "evaluate failed on fit"
cases=$((cases + 1))
python3 - "$work/fit" "$best" <<'PY' || complain "'$best' is not the best on fit"
import json, re, sys
best = {}
for d in map(json.loads, list(open(sys.argv[1]))[1:]):
    name = "floor: %s, W %s" % re.match(r"floor:score=(\w+),window=(\d+)", d["policy"]).groups()
    if d["risk_candidate"] <= 0.1:
        best[name] = max(best.get(name, 0), d["saved"])
sys.exit(best.get(sys.argv[2]) != max(best.values()))
PY
floor=$(sed -E 's/floor: (.*), W (.*)/floor:score=\1,window=\2,threshold=?/' <<<"$best")
certify --policy "$floor" --alpha 0.1 --cohort 1
stop=adaptive-consistency:threshold=0.8
evaluate --cohort 1 --part test --policy $stop --policy "$work/policy.json + $stop" >"$work/test"
line=$(grep -A 1 "^| 1 | $stop" "$work/table")
for i in 1 2; do
	shows 3 '{d['$((2 * i))']["tokens_used"]}' "$(sed -n ${i}p <<<"$line")" <"$work/test"
	shows 5 '{d['$((2 * i))']["latency_tokens"]:.1f}' "$(sed -n ${i}p <<<"$line")" <"$work/test"
	shows 6 '{100 * d['$((2 * i))']["accuracy"]:.1f} % / {100 * d['$((2 * i + 1))']["accuracy"]:.1f} %' "$(sed -n ${i}p <<<"$line")" <"$work/test"
	shows 7 '{100 * d['$((2 * i))']["tokens_difference"]:.1f} % ({100 * d['$((2 * i))']["tokens_difference_low"]:.1f} to {100 * d['$((2 * i))']["tokens_difference_high"]:.1f})' "$(sed -n ${i}p <<<"$line")" <"$work/test"
done
cases=$((cases + 1))
[ "$(grep -c 'best on fit' "$work/table")" = 2 ] || complain "not one best stop rule a cohort"
[ "$(sed -n 1p <<<"$line" | cell 3)" != "$(sed -n 2p <<<"$line" | cell 3)" ] || complain "rejecting saves nothing: $line"

# The recording that comes along, and lines of the README's table that are of it.
expect "usage: table.py" "$SOURCE/tests/bench/table.sh" "$work/shipped" --help
trace=$work/shipped/table/traces.jsonl
split=$work/shipped/table/split.json
cases=$((cases + 1))
python3 - "$SOURCE/tests/traces" "$work/shipped/table" <<'PY' || complain "the recording that comes along is another"
import json, sys
shipped, (head, *lines) = [list(map(json.loads, open(path))) for path in (sys.argv[1] + "/chain-sums.jsonl", sys.argv[2] + "/traces.jsonl")]
first = [{k: v for k, v in line.items() if k not in ("hidden", "top")} for line in shipped[1:]]
parts = json.load(open(sys.argv[2] + "/split.json"))
sys.exit(len(lines) != 3280 or lines[:len(first)] != first or {x["prompt"] for x in lines} != set(parts))
PY
while read -r score window alpha; do
	line=$(grep "^| floor: $score, W $window | $alpha |" "$SOURCE/README.md")
	"$VETO" calibrate --json --alpha "$alpha" --split "$split" --policy "floor:score=$score,window=$window,threshold=?" -o "$work/policy.json" "$trace" >"$work/found" ||
		complain "calibrate $score"
	shows 4 '{100 * d[0]["list"][d[0]["chosen"]]["saved"]:.1f} %' "$line" <"$work/found"
	shows 5 '{100 * d[0]["saved"]:.1f} %' "$line" <"$work/found"
	shows 6 '{100 * d[0]["risk_candidate"]:.1f} % ({100 * d[0]["risk_candidate_low"]:.1f} to {100 * d[0]["risk_candidate_high"]:.1f})' "$line" <"$work/found"
done <<'LINES'
token_logp 4 0.1
margin 16 0.1
topk_confidence 16 0.05
LINES

# Without states there are no heads that read them; without a recording there is nothing.
expect "head: scores, steps" table "$work/stateless"
grep -q "head: hidden\|head: both" "$work/stdout" && complain "heads without states: $(grep head: "$work/stdout")"
refuse 2 "table: can't read '/nowhere/traces.jsonl'" table /nowhere
rm "$work/stateless/split.json"
refuse 2 "table: can't read '$work/stateless/split.json'" table "$work/stateless"
echo '{}' >"$work/stateless/split.json"
head -c 5000 "$made/traces.jsonl" >"$work/stateless/traces.jsonl"
refuse 1 "stateless/traces.jsonl:6: the line is cut off" table "$work/stateless"
finish
