#!/usr/bin/env bash
# The README's way from traces to a policy, as it stands there.
# shellcheck source=tests/system/lib.sh
. "$SOURCE/tests/system/lib.sh"

mkdir -p "$work/build/bin"
ln -s "$VETO" "$work/build/bin/veto"
ln -s "$SOURCE/host" "$work/host"
sed -n '/^## From traces to a policy/,/^## /{s/^    //p}' "$SOURCE/README.md" >"$work/commands"
cases=$((cases + 1))
[ "$(grep -c '^build/bin/veto' "$work/commands")" = 9 ] || complain "the README has other commands: $(cat "$work/commands")"
(cd "$work" && bash -euo pipefail commands >out 2>err) || complain "exit code $?: $(tail -n 5 "$work/err")"

# seen PATTERN: a line of what the commands printed.
seen() {
	cases=$((cases + 1))
	grep -qE -- "$1" "$work/out" || complain "'$1' is not in: $(head -c 3000 "$work/out")"
}
seen '^81 prompts, 324 candidates kept'
seen '^81 prompts, .* 81 choices, 0 different$'
seen '^sums.head: from [0-9]+ ends of steps'
seen '^margin.json: floor:score=margin,'
seen '^reward.json: floor:score=reward,'
seen 'risk candidate at most 0.2 with a chance of 0.9, by wsr over [0-9]+ questions'
seen '^reliability of|reliability of reward'
grep -q '</html>' "$work/report.html" || complain "there is no report"
grep -q '"rejected":' "$work/pairs.jsonl" || complain "there are no pairs"
# And the files are held to what they were calibrated for.
refuse 2 "it was calibrated for 48 tokens at most, and there are 40" bash -c "cd '$work' && build/bin/veto run -m \"\$(host/setup.sh model)\" -p x -n 4 --max-tokens 40 --policy margin.json"
finish
