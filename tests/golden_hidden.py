#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the golden cases of HX1 and SCH: heads, hidden states, and the scores that the specification gives them.

The arithmetic follows hls/arithmetic.md in big integers and shares nothing with the C sources, so that the two check each
other.
golden_hidden.py [FOLDER] writes the cases (default: golden-hidden/ beside this file); golden_hidden.py --check [FOLDER]
compares them.
"""

import hashlib
import json
import math
import struct
import sys

from golden import log2_q26, main, nats_q20, npy_file, power, rounded, text, truncated, widen
from golden_cases import FORMATS, Random, encode
from golden_hidden_cases import HEADS, ONLY, Floats, Integers
from golden_table_cases import NO_TOKEN, TABLES, Embedding, Planes, Table

LOG2E = 0xB8AA3B


# --- Operators ---

def limit(value, most):
    return max(-most, min(most, value))


def sat32(value):
    return max(-(1 << 31), min((1 << 31) - 1, value))


def R(v, s):
    assert abs(v) < 1 << 60
    if s >= 61:
        return 0
    if s <= 0:
        exact = v << -s
    else:
        exact = rounded(v, s) if v >= 0 else -rounded(-v, s)
    return limit(exact, 1 << 40)


# --- Making the integers: step 6 of HX1, and the table of SCH ---

def rint(value):
    """To nearest, ties to even."""
    return round(value)


def integer_row(row, bits):
    """The weights, mant and sh."""
    lim = (1 << (bits - 1)) - 1
    a = max(abs(w) for w in row)
    if a == 0:
        return [0] * len(row), 32768, 15
    f, x = math.frexp(a / lim)
    mant, sh = rint(f * 65536), 16 - x
    if mant == 65536:
        mant, sh = 32768, sh - 1
    assert -64 <= sh <= 127
    unit = math.ldexp(mant, -sh)
    return [limit(rint(w / unit), lim) for w in row], mant, sh


def integers(layer):
    if isinstance(layer, Integers):
        return layer
    assert isinstance(layer, Floats)
    rows = [integer_row(row, layer.bits) for row in layer.weight]
    return Integers(*map(list, zip(*rows)), [rint(b * 65536) for b in layer.bias], layer.bits)


def mean(values):
    total = 0.0
    for value in values:
        total += value
    return total / len(values)


def table_row(u, bits):
    """v and F."""
    a = max(map(abs, u))
    F = math.frexp(a)[1] - 1 if a else 0
    if bits == 16:
        return [limit(rint(math.ldexp(x, 14 - F)), 32767) << 8 for x in u], F
    return [limit(rint(math.ldexp(x, 22 - F)), (1 << 23) - 1) for x in u], F


def planes(rows):
    if isinstance(rows, Planes):
        return rows
    assert isinstance(rows, Embedding)
    wbar = [mean(column) for column in zip(*rows.weight)]
    made = [table_row([rows.scale * (w - m) for w, m in zip(row, wbar)], rows.bits) for row in rows.weight]
    bias = rows.bias or [0.0] * len(made)
    bbar = mean(bias)
    return Planes([v for v, _ in made], [F for _, F in made],
                  [rint(rows.scale * (b - bbar) * (1 << 20)) for b in bias], rows.bits)


# --- HX1 ---

def quantise(bits, width):
    """Step 1: q and E, or None of a bad state."""
    exponents = [b >> 23 & 255 for b in bits]
    if 255 in exponents:
        return None
    e = [max(x, 1) for x in exponents]
    emax = max(e)
    q = []
    for b, x, ei in zip(bits, exponents, e):
        sig = (b & 0x7fffff) + (0x800000 if x else 0)
        q.append(limit(R(-sig if b >> 31 else sig, emax - ei + 25 - width), (1 << (width - 1)) - 1))
    return q, emax - 127


def sums(layer, q):
    acc = [sum(w * x for w, x in zip(row, q, strict=True)) for row in layer.weight]
    assert all(abs(a) < 1 << 44 for a in acc)
    return acc


def dense(layer, q, E):
    """Step 2."""
    return [sat32(R(acc * mant, sh - 2 - E) + bias)
            for acc, mant, sh, bias in zip(sums(layer, q), layer.mant, layer.sh, layer.bias, strict=True)]


def between(z):
    """Step 3."""
    z = [max(v, 0) for v in z]
    M = max(z)
    if M == 0:
        return [0] * len(z), 0
    b = M.bit_length() - 1
    return [min(R(v, b - 14), 32767) for v in z], b - 16


def softmax(z):
    """p and lp."""
    y = [R(limit(v, 1 << 26) * LOG2E, 23) for v in z]
    n = max(y) >> 16
    e = [power(v, n) for v in y]
    Es = sum(e)
    return [(v << 31) // Es for v in e], [nats_q20(v * 1024 - log2_q26(Es) - ((n - 31) << 26)) for v in y]


def distance(layer, q, E):
    r2 = sum(v * v for v in q) << 16
    for acc, mant, sh in zip(sums(layer, q), layer.mant, layer.sh):
        c = limit(R(acc * mant, sh - 8), 1 << 30)
        r2 = max(0, r2 - c * c)
    return sat32(R(math.isqrt(r2), 6 - E))


def exp_q31(L):
    """Step 5: back from a logarithm."""
    y = R(L * LOG2E, 27)
    n = y >> 16
    if n > 0:
        return 1 << 31
    return 0 if n < -31 else min(1 << 31, power(y & 0xffff, 0) >> -n)


def probability(case, z):
    """The reward, and the logarithms of all classes."""
    if case.output == "sigmoid":
        p, lp = softmax([0, z[0]])
        return p[1], lp, lp[1]
    p, lp = softmax(z)
    classes = [int(k) for k in case.output.split(":")[1].split("+")]
    return min(1 << 31, sum(p[k] for k in classes)), lp, lp[classes[0]]


class Steps:
    """Step 5."""

    def __init__(self, case):
        self.case, self.z, self.p, self.lp = case, [], [], []

    def add(self, z):
        p, _, lp = probability(self.case, z)
        self.z.append(z)
        self.p.append(p)
        self.lp.append(lp)
        return getattr(self, self.case.aggregation.replace("-", "_"))()

    def last(self):
        return self.p[-1]

    def mean(self):
        return truncated(sum(self.p), len(self.p))

    def product(self):
        result = self.p[0]
        for p in self.p[1:]:
            result = (result * p + (1 << 30)) >> 31
        return result

    def min(self):
        return min(self.p)

    def geometric_mean(self):
        return exp_q31(truncated(sum(self.lp), len(self.lp)))

    def max_pool(self):
        return probability(self.case, [max(z) for z in zip(*self.z)])[0]


def dense_fields(case, layers, state, steps):
    found = quantise(state, 16)
    if not found:
        return {"status": "bad_state"}
    q, E = found
    if case.output == "distance":
        d = distance(layers[0], q, E)
        return {"status": "ok", "head_q16": [d], "reward_q16": -d}
    for layer in layers[:-1]:
        q, E = between(dense(layer, q, E))
    z = dense(layers[-1], q, E)
    fields = {"status": "ok", "head_q16": z}
    if case.output == "raw":
        return fields | {"reward_q16": z[0]}
    reward, logs, _ = probability(case, z)
    return fields | {"reward_q31": reward, "log_q20": logs, "steps_q31": steps.add(z)}


# --- SCH ---

def logp_q20(word):
    """None where the score is absent."""
    x = float(word)
    if math.isnan(x) or x > 0.001 or x < -1024:
        return None
    return rint(min(x, 0.0) * (1 << 20))


def table_fields(table, state, token, word):
    found = quantise(state, 24)
    if not found:
        return {"status": "bad_state"}
    logp = logp_q20(word)
    if token == NO_TOKEN or logp is None:
        return {"status": "ok"}
    q, E = found
    acc = sum(x * v for x, v in zip(q, table.v[token], strict=True))
    score = sat32(R(acc, 24 - E - table.f[token]) + table.c[token] - logp - nats_q20(log2_q26(len(table.v))))
    return {"status": "ok", "self_certainty_q20": score}


# --- Files ---

CODES = {"I8": "b", "U8": "B", "I16": "h", "U16": "H", "I32": "i"}


def head_file(metadata, tensors):
    """safetensors, with its own checksum; tensors: (name, type, shape, values), larger values first."""
    header, data = {"__metadata__": metadata | {"sha256": "0" * 64}}, b""
    for name, kind, shape, values in tensors:
        packed = struct.pack(f"<{len(values)}{CODES[kind]}", *values)
        header[name] = {"dtype": kind, "shape": shape, "data_offsets": [len(data), len(data) + len(packed)]}
        data += packed
    words = json.dumps(header, separators=(",", ":")).encode()
    words += b" " * (-(len(words) + 8) % 64)
    file = struct.pack("<Q", len(words)) + words + data
    digits = hashlib.sha256(file).hexdigest().encode()
    return file.replace(b'"sha256":"' + b"0" * 64, b'"sha256":"' + digits, 1)


def metadata(shape, output, aggregation):
    return {"veto_head": "1", "arithmetic": "HX1 1", "shape": shape, "output": output, "aggregation": aggregation,
            "tap": "final_norm", "backbone": "any", "quantisation": ""}


def flat(rows):
    return [value for row in rows for value in row]


def dense_head(case, layers):
    tensors = []
    for n, layer in enumerate(layers):
        rows, columns = len(layer.weight), len(layer.weight[0])
        tensors += [(f"layer.{n}.bias", "I32", [rows], layer.bias), (f"layer.{n}.mant", "U16", [rows], layer.mant),
                    (f"layer.{n}.sh", "I16", [rows], layer.sh),
                    (f"layer.{n}.weight", f"I{layer.bits}", [rows, columns], flat(layer.weight))]
    tensors.sort(key=lambda tensor: -struct.calcsize(CODES[tensor[1]]))
    return head_file(metadata("golden", case.output, case.aggregation), tensors)


def table_head(table):
    shape = [len(table.v), len(table.v[0])]
    tensors = [("table.c", "I32", shape[:1], table.c), ("table.f", "I16", shape[:1], table.f),
               ("table.hi", "I16", shape, [v >> 8 for v in flat(table.v)])]
    if table.bits == 24:
        tensors.append(("table.lo", "U8", shape, [v & 255 for v in flat(table.v)]))
    return head_file(metadata("sch", "self-certainty", "mean"), tensors)


def case_files(name, fmt, case):
    cells = [[encode(fmt, cell) for cell in state] for state in case.states]
    states = [[widen(fmt, b) for b in state] for state in cells]
    files = {f"{name}.npy": npy_file(fmt, cells)}
    if isinstance(case, Table):
        table = planes(case.rows)
        files |= {f"{name}.head": table_head(table), f"{name}.tokens": text(case.tokens),
                  f"{name}.logps": text(case.logps)}
        scores = [table_fields(table, *row) for row in zip(states, case.tokens, case.logps, strict=True)]
    else:
        layers, steps = [integers(layer) for layer in case.layers], Steps(case)
        files[f"{name}.head"] = dense_head(case, layers)
        scores = [dense_fields(case, layers, state, steps) for state in states]
    lines = [json.dumps({"row": i} | fields, separators=(",", ":")) for i, fields in enumerate(scores)]
    return files | {f"{name}.scores": text(lines)}


def all_files():
    files = {}
    for kind, make in (HEADS | TABLES).items():
        for fmt in ONLY.get(kind, FORMATS):
            name = f"{kind}-{fmt}"
            files |= case_files(name, fmt, make(fmt, Random(name)))
    return files


if __name__ == "__main__":
    sys.exit(main(__doc__, "golden-hidden", all_files))
