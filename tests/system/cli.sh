#!/usr/bin/env bash
# veto score, devices and policies as a user calls them, with good input and bad.
# shellcheck source=tests/system/lib.sh
. "$SOURCE/tests/system/lib.sh"

# Files of rows: 3 x 1500 fp32, the same in fp16 and bf16, raw and .npy, with a padded row at the end.
python3 - "$work" <<'PYTHON'
import random, struct, sys
folder = sys.argv[1]
random.seed(1)
rows = [[random.gauss(0, 3) for _ in range(1500)] for _ in range(3)]
rows[1][7] = float("nan")
rows[2] = [float("-inf")] * 1500
flat = [x for row in rows for x in row]

def npy(name, descr, shape, data, fortran=False):
    header = "{'descr': '%s', 'fortran_order': %s, 'shape': %s, }" % (descr, fortran, shape)
    header = header.ljust(117) + "\n"
    open(f"{folder}/{name}", "wb").write(b"\x93NUMPY\x01\0" + struct.pack("<H", len(header)) + header.encode() + data)

fp32 = struct.pack("<4500f", *flat)
bf16 = b"".join(fp32[i + 2:i + 4] for i in range(0, len(fp32), 4))
npy("a.npy", "<f4", "(3, 1500)", fp32)
npy("half.npy", "<f2", "(3, 1500)", struct.pack("<4500e", *flat))
npy("bf16.npy", "<u2", "(3, 1500)", bf16)
npy("big.npy", ">f4", "(3, 1500)", fp32)
npy("flat.npy", "<f4", "(4500,)", fp32)
npy("double.npy", "<f8", "(3, 750)", fp32 + fp32[:0] + b"")
npy("short.npy", "<f4", "(4, 1500)", fp32)
npy("wide.npy", "<f4", "(1, 262145)", bytes(4 * 262145))
npy("fortran.npy", "<f4", "(3, 1500)", fp32, True)
open(f"{folder}/a.raw", "wb").write(fp32)
open(f"{folder}/a.bf16", "wb").write(bf16)
open(f"{folder}/odd.raw", "wb").write(fp32[:-2])
open(f"{folder}/empty.raw", "wb").write(b"")
open(f"{folder}/tokens", "w").write("1\n2\n3\n")
open(f"{folder}/few", "w").write("1\n2\n")
open(f"{folder}/many", "w").write("1\n2\n3\n4\n")
open(f"{folder}/beyond", "w").write("1\n1500\n3\n")
open(f"{folder}/word", "w").write("1\ntwo\n3\n")
PYTHON
a=$work/a.npy

expect '"row":0,"status":"ok","vocab":1500,"nan":0,"saturated":0,"self_certainty_q20":' "$VETO" score --json "$a"
expect '"row":1,"status":"ok","vocab":1499,"nan":1' "$VETO" score --json "$a"
expect '{"row":2,"status":"empty","vocab":0,"nan":0,"saturated":0,"top_ids":[],"source":"exact"}' "$VETO" score --json "$a"
expect '"vocab":1000' "$VETO" score --json --vocab 1000 "$a"
expect '"token_logp_q20":' "$VETO" score --json --tokens "$work/tokens" "$a"
expect '"subset_q31":[' "$VETO" score --json --subset 5,3 "$a"
expect 'self-cert' "$VETO" score "$a"
for fields in entropy_q20 lse_q20 mean_q20 top1_logp_q20 margin_q20 topk_confidence_q20 top_ids source; do
	expect "\"$fields\":" "$VETO" score --json "$a"
done
expect '"row":2' "$VETO" score --json -d cpu:isa=portable -d cpu:threads=2 -d cpu: --tokens "$work/tokens" --subset 1,2 "$a"

# The same values give the same scores, whatever the container; padding counts for nothing.
same() {
	cases=$((cases + 1))
	cmp -s "$1" "$2" || complain "$3"
}
"$VETO" score --json "$a" >"$work/npy.out"
"$VETO" score --json --vocab 1500 "$work/a.raw" >"$work/raw.out"
same "$work/npy.out" "$work/raw.out" "raw and .npy differ"
"$VETO" score --json --format bf16 "$work/bf16.npy" >"$work/npy.out"
"$VETO" score --json --format bf16 --vocab 1500 "$work/a.bf16" >"$work/raw.out"
same "$work/npy.out" "$work/raw.out" "bf16 raw and .npy differ"
"$VETO" score --json --vocab 1400 "$a" >"$work/npy.out"
"$VETO" score --json --vocab 1400 --stride 1500 "$work/a.raw" >"$work/raw.out"
same "$work/npy.out" "$work/raw.out" "padded raw and .npy differ"
expect '"row":0' "$VETO" score --json "$work/half.npy"

