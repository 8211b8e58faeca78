#!/usr/bin/env bash
# manifest.sh IMAGE FILE...: writes IMAGE.sha256, the sums of what an image was built from, by their paths in the repository, and
# of the image, which `sha256sum -c` checks where both lie.
set -euo pipefail
here=$(cd "$(dirname "$0")/../.." && pwd)
image=$(realpath "$1")
shift
(cd "$here" && sha256sum "$@") >"$image.sha256"
(cd "$(dirname "$image")" && sha256sum "$(basename "$image")") >>"$image.sha256"
