#!/usr/bin/env bash
# manifest.sh IMAGE FILE...: writes IMAGE.sha256, the sums of what an image was built from, by their paths in the repository, and
# of the image, which `sha256sum -c` checks where both lie; before them, as comments, the versions of the tools that are there.
set -euo pipefail
here=$(cd "$(dirname "$0")/../.." && pwd)
image=$(realpath "$1")
shift
{
	for tool in cc verilator v++; do
		! command -v "$tool" >/dev/null || echo "# $("$tool" --version | grep -m1 .)"
	done
	cd "$here" && sha256sum "$@"
} >"$image.sha256"
(cd "$(dirname "$image")" && sha256sum "$(basename "$image")") >>"$image.sha256"