# Bad input.
refuse 2 "a FILE of rows is needed" "$VETO" score
refuse 2 "can't open '$work/none.npy'" "$VETO" score "$work/none.npy"
refuse 2 "empty or no regular file" "$VETO" score "$work/empty.raw"
refuse 2 "empty or no regular file" "$VETO" score "$work"
refuse 2 "byte order '>f4'" "$VETO" score "$work/big.npy"
refuse 2 "shape is (4500,), not (rows, values)" "$VETO" score "$work/flat.npy"
refuse 2 "do not fill the file's" "$VETO" score "$work/short.npy"
refuse 2 "Fortran order" "$VETO" score "$work/fortran.npy"
refuse 2 "a vocabulary of 262145: 1 to 262144" "$VETO" score "$work/wide.npy"
refuse 2 "need --format bf16" "$VETO" score "$work/bf16.npy"
refuse 2 "need --format fp32" "$VETO" score --format fp16 "$a"
refuse 2 "--format fp8: expected fp32, fp16 or bf16" "$VETO" score --format fp8 "$a"
refuse 2 "--vocab is needed" "$VETO" score "$work/a.raw"
refuse 2 "17998 bytes are not a whole number of rows of 6000 bytes" "$VETO" score --vocab 1500 "$work/odd.raw"
refuse 2 "--stride 1400 is below --vocab 1500" "$VETO" score --vocab 1500 --stride 1400 "$work/a.raw"
refuse 2 "--stride is for raw files" "$VETO" score --stride 1500 "$a"
refuse 2 "--vocab 1501: '$a' has 1500 columns" "$VETO" score --vocab 1501 "$a"
refuse 2 "--vocab 262145: expected a whole number from 1 to 262144" "$VETO" score --vocab 262145 "$a"
refuse 2 "--top-k 33: expected a whole number from 0 to 32" "$VETO" score --top-k 33 "$a"
refuse 2 "--top-k x: expected" "$VETO" score --top-k x "$a"
refuse 2 "2 token ids for 3 rows" "$VETO" score --tokens "$work/few" "$a"
refuse 2 "many:4: there are only 3 rows" "$VETO" score --tokens "$work/many" "$a"
refuse 2 "beyond:2: token 1500 is not below the vocabulary of 1500" "$VETO" score --tokens "$work/beyond" "$a"
refuse 2 "word:2: 'two' is not a token id" "$VETO" score --tokens "$work/word" "$a"
refuse 2 "token id 5 stands there twice" "$VETO" score --subset 5,6,5 "$a"
refuse 2 "token id 1500 is not below" "$VETO" score --subset 1500 "$a"
refuse 2 "more than 64 token ids" "$VETO" score --subset "$(seq -s, 0 64)" "$a"
refuse 2 "unknown device 'gpu:'; known devices: cpu:" "$VETO" score -d gpu: "$a"
refuse 2 "'sse' is not one of: best, portable, avx2, avx512" "$VETO" score -d cpu:isa=sse "$a"
refuse 2 "unknown option '--frobnicate'" "$VETO" score --frobnicate "$a"
refuse 2 "unknown option '-z'" "$VETO" score -z "$a"
refuse 2 "option '--vocab' needs a value" "$VETO" score --vocab
refuse 2 "unexpected argument 'b'" "$VETO" score "$a" b
refuse 2 "unknown command 'frobnicate'" "$VETO" frobnicate
[ -z "$("$VETO" 2>/dev/null)" ] || complain "help that nobody asked for is on stdout"
refuse 1 "can't write to standard output" bash -c "'$VETO' score '$a' >/dev/full"

