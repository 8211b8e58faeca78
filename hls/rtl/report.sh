#!/usr/bin/env bash
# report.sh BUILD: clocks and resources of the RTL twins, as tables.  Yosys takes some minutes for each.
set -euo pipefail
build=$1
here=$(cd "$(dirname "$0")" && pwd)

"$build/bin/hw_report" cycles
for kernel in veto_score_logits veto_score_hidden; do
	stat=$build/hw-report-$kernel.json
	echo "hw-report: synthesis of $kernel with $(yosys -V | cut -d' ' -f1-2), some minutes; its log is $build/hw-report.log" >&2
	yosys -q -l "$build/hw-report.log" -p "
		read_verilog -sv -I$build/bitstreams -I$here $here/*.v
		synth_xilinx -family xcup -top $kernel
		tee -q -o $stat.raw stat -json
	" >/dev/null
	# Yosys prints lines of its table into the JSON; the whole design, at its end, is clean.
	{ echo '{' && sed -n '/^ *"design": {/,$p' "$stat.raw"; } >"$stat"
	"$build/bin/hw_report" "$here/../kernels.json" "$kernel" "$stat" "$here"/../../board-configs/*.json
done
