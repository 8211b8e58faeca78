#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Small models whose tables and identities are known.

tables.py make FOLDER writes table-NAME.gguf (tables), bad-NAME.gguf (those that have none), and base.gguf with same-NAME.gguf
and other-NAME.gguf, of the same and of another identity, each with a head NAME.safetensors.
tables.py compare FOLDER compares each table-NAME.i24 and .i16 with what hls/arithmetic.md makes of that model.
tables.py edit IN OUT OLD NEW replaces a text of a head file, and renews the checksum.
"""

import hashlib
import json
import math
import pathlib
import struct
import sys

import gguf
import heads

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))
from golden_cases import Random
from golden_hidden import Embedding, flat, planes
from golden_hidden_cases import fp32, normals
from golden_table_cases import pairs, table_ends

F32, F16, Q8_0, BF16 = 0, 1, 8, 30
COLS, VOCAB = 64, 37


def packed(kind, values):
    if kind == BF16:
        return b"".join(struct.pack("<f", x)[2:] for x in values)
    return struct.pack(f"<{len(values)}{'fe'[kind]}", *values)


def tensor(kind, rows):
    return [len(rows[0]), len(rows)], kind, packed(kind, flat(rows))


def vector(kind, values):
    return [len(values)], kind, packed(kind, values)


def blocks(dice, rows, cols):
    """Q8_0, and its values."""
    data, values = b"", []
    for _ in range(rows * cols // 32):
        unit = struct.pack("<e", dice.uniform(0.0005, 0.002))
        q = [dice.below(255) - 127 for _ in range(32)]
        data += unit + struct.pack("<32b", *q)
        values += [struct.unpack("<e", unit)[0] * x for x in q]
    return ([cols, rows], Q8_0, data), [values[i:i + cols] for i in range(0, len(values), cols)]


def entries(arch, cols, vocab, **more):
    return {"general.architecture": arch, "general.file_type": 3, f"{arch}.embedding_length": cols,
            f"{arch}.block_count": 2, "tokenizer.ggml.tokens": [f"t{i}" for i in range(vocab)]} | more


NORM = {"output_norm.weight": vector(F32, [1.0] * COLS)}


# --- Tables ---

class Model:
    """weight: values of the output embedding; there may be more rows, bias values too, than tokens."""

    def __init__(self, weight, kind=F32, is_tied=False, bias=None, arch="llama", scale=None, applied=1.0, data=None, vocab=None):
        vocab = vocab or len(weight)
        self.rows = Embedding(weight[:vocab], bias and bias[:vocab], applied)
        self.entries = entries(arch, len(weight[0]), vocab) | ({f"{arch}.logit_scale": scale} if scale else {})
        embedding = data or tensor(kind, weight)
        other = tensor(F16, [[7.0] * len(weight[0])] * len(weight))  # of the input, if it is another
        self.tensors = {"token_embd.weight": embedding if is_tied else other, **NORM}
        if not is_tied:
            self.tensors["output.weight"] = embedding
        if bias:
            self.tensors["output.bias"] = vector(F32, bias)


def halves(rows):
    return [list(struct.unpack(f"<{len(row)}e", packed(F16, row))) for row in rows]


def tables():
    dice = Random("tables")
    centre = normals(dice, 1, COLS, 0.2)[0]
    rows = [[fp32(x + m) for x, m in zip(row, centre)] for row in normals(dice, VOCAB, COLS, 0.05)]
    bias = [fp32(x + 0.75) for x in normals(dice, 1, VOCAB, 0.4)[0]]
    scale = fp32(0.3)
    truncated = [[struct.unpack("<f", b"\0\0" + struct.pack("<f", x)[2:])[0] for x in row] for row in rows]
    q8, q8_rows = blocks(dice, VOCAB, 2 * COLS)
    tall = [row[:] for row in rows]  # sums lose what stands between its ends
    tall[3][9], tall[20][9], tall[5][10], tall[36][10] = 2.0 ** 60, -2.0 ** 60, -2.0 ** 56, 2.0 ** 56
    zeros = pairs(dice, 3, COLS, 20.0) + [[0.0] * COLS] + pairs(dice, 2, COLS, 0.001) + [[0.0] * COLS]
    padding = [[1e6] * COLS] * 2 + [[math.nan] * COLS] * 3
    return {
        "untied": Model(rows), "tied": Model(halves(rows), F16, True), "bf16": Model(truncated, BF16),
        "bias": Model(halves(rows), F16, bias=bias, arch="qwen2"), "order": Model(tall, bias=bias),
        "granite": Model(rows, arch="granite", scale=scale, applied=1 / scale, bias=bias),
        "granitemoe": Model(rows, is_tied=True, arch="granitemoe", scale=8.0, applied=0.125),
        "command-r": Model(halves(rows), F16, True, arch="command-r", scale=scale, applied=scale),
        "cohere2": Model(rows, arch="cohere2", scale=scale, applied=scale, bias=bias),
        "scale-1": Model(rows, scale=1.0), "q8": Model(q8_rows, data=q8), "q8-tied": Model(q8_rows, is_tied=True, data=q8),
        "zero-rows": Model(zeros), "padded": Model(rows + padding, bias=bias + [1e6, math.nan] * 2 + [0.0], vocab=VOCAB),
        "ends-24": Model(table_ends(24)("fp32", dice).rows.weight), "ends-16": Model(table_ends(16)("fp32", dice).rows.weight),
    }


def bad_models():
    """No table."""
    def spoilt(kind, row, col, value, **more):
        weight = [[0.5 * (i == j % COLS) for i in range(COLS)] for j in range(VOCAB)]
        weight[row][col] = value
        return Model(weight, kind, **more)
    bias = [0.25] * VOCAB
    models = {"nan": spoilt(F32, 5, 3, math.nan), "inf-tied": spoilt(F16, 36, 63, -math.inf, is_tied=True),
              "bias-nan": spoilt(F32, 0, 0, 0.0, bias=bias[:5] + [math.nan] + bias[6:]),
              "bias-far": spoilt(F32, 0, 0, 0.0, bias=bias[:36] + [-2200.0]), "cap": spoilt(F32, 0, 0, 0.0, arch="gemma3"),
              "scale": spoilt(F32, 0, 0, 0.0, scale=0.5), "scale-nan": spoilt(F32, 0, 0, 0.0, arch="granite", scale=math.nan),
              "scale-0": spoilt(F32, 0, 0, 0.0, arch="granite", scale=2.0), "split": spoilt(F32, 0, 0, 0.0),
              "cap-whole": spoilt(F32, 0, 0, 0.0, arch="gemma3"), "output-scale": spoilt(F32, 0, 0, 0.0),
              "architecture": spoilt(F32, 0, 0, 0.0, arch="minicpm")}  # scales its logits, with no key
    models["cap"].entries["gemma3.final_logit_softcapping"] = 28.5
    models["cap-whole"].entries["gemma3.final_logit_softcapping"] = 28
    models["scale-0"].entries["granite.logit_scale"] = 0.0
    models["split"].entries["split.count"] = (2,)
    models["output-scale"].tensors["output.scale"] = vector(F32, [1.0])
    return models


def read_head(path):
    """Tensors: name -> (shape, values)."""
    data = pathlib.Path(path).read_bytes()
    start = 8 + struct.unpack_from("<Q", data)[0]
    codes = {"U8": "B", "I16": "h", "I32": "i"}
    found = {}
    for name, item in json.loads(data[8:start]).items():
        if name != "__metadata__":
            raw = data[start + item["data_offsets"][0]:start + item["data_offsets"][1]]
            found[name] = item["shape"], [x for x, in struct.iter_unpack("<" + codes[item["dtype"]], raw)]
    return found


def difference(rows, bits, path):
    """What is wrong with a table, or None."""
    rows.bits = bits
    made = planes(rows)
    shape = [len(made.v), len(made.v[0])]
    expected = {"table.hi": (shape, [v >> 8 for v in flat(made.v)]), "table.lo": (shape, [v & 255 for v in flat(made.v)]),
                "table.f": (shape[:1], made.f), "table.c": (shape[:1], made.c)}
    if bits == 16:
        del expected["table.lo"]
    found = read_head(path)
    if found.keys() != expected.keys():
        return f"holds {sorted(found)}, expected {sorted(expected)}"
    for key, (size, values) in expected.items():
        if found[key][0] != size:
            return f"{key} is {found[key][0]}, expected {size}"
        for i, (x, y) in enumerate(zip(found[key][1], values, strict=True)):
            if x != y:
                return f"{key} {list(divmod(i, size[1])) if size[1:] else [i]} is {x}, expected {y}"
    return None


def compare(folder):
    wrong = {f"{name}, i{bits}": difference(model.rows, bits, folder / f"table-{name}.i{bits}")
             for name, model in tables().items() for bits in (24, 16)}
    return "\n".join(f"{name}: {what}" for name, what in wrong.items() if what) or None


# --- Identities ---

def identities():
    """name -> (entries, tensors); each but the first differs from it in what its name says."""
    def made(arch="llama", width=COLS, **more):
        values = [[k / 64 for k in range(33 + i, 33 + i + width)] for i in range(3)]  # the same in every type
        names = ["blk.0.attn_norm.weight", "blk.1.attn_norm.weight", "output_norm.weight"]
        some = tensor(F16, [[0.25] * width] * VOCAB)
        return (entries(arch, width, VOCAB, **more),
                {"token_embd.weight": some} | {n: vector(F32, v) for n, v in zip(names, values)} | {"blk.0.ffn_up.weight": some})

    base = made()
    head, body = base
    tokens, norms = head["tokenizer.ggml.tokens"], [n for n in body if n.endswith("_norm.weight")]
    first, middle, last = norms

    def retyped(kind):
        return {n: vector(kind, struct.unpack(f"<{COLS}f", t[2])) if n in norms else t for n, t in body.items()}

    def nudged(name, at):
        values = list(struct.unpack(f"<{COLS}f", body[name][2]))
        values[at] += 2 ** -20
        return head, body | {name: vector(F32, values)}

    def worded(at, *words):
        return head | {"tokenizer.ggml.tokens": tokens[:at] + list(words) + tokens[at + len(words):]}, body

    q8, _ = blocks(Random("identity"), VOCAB, COLS)
    return {
        "base": base,
        "same-quantised": (head | {"general.file_type": 7}, body | {"token_embd.weight": q8, "blk.0.ffn_up.weight": q8}),
        "same-fp16-norms": (head, retyped(F16)), "same-bf16-norms": (head, retyped(BF16)),
        "same-tensor-order": (head, dict(reversed(body.items()))), "same-key-order": (dict(reversed(head.items())), body),
        "same-metadata": ({"general.name": "Another", "general.alignment": 128, "general.author": "One"} | head
                          | {"llama.context_length": 99, "clip.embedding_length": 7, "llama.vision.block_count": 7}, body),
        "other-architecture": made("qwen2"), "other-width": (head | {"llama.embedding_length": 96}, body),
        "other-blocks": (head | {"llama.block_count": 3}, body),
        "other-token": worded(5, "T5"), "other-last-token": worded(VOCAB - 1, "T"), "other-token-order": worded(5, "t6", "t5"),
        "other-token-ends": worded(5, "t5t", "6"), "other-vocabulary": (head | {"tokenizer.ggml.tokens": [*tokens, ""]}, body),
        "other-first-norm-value": nudged(first, 0), "other-norm-value": nudged(middle, 31),
        "other-last-norm-value": nudged(last, COLS - 1),
        "other-norm-name": (head, {n.replace("1.attn_", "1.attn_post_"): t for n, t in body.items()}),
        "other-norms": (head, {n: t for n, t in body.items() if n != middle}),
        # Not of these, but of states as wide as SmolLM2's.
        "smol": made(width=576),
    }


def fingerprint(head, body):
    """As host/backbone.h says, of norms in fp32."""
    tokens = b"".join(gguf.text(token) for token in head["tokenizer.ggml.tokens"])
    data = gguf.text(head["general.architecture"])
    data += struct.pack("<4Q", head["llama.embedding_length"], head["llama.block_count"],
                        len(head["tokenizer.ggml.tokens"]), len(tokens)) + tokens
    for name in sorted(n for n in body if n.endswith("_norm.weight")):
        data += gguf.text(name) + body[name][2]
    return hashlib.sha256(data).hexdigest()


def make(folder):
    for kind, models in ("table", tables()), ("bad", bad_models()):
        for name, model in models.items():
            gguf.save(folder / f"{kind}-{name}.gguf", model.entries, model.tensors)
    (folder / "base.sha256").write_text(fingerprint(*identities()["base"]))
    for name, (head, body) in identities().items():
        gguf.save(folder / f"{name}.gguf", head, body)
        cols = next(v for k, v in head.items() if k.endswith(".embedding_length"))
        heads.safetensors(folder / f"{name}.safetensors", {"weight": [[0.5] * cols], "bias": [0.25]})


def edit(source, target, old, new):
    data = pathlib.Path(source).read_bytes().replace(old.encode(), new.encode(), 1)
    at = data.index(b'"sha256":"') + len(b'"sha256":"')
    start, end = data[:at], data[at + 64:]
    pathlib.Path(target).write_bytes(start + hashlib.sha256(start + b"0" * 64 + end).hexdigest().encode() + end)


if __name__ == "__main__":
    if sys.argv[1] == "make":
        make(pathlib.Path(sys.argv[2]))
    elif sys.argv[1] == "compare":
        sys.exit(compare(pathlib.Path(sys.argv[2])))
    else:
        edit(*sys.argv[2:])
