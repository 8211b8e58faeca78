#!/usr/bin/env bash
# The recipe for images of cards, as far as it goes without Vitis: programs of its names note what they are given.
# shellcheck source=tests/system/lib.sh
. "$SOURCE/tests/system/lib.sh"

mkdir "$work/bin"
cat >"$work/bin/v++" <<'SH'
#!/bin/sh
[ "$1" != --version ] || { echo "v++ of a test"; exit 0; }
echo "v++ $*" >>"$CALLS"
while [ $# -gt 0 ]; do
	case $1 in
	--config)
		cat "$2" >>"$CALLS"
		sed -n 's/^package.output.file=//p' "$2" | xargs -r touch
		;;
	-o) touch "$2" ;;
	esac
	shift
done
SH
cat >"$work/bin/xclbinutil" <<'SH'
#!/bin/sh
echo "xclbinutil $*" >>"$CALLS"
while [ $# -gt 0 ]; do
	case $1 in
	--add-section) cat "${2##*:}" >>"$CALLS" ;;
	--output) echo image >"$2" ;;
	esac
	shift
done
SH
chmod +x "$work"/bin/*
export CALLS=$work/calls

build() { PATH="$work/bin:$PATH" GENERATE=$BUILD/bitstreams/generate "$SOURCE/bitstreams/recipes/build.sh" "$@"; }
said() { grep -qF -- "$1" "$CALLS" || complain "$board, $target: no '$1' among: $(cat "$CALLS")"; }
for config in "$SOURCE"/board-configs/*.json; do
	board=$(basename "$config" .json)
	for target in hw hw_emu sw_emu; do
		cases=$((cases + 1))
		rm -f "$CALLS"
		build "$board" "$target" "$work/$board.xclbin" >"$work/log" 2>&1 || complain "$board, $target: $(tail -n 3 "$work/log")"
		platform=$(sed -n 's/.*"platform": "\(.*\)".*/\1/p' "$config")
		said "v++ --compile --mode hls --platform $platform "
		said "syn.top=veto_score_logits"
		said "v++ --link --target $target "
		said "platform=$platform"
		said "nk=veto_score_logits:"
		for argument in logits_1.rows logits_1.jobs logits_1.results hidden_1.states hidden_1.jobs hidden_1.results hidden_1.meta hidden_1.weights_0; do
			said "sp=veto_score_$argument:"
		done
		said "syn.top=veto_score_hidden"
		ports=$(grep -c '^sp=veto_score_hidden_1\.weights_' "$CALLS")
		[ "$ports" -ge 4 ] || complain "$board: $ports ports of weights"
		said "-DVETO_WEIGHT_PORTS=$ports"
		grep -q '^sp=.*count' "$CALLS" && complain "$board: a scalar lies in a memory"
		said "veto contract $(sed -n 's/^#define VETO_KERNEL_CONTRACT \([0-9]*\)u.*/\1/p' "$SOURCE/hls/veto_hw.h") FX 1 HX 1"
		(cd "$SOURCE" && grep -v "$board.xclbin" "$work/$board.xclbin.sha256" | sha256sum -c --quiet) || complain "$board: manifest"
		grep -q '^# v++ of a test' "$work/$board.xclbin.sha256" || complain "$board: the manifest does not name its tools"
	done
done
refuse 1 "unknown board 'u9'; known: u200 u250 u280 u50 u55c" build u9 hw "$work/x.xclbin"
refuse 1 "unknown target 'emu': hw, hw_emu or sw_emu" build u50 emu "$work/x.xclbin"
refuse 1 "v++ is not in PATH" env GENERATE="$BUILD/bitstreams/generate" "$SOURCE/bitstreams/recipes/build.sh" u50 hw "$work/x.xclbin"
finish
