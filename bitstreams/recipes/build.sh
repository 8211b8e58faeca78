#!/usr/bin/env bash
# build.sh BOARD hw|hw_emu|sw_emu OUT.xclbin: an image for a card, with Vitis (v++ and xclbinutil in PATH) and its platform.
# BOARD names a file of board-configs/.  GENERATE names the program of that name (build/bitstreams/generate).
# OUT.xclbin.sha256 says what was built from what.  This project has no Vitis: nothing below has ever been run.
set -euo pipefail
die() { echo "build.sh: $*" >&2; exit 1; }

[ $# -eq 3 ] || die "usage: build.sh BOARD hw|hw_emu|sw_emu OUT.xclbin"
here=$(cd "$(dirname "$0")/../.." && pwd)
board=$here/board-configs/$1.json
target=$2
out=$3
generate=${GENERATE:-$here/build/bitstreams/generate}
[ -f "$board" ] || die "unknown board '$1'; known: $(cd "$here/board-configs" && echo *.json | sed 's/\.json//g')"
case $target in hw | hw_emu | sw_emu) ;; *) die "unknown target '$target': hw, hw_emu or sw_emu" ;; esac
[ -x "$generate" ] || die "'$generate' is not there: run make first"
for program in v++ xclbinutil; do
	command -v "$program" >/dev/null || die "$program is not in PATH: source Vitis' settings64.sh and XRT's setup.sh"
done

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$generate" link "$here/hls/kernels.json" "$board" >"$work/link.cfg"
platform=$(sed -n 's/^platform=//p' "$work/link.cfg")
ports=$(grep -c '^sp=veto_score_hidden_1\.weights_' "$work/link.cfg")
objects=()
for source in "$here"/hls/score_*.c; do
	kernel=$(basename "$source" .c)
	cat >"$work/$kernel.cfg" <<-CFG
		[hls]
		flow_target=vitis
		syn.file=$source
		syn.cflags=-I$here/hls -DVETO_WEIGHT_PORTS=$ports
		syn.top=veto_$kernel
		package.output.format=xo
		package.output.file=$work/$kernel.xo
	CFG
	v++ --compile --mode hls --platform "$platform" --config "$work/$kernel.cfg" --work_dir "$work/$kernel"
	objects+=("$work/$kernel.xo")
done
v++ --link --target "$target" --config "$work/link.cfg" "${objects[@]}" -o "$work/linked.xclbin"

# The versions that the loader asks for.
version() { sed -n "s/^#define $1 \([0-9]*\)u.*/\1/p" "$here/hls/veto_hw.h"; }
printf 'veto contract %u FX %u HX %u' "$(version VETO_KERNEL_CONTRACT)" "$(version VETO_FX1_VERSION)" \
	"$(version VETO_HX1_VERSION)" >"$work/versions"
xclbinutil --force --input "$work/linked.xclbin" --add-section "USER_METADATA:RAW:$work/versions" --output "$out"
out=$(realpath "$out")
(cd "$here" && bitstreams/recipes/manifest.sh "$out" "board-configs/$1.json" hls/kernels.json hls/*.h hls/score_*.c)
echo "build.sh: $out and $out.sha256"
