#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the golden cases of FX1: rows of logits, and the scores and row records that the specification gives them.

The arithmetic follows hls/arithmetic.md in big integers and shares nothing with the C sources, so that the two check each
other.
golden.py [FOLDER] writes the cases (default: golden/ beside this file); golden.py --check [FOLDER] compares them.
"""

import argparse
import dataclasses
import json
import pathlib
import struct
import sys

from golden_cases import CASES, FORMATS, ONLY, Random, encode

A = (
    0, 713, 1435, 2164, 2901, 3646, 4400, 5161, 5931, 6709, 7496, 8291, 9095, 9908, 10729, 11560,
    12399, 13248, 14106, 14973, 15850, 16736, 17632, 18538, 19453, 20379, 21314, 22260, 23216, 24182, 25159, 26147,
    27145, 28154, 29175, 30206, 31249, 32303, 33368, 34445, 35534, 36634, 37747, 38872, 40008, 41158, 42320, 43494,
    44681, 45881, 47095, 48321, 49561, 50814, 52081, 53362, 54657, 55966, 57289, 58626, 59978, 61345, 62727, 64123)
B = (
    11407, 11543, 11656, 11790, 11924, 12056, 12176, 12318, 12451, 12588, 12721, 12863, 13003, 13139, 13292, 13427,
    13582, 13724, 13873, 14027, 14175, 14332, 14488, 14638, 14808, 14957, 15132, 15292, 15459, 15640, 15803, 15970,
    16150, 16330, 16492, 16681, 16851, 17035, 17229, 17416, 17600, 17802, 17987, 18177, 18391, 18580, 18779, 18993,
    19204, 19415, 19615, 19837, 20050, 20272, 20493, 20714, 20934, 21156, 21389, 21632, 21865, 22101, 22334, 22591)

CHUNK = 1024
LIMIT = 0x44800000  # The bits of 1024 in fp32.
INFINITY = 0x7f800000  # The bits of infinity in fp32: a larger magnitude is NaN.
TOP_K = 20  # The k of `veto score` where no option gives one.


# --- Numbers ---

def u64(value):
    """Python would hide an overflow that C has, so every intermediate that C keeps in 64 bits passes here."""
    assert 0 <= value < 1 << 64
    return value


def rounded(value, shift):
    """value * 2^-shift of a value >= 0, to nearest, ties to even."""
    if shift <= 0:
        return value << -shift
    quotient, rest, half = value >> shift, value & ((1 << shift) - 1), 1 << (shift - 1)
    return quotient + (rest > half or (rest == half and quotient & 1))


def truncated(value, divisor):
    """Division as in C: Python's own rounds down, which differs for negative values."""
    return -(-value // divisor) if value < 0 else value // divisor


def log2_q26(v):
    lz = 64 - v.bit_length()
    x = u64(v << lz) >> 32
    r = 63 - lz
    for _ in range(26):
        x = u64(x * x) >> 31
        r = 2 * r
        if x >> 32:
            r |= 1
            x >>= 1
    return r


def nats_q20(v):
    return (v * 23258160 + (1 << 30)) >> 31


def widen(fmt, bits):
    """The fp32 bits of the same value."""
    if fmt == "fp32":
        return bits
    if fmt == "bf16":
        return bits << 16
    sign_bit, exponent, fraction = (bits & 0x8000) << 16, bits >> 10 & 31, bits & 1023
    if exponent == 31:
        return sign_bit | INFINITY | fraction << 13
    if exponent == 0:
        if fraction == 0:
            return sign_bit
        shift = 11 - fraction.bit_length()
        exponent, fraction = 1 - shift, fraction << shift & 1023
    return sign_bit | (exponent + 112) << 23 | fraction << 13


# --- FX1 ---

def log2_units(bits):
    """Step 2 in its integer form.  The constant is 0xB8AA3B * 2^-7, a significand counts 2^(exponent - 150)."""
    exponent, significand = bits >> 23 & 255, bits & 0x7fffff
    if exponent:
        significand |= 0x800000
    product = significand * 0xB8AA3B
    excess = max(product.bit_length() - 24, 0)
    y = rounded(rounded(product, excess), 157 - max(exponent, 1) - excess)
    return -y if bits >> 31 else y


@dataclasses.dataclass
class Row:
    bits: list          # fp32, as given
    y: list             # None where the entry is masked
    nan: int = 0
    saturated: int = 0

    def left(self):
        return [j for j, y in enumerate(self.y) if y is not None]


def read_row(bits):
    """Steps 1 and 2."""
    row = Row(bits, [])
    for b in bits:
        size = b & 0x7fffffff
        if size > INFINITY:
            row.nan += 1
            row.y.append(None)
        elif size > LIMIT and b >> 31:
            row.y.append(None)
        elif size > LIMIT:
            row.saturated += 1
            row.y.append(log2_units(LIMIT))
        else:
            row.y.append(log2_units(b))
    return row


def power(y, n):
    """e of step 4, 0 where the entry is too far below n."""
    f, d = y & 0xffff, n - (y >> 16)
    g, r = f >> 10, f & 1023
    m = 65536 + A[g] + ((B[g] * (2 * r) + 0x4000) >> 15)
    return (m << 15) >> d if d <= 31 else 0


def chunk_sums(y):
    """Steps 3 and 4 of the entries that a chunk holds: n, s, t."""
    n = max(y) >> 16
    s = t = 0
    for v in y:
        e = power(v, n)
        s = u64(s + e)
        t = u64(t + e * (((n + 1) << 16) - v))
    return n, s, t


def row_sums(row):
    """Step 5: N, S, T, and those of an empty row where nothing is left."""
    chunks = []
    for first in range(0, len(row.y), CHUNK):
        y = [v for v in row.y[first:first + CHUNK] if v is not None]
        if y:
            chunks.append(chunk_sums(y))
    N = max((n for n, _, _ in chunks), default=-(1 << 20))
    S = T = 0
    for n, s, t in chunks:
        d = N - n
        if d < 40:
            S = u64(S + (u64(s << 13) >> d))
            T = u64(T + (u64(t + (d << 16) * s) >> (d + 3)))
    return N, S, T


def row_record(row, sums):
    y = [v for v in row.y if v is not None]
    ymax = max(y, default=-(1 << 31))
    N, S, T = sums
    record = struct.pack("<iiIIIIqQQQQ", N, ymax, len(y), row.nan, row.saturated, 0, sum(y), S, T, 0, 0)
    assert len(record) == 64
    return record


def ranked(row):
    """The ids that are left, likeliest first."""
    def key(j):
        b = row.bits[j]
        return b ^ (0xffffffff if b >> 31 else 0x80000000)
    return sorted(row.left(), key=lambda j: (-key(j), j))


def surprise_q26(N, S, T):
    """The q of step 6: T / S."""
    sh = min(64 - (T | 1).bit_length(), 26)
    den = S >> (26 - sh)
    return u64(T << sh) // den if den else 0


def subset_fields(row, sums, subset):
    left = [row.y[j] for j in subset if row.y[j] is not None]
    if not left:
        return {}
    N, S, _ = sums
    n = max(left) >> 16
    e = [0 if row.y[j] is None else power(row.y[j], n) for j in subset]
    E = sum(e)
    scaled = u64(E << 13) >> (N - n) if N - n < 40 else 0
    return {"subset_q31": [u64(v << 31) // E for v in e],
            "subset_mass_q31": min(1 << 31, (scaled << 31) // S)}


def token_fields(row, lse, best, top_k, token):
    """The scores that are built from single tokens."""
    def logp(j):
        return row.y[j] * 1024 - lse
    fields = {"top1_logp_q20": nats_q20(logp(best[0])), "margin_q20": 0}
    if len(best) > 1:
        fields["margin_q20"] = nats_q20((row.y[best[0]] - row.y[best[1]]) * 1024)
    if top_k:
        top = [row.y[j] * 1024 for j in best[:top_k]]
        fields["topk_confidence_q20"] = nats_q20(lse - truncated(sum(top), len(top)))
    if token is not None and row.y[token] is not None:
        fields["token_logp_q20"] = nats_q20(logp(token))
    return fields


def score_fields(row, sums, case, index):
    """What `veto score --json` prints for the row, in its order."""
    top_k = TOP_K if case.top_k is None else case.top_k
    best = ranked(row)
    cnt = len(best)
    fields = {"row": index, "status": "ok" if cnt else "empty", "vocab": cnt, "nan": row.nan, "saturated": row.saturated}
    if cnt:
        N, S, T = sums
        lse = log2_q26(S) + ((N - 44) << 26)
        mean = truncated(sum(row.y[j] for j in best) * 1024, cnt)
        fields["self_certainty_q20"] = nats_q20(lse - mean - log2_q26(cnt))
        fields["entropy_q20"] = nats_q20(lse - ((N + 1) << 26) + surprise_q26(N, S, T))
        fields["lse_q20"] = nats_q20(lse)
        fields["mean_q20"] = nats_q20(mean)
        fields |= token_fields(row, lse, best, top_k, case.tokens[index] if case.tokens else None)
    if top_k:
        fields["top_ids"] = best[:top_k]
    fields |= subset_fields(row, sums, case.subset)
    fields["source"] = "exact"
    return fields


# --- Files ---

def npy_file(fmt, rows):
    descr, width, _ = FORMATS[fmt]
    header = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': ({len(rows)}, {len(rows[0])}), }}"
    header += " " * (-(len(header) + 11) % 64) + "\n"
    code = "I" if width == 32 else "H"
    data = b"".join(struct.pack(f"<{len(row)}{code}", *row) for row in rows)
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + data


def options(name, fmt, case):
    words = []
    if fmt == "bf16":
        words += ["--format", fmt]
    if case.vocab:
        words += ["--vocab", str(case.vocab)]
    if case.top_k is not None:
        words += ["--top-k", str(case.top_k)]
    if case.tokens:
        words += ["--tokens", f"{name}.tokens"]
    if case.subset:
        words += ["--subset", ",".join(map(str, case.subset))]
    return " ".join(words)


def text(lines):
    return "".join(f"{line}\n" for line in lines).encode()


def case_files(name, fmt, case):
    cells = [[encode(fmt, cell) for cell in row] for row in case.rows]
    rows = [read_row([widen(fmt, b) for b in row[:case.vocab or None]]) for row in cells]
    sums = [row_sums(row) for row in rows]
    scores = [score_fields(row, s, case, i) for i, (row, s) in enumerate(zip(rows, sums))]
    files = {f"{name}.npy": npy_file(fmt, cells), f"{name}.args": text([options(name, fmt, case)]),
             f"{name}.scores": text(json.dumps(fields, separators=(",", ":")) for fields in scores),
             f"{name}.records": text(row_record(row, s).hex() for row, s in zip(rows, sums))}
    if case.tokens:
        files[f"{name}.tokens"] = text(case.tokens)
    return files


def all_files():
    files = {}
    for kind, make in CASES.items():
        for fmt in ONLY.get(kind, FORMATS):
            name = f"{kind}-{fmt}"
            files |= case_files(name, fmt, make(fmt, Random(name)))
    return files


def differences(files, folder):
    """Names of files that differ, are absent, or are no longer made."""
    present = {path.name: path for path in folder.iterdir()} if folder.is_dir() else {}
    for name in sorted(files.keys() | present.keys()):
        if name not in files:
            yield f"{name}: no case makes it"
        elif name not in present:
            yield f"{name}: absent"
        elif present[name].read_bytes() != files[name]:
            yield f"{name}: differs"


def main(doc, folder, all_files):
    parser = argparse.ArgumentParser(description=doc.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare the files instead of writing them")
    parser.add_argument("folder", nargs="?", type=pathlib.Path, default=pathlib.Path(__file__).parent / folder)
    args = parser.parse_args()
    files = all_files()
    if args.check:
        found = list(differences(files, args.folder))
        print("\n".join(found) or f"{len(files)} files are the same")
        return 1 if found else 0
    args.folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (args.folder / name).write_bytes(data)
    print(f"{len(files)} files written", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main(__doc__, "golden", all_files))
