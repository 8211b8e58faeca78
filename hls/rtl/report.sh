#!/usr/bin/env bash
# report.sh BUILD: clocks and resources of the RTL twin, as tables.  Yosys takes some minutes.
set -euo pipefail
build=$1
here=$(cd "$(dirname "$0")" && pwd)
stat=$build/hw-report-cells.json

echo "hw-report: synthesis with $(yosys -V | cut -d' ' -f1-2), some minutes; its log is $build/hw-report.log" >&2
yosys -q -l "$build/hw-report.log" -p "
	read_verilog -sv -I$build/bitstreams -I$here $here/*.v
	synth_xilinx -family xcup -top veto_score_logits
	tee -q -o $stat.raw stat -json
" >/dev/null
# Yosys prints lines of its table into the JSON; the whole design, at its end, is clean.
{ echo '{' && sed -n '/^ *"design": {/,$p' "$stat.raw"; } >"$stat"
"$build/bin/hw_report" "$here/../kernels.json" "$stat" "$here"/../../board-configs/*.json
