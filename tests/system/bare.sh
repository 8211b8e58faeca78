#!/usr/bin/env bash
# Without llama.cpp, liblbfgs and XRT there is everything but veto run and what trains heads, which say so.
# shellcheck source=tests/system/lib.sh
. "$SOURCE/tests/system/lib.sh"

if ! { cmake -S "$SOURCE" -B "$work/build" -G Ninja -DVETO_LLAMA=OFF -DVETO_XRT=OFF -DVETO_LBFGS=OFF -DBUILD_TESTING=OFF && cmake --build "$work/build"; } >"$work/log" 2>&1; then
	tail -n 20 "$work/log"
	exit 1
fi
veto=$work/build/bin/veto
expect "veto run\` is not in this build" "$veto" --help
refuse 1 "this build has no \`veto run\`: it was made without llama.cpp" "$veto" run -p x
refuse 1 "this build has no \`veto head sch\`: it was made without llama.cpp" "$veto" head sch --model x.gguf -o x
refuse 1 "this build has no \`veto head train\`: it was made without liblbfgs" "$veto" head train -o x x.jsonl
expect '"available":true' "$veto" devices --json
refuse 2 "'xrt:emulation=sw': this build has no xrt: device: it was made without XRT" "$veto" score -d xrt:emulation=sw x.npy
refuse 2 "unknown device 'xrtx:'; known devices: cpu:" "$veto" score -d xrtx: x.npy
expect 'gate' "$veto" policies
expect '"status":"ok"' "$veto" score --json "$SOURCE/tests/golden/top-2-fp32.npy"
[ -n "$(find "$work/build" -name libveto.so)" ] || complain "there is no library"
finish
