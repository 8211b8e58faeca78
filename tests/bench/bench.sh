#!/usr/bin/env bash
# bench.sh BUILD [--quick]: check step 2 on every input, time the scoring of rows, and the share of a run spent in it.
# Results are a table here and JSON Lines in BUILD/bench.jsonl.
set -euo pipefail
build=$1
quick=${2:-}
here=$(cd "$(dirname "$0")" && pwd)
json=$build/bench.jsonl
python=$build/venv/bin/python # of the peers: it has numpy; one that has torch, too, comes first
if python3 -c 'import numpy, torch' 2>/dev/null; then python=python3; fi

echo "machine: $(sed -n 's/^model name[[:space:]]*: //p' /proc/cpuinfo | head -n 1), $(nproc) processors, $(uname -sr)"
echo "bench: step 2 of the arithmetic on every input"
"$build/bin/check_conversion" ${quick:+"$quick"}
echo "bench: rows of logits"
"$build/bin/bench_score" --json "$json" --python "$python" ${quick:+"$quick"}
echo
echo "bench: hidden states"
"$build/bin/bench_heads" "$json" "$python"
echo
echo "bench: playing back a recording"
python3 "$here/replay.py" "$build/bin/veto" "$json" ${quick:+"$quick"}
if [ -x "$build/bin/bench_xrt" ]; then
	echo
	echo "bench: the way to the emulated card, which says nothing of a card's speed"
	for device in cpu: xrt:emulation=sw xrt:emulation=hw; do
		"$build/bin/bench_xrt" "$json" "$device"
	done
fi
if [ -x "$build/bin/veto" ] && "$build/bin/veto" run --help >/dev/null 2>&1; then
	echo
	echo "bench: share of a run spent in scoring"
	model=${MODEL:-$("$here/../../host/setup.sh" model)}
	python3 "$here/share.py" "$build/bin/veto" "$model" "$json" ${quick:+"$quick"}
	echo
	echo "bench: self-certainty from hidden states"
	table=$(mktemp)
	"$build/bin/veto" head sch --model "$model" -o "$table"
	"$build/bin/bench_sch" "$model" "$table" "$json"
	rm -f "$table"
fi
echo "bench: done; results are in $json"
