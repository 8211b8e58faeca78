#!/usr/bin/env bash
# Reports in a browser: that they load and print without a network, and what their plots and texts look like there.
# shellcheck source=tests/system/lib.sh
. "$SOURCE/tests/system/lib.sh"

for browser in chromium-headless-shell chromium chromium-browser google-chrome ''; do
	[ -z "$browser" ] || command -v "$browser" >/dev/null && break
done
[ -n "$browser" ] || { echo "there is no browser (chromium-headless-shell)"; exit 77; }

# Names that HTML reads otherwise, or that are long; a policy in a file of such a name.
odd='a<b>&"c'"'"' &lt; ümläut 数学'
python3 - "$SOURCE/tests/traces/chain-sums.jsonl" "$work/trace.jsonl" "$odd" <<'PY'
import json, sys
head, *lines = [json.loads(line) for line in open(sys.argv[1])]
head["model"] = f"model {sys.argv[3]}"
head["questions"] = {f"{name} {sys.argv[3]}": text for name, text in head["questions"].items()}
for i, line in enumerate(lines):
    line["prompt"] += f" {sys.argv[3]}"
    if i % 9 == 0 and not line["correct"]:
        line["finished"] = False
open(sys.argv[2], "w").write("".join(json.dumps(x) + "\n" for x in [head, *lines]))
PY
policy="$work/${odd}.json"
echo '{"policy": "floor", "score": "margin", "window": 4, "threshold": 4}' >"$policy"

# look TEXT... -- OPTION...: a report made with these options is well, and has these texts.
look() {
	local texts=()
	while [ "$1" != -- ]; do texts+=("$1"); shift; done
	shift
	cases=$((cases + 1))
	"$VETO" evaluate --report "$work/report.html" "$@" "$work/trace.jsonl" >/dev/null || complain "evaluate $* failed"
	python3 "$SOURCE/tests/system/browser.py" "$(command -v "$browser")" "$work/report.html" "${texts[@]}" >"$work/seen" 2>"$work/log" ||
		complain "$*: $(head -c 3000 "$work/log")"
}
# seen EXPRESSION: of what was seen, in Python.
seen() {
	cases=$((cases + 1))
	python3 -c "import json, sys; d = json.load(sys.stdin); sys.exit(not ($1))" <"$work/seen" || complain "not $1: $(cat "$work/seen")"
}
look "model $odd" "${odd}.json" "$odd" "P2" "Risk of answers" -- --policy "$policy" --policy gate:rungs=16+40,keep=0.5 \
	--policy "consensus + speculative:budget=200" --select majority --select best:score=margin --split 1,1,1
seen 'd["figures"] == ["pareto", "risk", "reliability", "curves"] and 8 <= d["plots"] <= 12 and d["pages"] >= 2'
seen 'd["tables"] == ["policies", "results", "risks", "baselines", "differences", "scores", "bins", "bound"]'
look "Without a policy" -- # nothing is saved, and nothing rejected
seen 'd["figures"] == ["pareto", "risk"] and d["plots"] == 4'
many=()
for threshold in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
	many+=(--policy "floor:score=self_certainty,window=2,threshold=$threshold" --policy "gate:rungs=$threshold,keep=0.9")
done
look "P40" "gate" -- "${many[@]}"
seen 'd["plots"] >= 6 and d["pages"] >= 3'
finish
