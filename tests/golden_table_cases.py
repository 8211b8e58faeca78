# SPDX-License-Identifier: Apache-2.0
"""The golden cases of tables: exact self-certainty from a hidden state."""

import dataclasses

from golden_cases import largest, sign
from golden_hidden_cases import (INT32_MAX, INT32_MIN, any_states, bad_states, fp32, largest_states, normal_state, normals,
                                 subnormal_states, tie_states, zero_states)

NO_TOKEN = 0xffffffff


@dataclasses.dataclass
class Embedding:
    """An output embedding, its bias and the scale of the logits."""
    weight: list
    bias: list | None = None
    scale: float = 1.0
    bits: int = 24


@dataclasses.dataclass
class Planes:
    """A table's integers."""
    v: list
    f: list
    c: list
    bits: int = 24


@dataclasses.dataclass
class Table:
    rows: Embedding | Planes
    states: list
    tokens: list
    logps: list  # text


def with_tokens(random, rows, states, vocab):
    tokens = [random.below(vocab) for _ in states]
    tokens[0], tokens[-1] = 0, vocab - 1
    return Table(rows, states, tokens, [f"{-random.uniform(0, 12):.7g}" for _ in states])


LOGPS = ("0", "-0", "-0.0", "1e-9", "0.0005", "0.001", "0.0010001", "1", "nan", "-nan", "inf", "-inf", "-9999",
         "-1023.9", "-1024", "-1024.0000001", "-1025", "-3.4028234663852886e38", "-1e-300", "-2.5", "-85.25",
         "-4.76837158203125e-07", "-1.430511474609375e-06", "-2.384185791015625e-06", "-4.77e-07", "-4.76e-07")


def pairs(random, half, columns, deviation):
    """Rows and their negatives, so that the mean is 0 and the centred rows are these."""
    rows = []
    for row in normals(random, half, columns, deviation):
        rows += [row, [-x for x in row]]
    return rows


def table(bits, vocab, columns, deviation=0.05, scale=1.0, has_bias=False):
    def case(fmt, random):
        bias = normals(random, 1, vocab, 0.4)[0] if has_bias else None
        rows = Embedding(normals(random, vocab, columns, deviation), bias, scale, bits)
        return with_tokens(random, rows, any_states(fmt, random, columns) + zero_states(fmt, random, columns), vocab)
    return case


def table_logps(fmt, random):
    """The last state is bad, whatever its log-probability is."""
    rows = Embedding(normals(random, 9, 20, 0.1))
    states = [normal_state(random, 20) for _ in LOGPS] + bad_states(fmt, random, 20)[:4]
    tokens = [i % 9 for i in range(len(states))]
    tokens[19] = tokens[-1] = NO_TOKEN
    return Table(rows, states, tokens, [*LOGPS, "-1", "nan", "-9999", "-2"])


def table_states(make, bits=24):
    def case(fmt, random):
        states = make(fmt, random, 35)
        rows = Embedding(normals(random, 11, 35, 0.1), normals(random, 1, 11, 0.5)[0], 1.0, bits)
        return with_tokens(random, rows, states, 11)
    return case


def table_ties(fmt, random):
    """Scores are the state's integers, one of them each."""
    v = [[(1 << 22) * (i == j) for i in range(12)] for j in range(12)]
    states = [state for state in tie_states(fmt, random, 12, 24) for _ in range(12)]
    return Table(Planes(v, [-6] * 12, [0] * 12), states, list(range(12)) * 6, ["0"] * len(states))


def table_sum_ties(fmt, random):
    """Sums half way between two integers, of both signs."""
    v = [[0, k] for k in (1, -1, 2, -2, 3, -3, 4, -4, 6, -6)]
    states = [[256.0, x / 8] for x in (1, -1, 3, -3, 5, -5) for _ in v]
    return Table(Planes(v, [-6 + 20] * 10, [j - 5 for j in range(10)]), states, list(range(10)) * 6, ["0"] * len(states))


def table_shifts(fmt, random):
    """The smallest sum, 1 or -1, moved up by nothing to far beyond the limit of 2^40; constants that bring it back."""
    exponents = [f + 16 for f in (0, 1, 8, 30, 31, 32, 33, 38, 39, 40, 41, 42, 62, 63, 64, 65, 100)]
    v = [[0, 1]] * len(exponents)
    states = [[256.0, pm * 2.0 ** -14] for _ in exponents for pm in (1, -1)]
    f = [F for F in exponents for _ in (1, -1)]
    c = [INT32_MIN, INT32_MAX] * len(exponents)
    return Table(Planes(v + v, f, c), states, list(range(len(states))), ["0", "-1024"] * len(exponents))


def table_zero_rows(bits):
    """Rows of zeros among large and small ones."""
    def case(fmt, random):
        weight = pairs(random, 3, 17, 20.0) + [[0.0] * 17] + pairs(random, 3, 17, 0.001) + [[0.0] * 17]
        states = any_states(fmt, random, 17) + largest_states(fmt, random, 17)[:2] + any_states(fmt, random, 17)
        made = with_tokens(random, Embedding(weight, None, 1.0, bits), states, len(weight))
        made.tokens = list(range(len(weight)))
        return made
    return case