expect 'cpu:' "$VETO" devices
expect '{"device":"cpu:","available":true,"opened_as":"cpu:isa=' "$VETO" devices --json
refuse 2 "unexpected argument 'x'" "$VETO" devices x
image=${VETO%/*}/veto-sw-emu.xclbin
if [ -e "$image" ]; then
	expect 'kernel      veto_score_logits:veto_score_logits_1, registers at 0x1800000' "$VETO" inspect "$image"
	expect 'kernel      veto_score_logits:veto_score_logits_2, registers at 0x1810000' "$VETO" inspect "$image"
	expect '"contract":2,"fx":1,"hx":1,"kernels":[{"name":"veto_score_logits:veto_score_logits_1","base":25165824},{' \
		"$VETO" inspect --json "$image"
	head -c 1000 "$image" >"$work/cut.xclbin"
	refuse 2 "$work/cut.xclbin: its header says $(stat -c %s "$image") bytes, and there are 1000" "$VETO" inspect "$work/cut.xclbin"
fi
refuse 2 "can't read '$work': it is no regular file" "$VETO" inspect "$work"
mkfifo "$work/fifo"
refuse 2 "can't read '$work/fifo': it is no regular file" "$VETO" inspect "$work/fifo"
refuse 2 "one FILE is needed" "$VETO" inspect
refuse 2 "can't read '$work/no.xclbin'" "$VETO" inspect "$work/no.xclbin"
refuse 2 "no xclbin: it does not start with 'xclbin2'" "$VETO" inspect "$SOURCE/README.md"
expect 'window-floor' "$VETO" policies
expect 'arXiv 2508.01969' "$VETO" policies gate
expect '"parameters":[{"name":"score"' "$VETO" policies gate --json
refuse 2 "unknown policy 'gat'; known policies: floor" "$VETO" policies gat
# A policy file: the rule whole, and every member of its calibration; what --policy would say of a bad one.
cat >"$work/policy.json" <<'JSON'

{"policy": "floor", "score": "token_logp", "rungs": [16, 32], "threshold": [-0.5, 2],
	"calibrated_risk": "pooled", "calibrated_alpha": 0.05, "calibrated_pvalue": "hb", "calibrated_max_tokens": 20, "calibrated_model": "007",
	"calibrated_sampler": "{\"temperature\":0.7}", "calibrated_new_thing": "\u001b[31m", "calibrated_version": "1.2.3", "calibrated_code": "042", "calibrated_whole": true}
JSON
expect "policy        floor" "$VETO" inspect "$work/policy.json"
for line in "score         token_logp" "window        16" "threshold     -0.5+2" "rungs         16+32" "min_survivors 1" "shadow        0" calibrated \
	"  risk        pooled (the share of all right candidates that are rejected)" "  alpha       0.05 (the risk that is allowed)" \
	"  pvalue      hb (the test, of Hoeffding and Bentkus)" "  max_tokens  20 (of a candidate)" "  model       007" \
	'  sampler     {"temperature":0.7}' "  new_thing   ?[31m" "  version     1.2.3" "  whole       true" "changed       since it was calibrated: it promises nothing, and --policy refuses it"; do
	cases=$((cases + 1))
	grep -qxF -- "$line" "$work/stdout" || complain "inspect of a policy: no line '$line' in $(cat "$work/stdout")"
done
"$VETO" inspect --json "$work/policy.json" | python3 -c '
import json, sys
assert json.load(sys.stdin) == {"kind": "policy", "policy": "floor", "parameters": {"score": "token_logp", "window": 16, "threshold": [-0.5, 2],
    "rungs": [16, 32], "min_survivors": 1, "shadow": 0}, "calibrated": {"risk": "pooled", "alpha": 0.05, "pvalue": "hb", "max_tokens": 20, "model": "007",
    "sampler": "{\"temperature\":0.7}", "new_thing": "\x1b[31m", "version": "1.2.3", "code": "042", "whole": "true"}, "intact": False}' 2>"$work/log" ||
	complain "inspect --json of a policy: $(cat "$work/log")"
cases=$((cases + 1))
echo '{"policy": "detect", "words": "wait|a+b"}' >"$work/policy.json"
expect "calibrated    no" "$VETO" inspect "$work/policy.json"
expect '{"kind":"policy","policy":"detect","parameters":{"words":"wait|a+b","k":4,' "$VETO" inspect --json "$work/policy.json"
expect '"calibrated":null}' "$VETO" inspect --json "$work/policy.json"
while read -r text; do
	printf %b "$text" >"$work/policy.json"
	"$VETO" evaluate --policy "$work/policy.json" "$SOURCE/tests/traces/chain-sums.jsonl" 2>"$work/log" >"$work/stdout"
	said=$(sed "s|^veto evaluate: --policy $work/policy.json: ||" "$work/log")
	[[ "$said" == "$work/policy.json:"[12]:* ]] || complain "--policy of $text: $said"
	refuse 2 "veto inspect: $said" "$VETO" inspect "$work/policy.json"
	refuse 2 "veto inspect: $said" "$VETO" inspect --json "$work/policy.json"
done <<'POLICIES'
{"policy": "gates"}
{"policy": "gate",\n"keep": 7}
{"policy": "gate",\n"kept": 0.5}
{"score": "reward"}
{"policy": "floor"}
{"policy": "floor", "threshold": 1
{"policy": "floor", "threshold": 1}\n{}
{"policy": "floor", "threshold": 1, "calibrated_alpha": {}}
POLICIES
# What is printed, and --policy refuses: a selector, and a rule that was changed after its calibration.
evaluate=("$VETO" evaluate --policy "$work/policy.json" "$SOURCE/tests/traces/chain-sums.jsonl")
echo '{"policy": "best", "score": "token_logp"}' >"$work/policy.json"
expect "policy        best" "$VETO" inspect "$work/policy.json"
refuse 2 "this policy selects; use --select" "${evaluate[@]}"
echo '{"policy": "floor", "threshold": -1, "calibrated_risk": "pooled", "calibrated_checksum": "0123456789abcdef"}' >"$work/policy.json"
expect "changed       since it was calibrated" "$VETO" inspect "$work/policy.json"
refuse 2 "it is not as calibrate wrote it" "${evaluate[@]}"
# Traces have commands of their own; a bad one is none the less one, and a policy file that speaks of one is none.
says_trace() {
	refuse 2 "veto inspect: '$1' is a trace, as its first line has \"trace\": veto evaluate and veto import read it" "$VETO" inspect "$1"
}
says_trace "$SOURCE/tests/traces/chain-sums.jsonl"
echo '{"trace": 2}' >"$work/bad.jsonl"
says_trace "$work/bad.jsonl"
printf '{"policy": "detect", "words": "trace",\n"trace": 1}' >"$work/policy.json"
refuse 2 "policy.json:2:1: " "$VETO" inspect "$work/policy.json"
for command in score devices inspect policies; do
	expect "Usage: veto $command" "$VETO" "$command" --help
done
expect 'Commands:' "$VETO" --help
expect 'veto 0.' "$VETO" --version
finish
