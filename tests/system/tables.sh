#!/usr/bin/env bash
# veto head sch, to the bit, and whose states heads and tables read: fingerprints of models, and that of others is refused.
# shellcheck source=tests/system/lib.sh
. "$SOURCE/tests/system/lib.sh"

[ -n "$QUANTIZE" ] || { echo "skipped: this build has no llama.cpp"; exit 77; }
tables=$SOURCE/tests/system/tables.py
python3 "$tables" make "$work" || exit 1

# Every integer.
for model in "$work"/table-*.gguf; do
	expect ', i24, of ' "$VETO" head sch --model "$model" -o "${model%.gguf}.i24"
	expect ', i16, of ' "$VETO" head sch --model "$model" --i16 -o "${model%.gguf}.i16"
done
cases=$((cases + 1))
python3 "$tables" compare "$work" >"$work/log" 2>&1 || complain "tables: $(cat "$work/log")"

# Models that have no table.
bad() { refuse 2 "$work/bad-$1.gguf: $2" "$VETO" head sch --model "$work/bad-$1.gguf" -o "$work/bad.sch"; }
bad cap "its logits are soft-capped at 28.5"
bad scale "a model of 'llama' has a logit scale of 0.5"
for model in scale-nan scale-0 cap-whole output-scale; do
	bad $model "its final_logit_softcapping or logit_scale is no F32 that can be used, or it has an output.scale"
done
bad split "it is one of the 2 files of a split model: merge them first"
bad architecture "how a model of 'minicpm' makes its logits of the state is not known here"
bad nan "output.weight [5, 3] is "
bad inf-tied "token_embd.weight [36, 63] is "
bad bias-nan "output.bias [5] is NaN"
bad bias-far "output.bias [36] is out of range"
[ -z "$(find "$work" -name 'bad.sch*')" ] || complain "something was left behind"

# A model's fingerprint is that of its other files, and no other model's.
import() {
	"$VETO" head import --shape probe --backbone "$1" -o "$3" "$2" >"$work/stdout" 2>"$work/stderr" || complain "$1: $(cat "$work/stderr")"
}
of() { "$VETO" inspect --json "$1" | sed -n 's/.*"backbone":"\([0-9a-f]\{64\}\)".*/\1/p'; }
declare -A named
for model in "$work"/base.gguf "$work"/same-*.gguf "$work"/other-*.gguf; do
	name=$(basename "$model" .gguf)
	cases=$((cases + 1))
	import "$model" "${model%.gguf}.safetensors" "${model%.gguf}.head"
	fingerprint=$(of "${model%.gguf}.head")
	[ -n "$fingerprint" ] || { complain "$name: no fingerprint"; continue; }
	case $name in
	same-*) [ "${named[$fingerprint]:-}" = base ] || complain "$name: told from base: $fingerprint" ;;
	*) [ -z "${named[$fingerprint]:-}" ] || complain "$name: not told from ${named[$fingerprint]}: $fingerprint" ;;
	esac
	named[$fingerprint]=${named[$fingerprint]:-$name}
done
[ "$(of "$work/base.head")" = "$(cat "$work/base.sha256")" ] || complain "base: $(of "$work/base.head")"
"$VETO" head sch --model "$work/same-quantised.gguf" -o "$work/x.sch" >/dev/null || complain "no table of same-quantised"
[ "$(of "$work/x.sch")" = "$(of "$work/base.head")" ] || complain "a table names its model otherwise than a head"

# States of a real model, for a head and a table of another.
model=${MODEL:-$("$SOURCE/host/setup.sh" model)} || exit 1
run() { "$VETO" run -m "$model" -p a -n 2 --max-tokens 2 "$@"; }
import "$work/smol.gguf" "$work/smol.safetensors" "$work/smol.head"
import "$model" "$work/smol.safetensors" "$work/own.head"
"$VETO" head sch --model "$model" --i16 -o "$work/own.sch" >/dev/null || complain "no table of $model"
theirs=$(of "$work/smol.head")
ours=$(of "$work/own.head")
python3 "$tables" edit "$work/own.sch" "$work/smol.sch" "$ours" "$theirs"
refuse 2 "the head probe is for the states of the model $theirs, and these are of $ours" run --head "$work/smol.head"
refuse 2 "the head sch is for the states of the model $theirs, and these are of $ours" run --sch "$work/smol.sch"
# Another quantisation is said, and no more.
python3 "$tables" edit "$work/own.head" "$work/q8.head" '"Q4_1"' '"Q8_0"'
cases=$((cases + 2))
run --head "$work/q8.head" >/dev/null 2>"$work/stderr" || complain "a head for Q8_0: $(cat "$work/stderr")"
grep -q 'warning: the head was made for Q8_0, and the model is Q4_1' "$work/stderr" || complain "no word of the quantisation: $(cat "$work/stderr")"
run --head "$work/own.head" >/dev/null 2>"$work/stderr" || complain "the model's own head: $(cat "$work/stderr")"
[ ! -s "$work/stderr" ] || complain "the model's own head: $(cat "$work/stderr")"
finish
