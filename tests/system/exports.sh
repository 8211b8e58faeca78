#!/usr/bin/env bash
# The shared library exports the functions that veto.h declares, and nothing else.
set -euo pipefail
# AddressSanitizer adds names of its own.
exported=$(nm -D --defined-only "$LIBVETO" | awk '{print $3}' | sed 's/@.*//' | grep -v '^__odr_asan' | sort)
declared=$(grep -oE '\bveto_[a-z0-9_]+(\(|\[VETO_[A-Z_]+\];)' "$SOURCE/host/veto.h" | sed 's/[([].*//' | sort -u)
if ! diff <(echo "$declared") <(echo "$exported"); then
	echo "left: declared in veto.h; right: exported by $LIBVETO"
	exit 1
fi
echo "$(echo "$exported" | wc -l) names, all of veto.h"
