#!/usr/bin/env bash
# table.sh BUILD DIR [--markdown]: what rejecting saves at a certified risk, on the recording DIR/traces.jsonl, whose
# questions DIR/split.json divides into fit, calibrate and test.
set -euo pipefail
build=$1
traces=$2
shift 2
here=$(cd "$(dirname "$0")" && pwd)
for name in traces.jsonl split.json; do
	[ -r "$traces/$name" ] || { echo "table: can't read '$traces/$name'" >&2; exit 2; }
done
exec python3 "$here/table.py" "$build/bin/veto" "$traces" "$@"
