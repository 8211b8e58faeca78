#!/usr/bin/env bash
# fuzz.sh BUILD: every fuzz target for FUZZ_SECONDS (60), from a few good inputs on.
set -euo pipefail
build=$1
seconds=${FUZZ_SECONDS:-60}
here=$(cd "$(dirname "$0")" && pwd)

mkdir -p "$build"/corpus/{npy,rule,policy,xclbin,head,backbone,trace,journal}
head -c 1000 /dev/zero >"$build/corpus/xclbin/zeros"
for file in "$here"/../golden/*.npy; do
	head -c 400 "$file" >"$build/corpus/npy/$(basename "$file")"
done
cp "$here"/../golden-statistics/*.head "$build/corpus/head/"
i=0
for rule in gate:keep=0.5,rungs=1+2 floor:threshold=-1.5e-3,window=4 consensus:weight=none \
	'{"policy":"gate","rungs":[1,2],"keep":0.3}' '{"policy":"floor","threshold":1}' window-floor:warmup=2,keep=0.9; do
	i=$((i + 1))
	printf '%s' "$rule" >"$build/corpus/rule/seed$i"
done
"$build/bin/veto" calibrate --policy "floor:score=token_logp,window=4,threshold=?" --policy esc:window=2 --alpha 0.5 --delta 0.5 \
	-o "$build/corpus/policy/calibrated" "$here/../traces/chain-sums.jsonl" >"$build/calibrate.log"
sed 's/"calibrated_beside": "[^"]*/& + consensus:warmup=4/; s/"candidate"/"answer"/' "$build/corpus/policy/calibrated" >"$build/corpus/policy/joined"
printf '{"policy": "floor", "threshold": [1, -2.5], "rungs": [4, 8]}' >"$build/corpus/policy/plain"
python3 - "$build/corpus" <<'PY'
import json, struct, sys

def text(s):
    return struct.pack("<Q", len(s)) + s.encode()

def head(output, aggregation, tensors):
    data, header = b"", {"__metadata__": {"veto_head": "1", "arithmetic": "HX1 1", "shape": "probe", "output": output,
        "aggregation": aggregation, "tap": "final_norm", "backbone": "any", "quantisation": "", "sha256": "0" * 64}}
    for name, kind, shape, raw in tensors:
        header[name] = {"dtype": kind, "shape": shape, "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    line = json.dumps(header, separators=(",", ":"))
    line += " " * ((-len(line) - 8) % 64)
    return struct.pack("<Q", len(line)) + line.encode() + data

def layer(i, rows, cols, kind):
    code = "b" if kind == "I8" else "h"
    return [(f"layer.{i}.bias", "I32", [rows], struct.pack(f"<{rows}i", *range(rows))),
        (f"layer.{i}.mant", "U16", [rows], struct.pack(f"<{rows}H", *[40000] * rows)),
        (f"layer.{i}.sh", "I16", [rows], struct.pack(f"<{rows}h", *[20] * rows)),
        (f"layer.{i}.weight", kind, [rows, cols], struct.pack(f"<{rows * cols}{code}", *[i % 100 for i in range(rows * cols)]))]

seeds = {"one": head("sigmoid", "last", layer(0, 1, 4, "I16")), "two": head("softmax:1", "min", layer(0, 4, 6, "I16") + layer(1, 2, 4, "I16")),
    "narrow": head("softmax:1+2", "mean", layer(0, 4, 8, "I8")),
    "published": head("sigmoid", "mean", [("v_head.summary.bias", "BF16", [1], bytes(2)),
        ("v_head.summary.weight", "F32", [1, 4], bytes(16))]),
    "table": head("self-certainty", "mean", [("table.c", "I32", [2], bytes(8)), ("table.f", "I16", [2], bytes(4)),
        ("table.hi", "I16", [2, 3], bytes(range(12))), ("table.lo", "U8", [2, 3], bytes(range(6)))])}
for name, data in seeds.items():
    open(f"{sys.argv[1]}/head/{name}", "wb").write(data)
pairs = [("general.architecture", 8, text("llama")), ("llama.embedding_length", 4, struct.pack("<I", 2)),
    ("llama.block_count", 4, struct.pack("<I", 1)), ("general.file_type", 4, struct.pack("<I", 7)),
    ("tokenizer.ggml.tokens", 9, struct.pack("<IQ", 8, 2) + text("a") + text("b"))]
norm = text("output_norm.weight") + struct.pack("<IQIQ", 1, 2, 0, 0)
model = b"GGUF" + struct.pack("<IQQ", 3, 1, len(pairs)) + b"".join(text(k) + struct.pack("<I", t) + v for k, t, v in pairs) + norm
model += bytes((-len(model)) % 32) + struct.pack("<2f", 1, 2)
open(f"{sys.argv[1]}/backbone/small", "wb").write(model)

def frame(kind, payload):
    return bytes([kind, len(payload)]) + payload

# A prompt, a round that opens a candidate and gives it a token with a score and an end, what was chosen, the end.
events = bytes([3, 0, 0, 1, 0, 6, 0, 0, 1, 0, 0, 200, 1, 0, 0, 2, 0]) + bytes(8) + bytes([0, 0])
journal = bytes([0]) + frame(1, b"\x02a\x06What?\x00") + frame(2, events) + frame(3, b"\x00\x00") + frame(4, b"")
open(f"{sys.argv[1]}/journal/small", "wb").write(journal)
PY
cat >"$build/corpus/trace/small" <<'JSON'
{"trace": 1, "candidates": 2, "cohort": 2, "max_tokens": 4, "policy": "none", "questions": {"a": "What?"}}
{"prompt": "a", "candidate": 0, "finished": true, "answer": "1", "correct": true, "tokens": [1, 2], "logp": [-0.5, null], "entropy": [[0.1, 0.2], 1], "steps": [[0, true]], "hidden": {"file": "h.npy", "rows": [4, 0], "positions": [0, 1]}}
{"prompt": "a", "candidate": 1, "finished": false, "answer": null, "correct": false, "tokens": [], "logp": [], "entropy": []}
JSON
for target in npy rule policy xclbin head backbone trace journal; do
	echo "fuzz: $target for $seconds s"
	if ! "$build/bin/fuzz_$target" -max_total_time="$seconds" -timeout=5 -max_len=4096 -print_final_stats=1 -verbosity=0 \
		-artifact_prefix="$build/crash-$target-" "$build/corpus/$target" >"$build/fuzz-$target.log" 2>&1; then
		grep -E 'error|ERROR|SUMMARY' "$build/fuzz-$target.log" || tail -n 5 "$build/fuzz-$target.log"
		echo "fuzz: $target failed; see $build/fuzz-$target.log and $build/crash-$target-*"
		exit 1
	fi
	grep -E 'executed_units|new_units' "$build/fuzz-$target.log"
done
echo "fuzz: nothing found"
