#!/usr/bin/env bash
# table.sh BUILD [DIR] [--markdown]: what rejecting saves at a certified risk, on the recording DIR/traces.jsonl, whose
# questions DIR/split.json divides into fit, calibrate and test; without DIR on the one that comes along, which has no states.
set -euo pipefail
build=$1
shift
here=$(cd "$(dirname "$0")" && pwd)
if [[ ${1:-} != "" && $1 != --* ]]; then
	traces=$1
	shift
else
	traces=$build/table
	mkdir -p "$traces"
	cp "$here/../traces/chain-sums/split.json" "$traces"
	python3 -c 'import lzma, shutil, sys; shutil.copyfileobj(lzma.open(sys.argv[1]), open(sys.argv[2], "wb"))' \
		"$here/../traces/chain-sums/traces.jsonl.xz" "$traces/traces.jsonl"
fi
for name in traces.jsonl split.json; do
	[ -r "$traces/$name" ] || { echo "table: can't read '$traces/$name'" >&2; exit 2; }
done
exec python3 "$here/table.py" "$build/bin/veto" "$traces" "$@"
