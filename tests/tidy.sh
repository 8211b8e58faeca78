#!/usr/bin/env bash
# tidy.sh BUILD: clang-format, clang-tidy, cppcheck and shellcheck; any finding fails.
set -uo pipefail
build=$1
status=0
mapfile -t sources < <(git ls-files '*.c' '*.h')
mapfile -t scripts < <(git ls-files '*.sh' .ci/run)
check() {
	echo "tidy: $1"
	shift
	"$@" || status=1
}
check clang-format clang-format --dry-run --Werror "${sources[@]}"
mapfile -t compiled < <(sed -n 's/^ *"file": "\(.*\.c\)",*$/\1/p' "$build/compile_commands.json" | sort -u)
check clang-tidy clang-tidy -p "$build" --quiet --warnings-as-errors='*' "${compiled[@]}" 2> >(grep -v 'warnings generated\|Suppressed\|Use -header' >&2)
check cppcheck cppcheck --quiet --error-exitcode=1 --enable=warning,performance,portability --inline-suppr --std=c11 \
	--suppress=invalidPointerCast --suppress=arrayIndexThenCheck --suppress=shiftNegativeLHS \
	--suppress=missingIncludeSystem --suppress=normalCheckLevelMaxBranches -D__x86_64__ -Ihls -Ihost -Idrivers -Ibitstreams -Ihost/sources bitstreams host drivers hls
check shellcheck shellcheck -x "${scripts[@]}"
[ "$status" = 0 ] && echo "tidy: clean"
exit "$status"