def table_ends(bits):
    """Values as close to a power of two as fp32 comes, which the integers' limit keeps out; values half way between two."""
    def case(fmt, random):
        almost = fp32(2 - 2.0 ** -23)
        row = [almost, -almost, fp32(2 - 2.0 ** -22), 1.0, -1.0, 0.75]
        row += [(k + 0.5) * 2.0 ** (2 - bits) for k in (0, 1, 2, 3, 100, 101)]
        row += [-(k + 0.5) * 2.0 ** (2 - bits) for k in (0, 1, 2, 3, 100, 101)]
        small = [x * 2.0 ** -20 for x in row]
        large = [x * 2.0 ** 9 for x in row]
        weight = [[pm * x for x in r] for r in (row, small, large) for pm in (1, -1)]
        states = [[1.0 if i == j else 0.0 for i in range(18)] for j in range(18)] + any_states(fmt, random, 18)
        states = [state for state in states for _ in range(2)]
        tokens = [i % 6 if i < 36 else (i + i // 6) % 6 for i in range(len(states))]
        return Table(Embedding(weight, None, 1.0, bits), states, tokens, [f"{-i / 8}" for i in range(len(states))])
    return case


def table_accumulators(fmt, random):
    """Every product at its end: a sum of 2^55, and one that cancels."""
    most = (1 << 23) - 1
    v = [[most] * 600, [-most] * 600, [random.pick([most, -most]) for _ in range(600)]]
    states = [[largest(fmt)] * 600, [sign(fmt) | largest(fmt)] * 600]
    e = 15 if fmt == "fp16" else 127
    rows = Planes(v, [-e - 7] * 2 + [-e - 1], [5, -5, 0])
    return Table(rows, states + states[:1], [0, 1, 2], ["-1", "-1", "-1"])


def table_saturated(fmt, random):
    """Scores beyond int32 both ways; of two tokens by one, where log-probability and logarithm of V cancel."""
    c = [INT32_MAX, INT32_MIN, INT32_MAX - 4, INT32_MIN + 4] + [0] * 8
    f = [-6] * 6 + [20, 60, 300, 32767, 25, 10]
    cells = [(token, x, logp) for token in range(12) for x, logp in (
        (256.0, "-1"), (-256.0, "0"), (256.0, "-1024"), (-256.0, "-1024"), (256.0, "0"))]
    cells += [(token, k / 16384, "-2.484906649788") for k in range(-12, 13) for token in (2, 3)]
    tokens, values, logps = zip(*cells)
    return Table(Planes([[1 << 22]] * 12, f, c), [[x] for x in values], tokens, logps)


def table_exponents(fmt, random):
    """Every exponent of a row that a table can hold, for states of every size."""
    exponents = [-32768, -32767, -200, -130, -37, -36, -1, 0, 1, 36, 100, 126, 130, 140, 150, 200, 32767]
    v = [[random.below((1 << 24) - 1) - ((1 << 23) - 1) for _ in range(9)] for _ in exponents]
    kinds = [normal_state(random, 9), subnormal_states(fmt, random, 9)[0], [0] * 9, largest_states(fmt, random, 9)[2],
             [random.pick([0, sign(fmt)]) | 1 for _ in range(9)]]
    states = [state for state in kinds for _ in exponents]
    c = [random.below(2000001) - 1000000 for _ in exponents]
    return Table(Planes(v, exponents, c), states, list(range(len(exponents))) * len(kinds), ["-0.25"] * len(states))


def table_of_one(fmt, random):
    return with_tokens(random, Embedding([[0.5, -0.25, 3.0]], [2.0]), any_states(fmt, random, 3), 1)


def table_vocab(fmt, random):
    """A logarithm that is no whole number, of a vocabulary of prime size."""
    return with_tokens(random, Embedding(normals(random, 997, 2, 0.2)), any_states(fmt, random, 2), 997)


TABLES = {
    "table-24": table(24, 50, 31), "table-16": table(16, 50, 31), "table-24-wide": table(24, 7, 130, 0.02, 0.0625, True),
    "table-16-wide": table(16, 7, 130, 3.0, 13.25, True), "table-24-lone": table(24, 6, 1, 100.0),
    "table-logps": table_logps, "table-bad": table_states(bad_states), "table-zeros": table_states(zero_states),
    "table-largest": table_states(largest_states), "table-largest-16": table_states(largest_states, 16),
    "table-subnormals": table_states(subnormal_states), "table-ties": table_ties, "table-sum-ties": table_sum_ties,
    "table-shifts": table_shifts, "table-zero-rows": table_zero_rows(24), "table-zero-rows-16": table_zero_rows(16),
    "table-ends": table_ends(24), "table-ends-16": table_ends(16), "table-sums": table_accumulators,
    "table-saturated": table_saturated, "table-exponents": table_exponents, "table-of-one": table_of_one,
    "table-vocab": table_vocab}
