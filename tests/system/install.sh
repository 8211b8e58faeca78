#!/usr/bin/env bash
# What is installed is enough to build and run a program against the library, and to read its manual.
# shellcheck source=tests/system/lib.sh
. "$SOURCE/tests/system/lib.sh"

cmake --install "$BUILD" --prefix "$work/prefix" >"$work/log" || { cat "$work/log"; exit 1; }
cat >"$work/main.c" <<'C'
#include <stdio.h>
#include <veto.h>

int main(void)
{
	float row[3] = {0, 0, 0};
	struct veto_rows rows = {.rows = 1, .cols = 3, .stride_bytes = sizeof(row), .data = row};
	struct veto_score score;
	struct veto_results out = {.score = &score};
	struct veto_device *dev;

	if (veto_device_open("cpu:", &dev, NULL) || veto_device_score(dev, &rows, &out))
		return 1;
	printf("entropy %.4f\n", (double)score.field[VETO_ENTROPY].low / 0x1p20);
	veto_device_close(dev);
	return 0;
}
C
pc=$(find "$work/prefix" -name veto.pc)
libdir=$(find "$work/prefix" -name libveto.so -printf '%h\n')
export PKG_CONFIG_PATH=${pc%/*} LD_LIBRARY_PATH=$libdir
sanitize=
grep -q 'VETO_SANITIZE:BOOL=ON' "$BUILD/CMakeCache.txt" && sanitize=-fsanitize=address,undefined
for compiler in "gcc -std=c11 -Wall -Werror -x c" "g++ -std=c++20 -Wall -Werror -x c++"; do
	# shellcheck disable=SC2046,SC2086 # Flags are words.
	expect "entropy 1.0986" bash -c "$compiler $work/main.c -x none $sanitize $(pkg-config --cflags --libs veto | tr '\n' ' ') -o $work/main && $work/main"
done
expect "veto" "$work/prefix/bin/veto" --version
for device in $DEVICES; do
	[[ $device != xrt:* ]] || expect '"status":"ok"' "$work/prefix/bin/veto" score --json -d "$device" "$SOURCE/tests/golden/top-2-fp32.npy"
done
cases=$((cases + 1))
ldd "$work/prefix/bin/veto" | grep -F "${VETO_CACHE:-$HOME/.cache/veto}" && complain "what is installed needs the cache"
expect "scores every token" man -l "$(find "$work/prefix" -name veto.1)"
for file in LICENSE README.md arithmetic.md; do
	[ -n "$(find "$work/prefix" -name "$file")" ] || complain "$file is not installed"
done
finish
