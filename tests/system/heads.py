#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Published heads, made: heads.py FOLDER writes SHAPE.safetensors, SHAPE.npy (states) and SHAPE.rewards for each shape.

The rewards are those of the floats, in double precision, by the formulas that the heads were published with.
"""

import json
import math
import pathlib
import random
import struct
import sys

COLS = 96
STATES = 5


def safetensors(path, tensors):
    header, data = {}, b""
    for name, rows in tensors.items():
        flat = [x for row in rows for x in row] if isinstance(rows[0], list) else rows
        shape = [len(rows), len(rows[0])] if isinstance(rows[0], list) else [len(rows)]
        raw = struct.pack(f"<{len(flat)}f", *flat)
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def npy(path, rows):
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({len(rows)}, {len(rows[0])}), }}"
    header += " " * ((-len(header) - 11) % 64) + "\n"
    raw = b"".join(struct.pack(f"<{len(row)}f", *row) for row in rows)
    path.write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + raw)


def fp32(x):
    return struct.unpack("<f", struct.pack("<f", x))[0]


def normals(dice, rows, cols, scale):
    return [[fp32(dice.gauss(0, scale)) for _ in range(cols)] for _ in range(rows)]


def layer(weight, bias, x):
    return [b + math.fsum(w * v for w, v in zip(row, x)) for row, b in zip(weight, bias)]


def softmax(z):
    top = max(z)
    e = [math.exp(v - top) for v in z]
    return [v / sum(e) for v in e]


def sigmoid(z):
    return 1 / (1 + math.exp(-z[0]))


# Names and shapes of the tensors: (weight, bias, rows) of each layer; the reward of the outputs.
SHAPES = {
    "qwen-prm": ([("score.0.weight", "score.0.bias", COLS), ("score.2.weight", "score.2.bias", 2)], lambda z: softmax(z)[1]),
    "qwen-rm": ([("score.0.weight", "score.0.bias", COLS), ("score.2.weight", "score.2.bias", 1)], lambda z: z[0]),
    "skywork-prm": ([("v_head.summary.weight", "v_head.summary.bias", 1)], sigmoid),
    "reasoneval": ([("score_head.weight", "score_head.bias", 3)], lambda z: sum(softmax(z)[1:])),
    "token-prm": ([("score.weight", "score.bias", 2)], lambda z: softmax(z)[1]),
    "sprm": ([("0.weight", "0.bias", 2 * COLS), ("3.weight", "3.bias", 1)], sigmoid),
    "probe": ([("0.weight", "0.bias", 16), ("2.weight", "2.bias", 1)], sigmoid),
    "coderl": ([("error_head.0.weight", "error_head.0.bias", 128), ("error_head.2.weight", "error_head.2.bias", 4)],
               lambda z: softmax(z)[3]),
}


def orthonormal(dice, rows, cols):
    out = []
    for _ in range(rows):
        row = [dice.gauss(0, 1) for _ in range(cols)]
        for other in out:
            dot = math.fsum(a * b for a, b in zip(row, other))
            row = [a - dot * b for a, b in zip(row, other)]
        norm = math.sqrt(math.fsum(a * a for a in row))
        out.append([fp32(a / norm) for a in row])
    return out


def main():
    folder = pathlib.Path(sys.argv[1])
    dice = random.Random(5)
    states = normals(dice, STATES, COLS, 2.5)
    for name, (layers, reward) in SHAPES.items():
        tensors, cols = {}, COLS
        for weight, bias, rows in layers:
            tensors[weight] = normals(dice, rows, cols, 0.4 / math.sqrt(cols))
            tensors[bias] = normals(dice, 1, rows, 0.2)[0]
            cols = rows
        safetensors(folder / f"{name}.safetensors", tensors)
        npy(folder / f"{name}.npy", states)
        lines = []
        for x in states:
            for i, (weight, bias, _) in enumerate(layers):
                x = layer(tensors[weight], tensors[bias], [max(v, 0) for v in x] if i else x)
            lines.append(f"{reward(x):.9f}\n")
        (folder / f"{name}.rewards").write_text("".join(lines))
    basis = orthonormal(dice, 4, COLS)
    safetensors(folder / "subspace.safetensors", {"u": basis})
    npy(folder / "subspace.npy", states)
    (folder / "subspace.rewards").write_text("".join(
        f"{-math.sqrt(math.fsum(v * v for v in x) - sum(math.fsum(a * b for a, b in zip(row, x)) ** 2 for row in basis)):.9f}\n"
        for x in states))


if __name__ == "__main__":
    main()
