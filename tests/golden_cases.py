# SPDX-License-Identifier: Apache-2.0
"""The golden cases: rows of every kind that the arithmetic tells apart, in each format that can hold them."""

import dataclasses
import struct
import zlib

# --- Formats ---

# The .npy type, the width and the bits of the fraction.
FORMATS = {"fp32": ("<f4", 32, 23), "fp16": ("<f2", 16, 10), "bf16": ("<u2", 16, 7)}


def infinity(fmt):
    _, width, fraction = FORMATS[fmt]
    return (1 << (width - 1)) - (1 << fraction)


def sign(fmt):
    return 1 << (FORMATS[fmt][1] - 1)


def encode(fmt, cell):
    """The bits of a cell: an int is the bits already, which is how a NaN keeps its payload; a float is rounded."""
    if isinstance(cell, int):
        return cell
    if fmt == "fp16":
        return struct.unpack("<H", struct.pack("<e", cell))[0]
    bits = struct.unpack("<I", struct.pack("<f", cell))[0]
    if fmt == "fp32":
        return bits
    return (bits + 0x7fff + (bits >> 16 & 1)) >> 16


# --- Values for the cases ---

class Random:
    """splitmix64.  Only sums and products of few bits follow, so that no mathematics library can change a byte."""

    def __init__(self, name):
        self.state = zlib.crc32(name.encode())

    def word(self):
        mask = (1 << 64) - 1
        self.state = (self.state + 0x9e3779b97f4a7c15) & mask
        z = self.state
        z = ((z ^ z >> 30) * 0xbf58476d1ce4e5b9) & mask
        z = ((z ^ z >> 27) * 0x94d049bb133111eb) & mask
        return z ^ z >> 31

    def below(self, limit):
        return self.word() % limit

    def uniform(self, low, high):
        return low + (high - low) * ((self.word() >> 40) / (1 << 24))

    def normal(self):
        """Twelve uniform 16-bit numbers less their mean: close to normal, with deviation 1."""
        words = [self.word() for _ in range(3)]
        return (sum(w >> shift & 0xffff for w in words for shift in (0, 16, 32, 48)) - 6 * 65536) / 65536

    def pick(self, choices):
        return choices[self.below(len(choices))]

    def shuffled(self, items):
        items = list(items)
        for i in range(len(items) - 1, 0, -1):
            j = self.below(i + 1)
            items[i], items[j] = items[j], items[i]
        return items


@dataclasses.dataclass
class Case:
    rows: list
    vocab: int = 0
    top_k: int | None = None
    subset: list = dataclasses.field(default_factory=list)
    tokens: list = dataclasses.field(default_factory=list)


LN2 = 0.6931471805599453
INF = float("inf")


def llm_row(random, columns, centre=0.0):
    """A broad crowd and one token that the model is sure of."""
    row = [centre + 2.5 * random.normal() for _ in range(columns)]
    row[random.below(columns)] = centre + random.uniform(8, 20)
    return row


def spread(random, row, cells):
    """The row with the cells at places of their own."""
    row = list(row)
    for place, cell in zip(random.shuffled(range(len(row))), cells):
        row[place] = cell
    return row


def nan(fmt, random):
    """Any NaN: quiet or signalling, of either sign, with any payload."""
    payload = 1 + random.below((1 << FORMATS[fmt][2]) - 1)
    return random.pick([0, sign(fmt)]) | infinity(fmt) | payload


def largest(fmt):
    return infinity(fmt) - 1


def near(fmt, value, steps):
    """The bits that lie some representable values further from zero (closer where steps < 0)."""
    return encode(fmt, value) + steps


def level(log2):
    """The logit whose power is 2^log2."""
    return log2 * LN2


# --- Cases: each takes the format and its random numbers ---

def sizes(columns):
    def case(fmt, random):
        rows = 6 if columns < 100 else 1 if columns == 3000 else 2
        return Case([llm_row(random, columns, (0.0, -7.5, 11.25)[i % 3]) for i in range(rows)],
                    tokens=[random.below(columns) for _ in range(rows)])
    return case


def llm(fmt, random):
    return Case([llm_row(random, 50257, -3.0)], tokens=[random.below(50257)], subset=[5297, 1400, 50256, 0])


def padded(vocab, columns):
    """The padding holds what would change every field if it were read."""
    def case(fmt, random):
        def garbage():
            return random.pick([nan(fmt, random), INF, -INF, largest(fmt), 1e4, 900.0, 0.0, -1e4])
        rows = [llm_row(random, vocab) + [garbage() for _ in range(columns - vocab)] for _ in range(3)]
        return Case(rows, vocab=vocab, tokens=[random.below(vocab) for _ in rows], subset=[0, vocab - 1])
    return case


def masked(fmt, random):
    """Half the vocabulary at each filler, then a chunk that holds nothing at either end of the row."""
    columns = 2100

    def half(row, filler):
        return [filler if random.below(2) else cell for cell in row]
    rows = [half(llm_row(random, columns), filler) for filler in (-INF, -1e4)]
    rows.append([-1e4] * 1050 + llm_row(random, columns - 1050))
    rows.append(half(llm_row(random, 2048), -INF) + [random.pick([-INF, -1e4, nan(fmt, random)]) for _ in range(52)])
    tokens = [next(j for j, cell in enumerate(rows[0]) if cell == -INF), 2, 1049, 2047]
    return Case(rows, tokens=tokens, subset=[3, 1030, 2099])


def nans(fmt, random):
    columns = 64
    rows = [spread(random, llm_row(random, columns), [nan(fmt, random) for _ in range(count)]) for count in (1, 7, 32, 61)]
    inf, s = infinity(fmt), sign(fmt)
    extremes = [inf | 1, s | inf | 1, s - 1, 2 * s - 1, inf | 1 << (FORMATS[fmt][2] - 1)]
    rows.append(spread(random, llm_row(random, columns), extremes))
    return Case(rows, tokens=[0, 1, 2, 3, 4], subset=[0, 1, 2, 3])


def infinities(fmt, random):
    columns = 40
    cells = [[INF], [-INF], [INF] * 5 + [-INF] * 5, [INF] * 20 + [-INF] * 20, [-INF] * 39, [INF] * 40]
    rows = [spread(random, llm_row(random, columns), some) for some in cells]
    return Case(rows, tokens=list(range(6)), subset=[0, 7, 39])


def limits(fmt, random):
    """+-1024 is inside; the next value outwards is limited on one side, masked on the other."""
    high = [near(fmt, 1024.0, step) for step in range(-3, 4)]
    low = [near(fmt, -1024.0, step) for step in range(-3, 4)]
    rows = [random.shuffled(high + low), random.shuffled(low + low), random.shuffled(high + high)]
    rows.append(spread(random, llm_row(random, 14), high[2:5] + low[2:5]))
    rows.append(spread(random, [-INF] * 14, low[2:5]))
    return Case(rows, top_k=8, tokens=[0, 1, 2, 3, 4], subset=[0, 1, 2, 13])


def zeros(fmt, random):
    plus, minus = 0, sign(fmt)
    rows = [[random.pick([plus, minus]) for _ in range(12)] for _ in range(3)]
    rows.append([minus] * 6 + [plus] * 6)
    rows.append(spread(random, [random.pick([plus, minus]) for _ in range(12)], [1, 1, minus | 1, minus | 1]))
    rows.append([minus] * 11 + [plus])
    return Case(rows, top_k=5, subset=[0, 1, 11])


def subnormals(fmt, random):
    normal = 1 << FORMATS[fmt][2]

    def tiny():
        return random.pick([0, sign(fmt)]) | random.below(normal)
    rows = [[tiny() for _ in range(24)] for _ in range(2)]
    rows.append(spread(random, [tiny() for _ in range(24)], [normal, sign(fmt) | normal, normal - 1, normal + 1, 1]))
    rows.append(spread(random, llm_row(random, 24), [tiny() for _ in range(12)]))
    return Case(rows, top_k=6, subset=[0, 5, 23])


def saturated(fmt, random):
    """Every top becomes 1024 in the sums, but top-k ranks them as given."""
    tops = [near(fmt, 1024.0, step) for step in (0, 0, 1, 1, 2, 5)] + [2000.0, 30000.0, largest(fmt), largest(fmt), INF]
    rows = [spread(random, llm_row(random, 40), tops), spread(random, llm_row(random, 40), tops[:3])]
    rows.append(spread(random, llm_row(random, 40, 1010.0), tops[6:9]))
    rows.append([random.pick(tops) for _ in range(40)])
    return Case(rows, top_k=7, tokens=[0, 1, 2, 3], subset=[0, 1, 2, 3])


def equal(fmt, random):
    rows = [[value] * 1025 for value in (0.0, -0.0, 1024.0, -1024.0, -10.375)]
    return Case(rows, tokens=[0, 5, 1023, 1024, 7], subset=[4, 1024])


def empty(fmt, random):
    """An ordinary row lies between, so that nothing of an empty row may linger."""
    columns = 1030
    rows = [[-INF] * columns, [nan(fmt, random) for _ in range(columns)], llm_row(random, columns)]
    rows.append([random.pick([-INF, -1e4, near(fmt, -1024.0, 1), nan(fmt, random)]) for _ in range(columns)])
    return Case(rows, tokens=[0, 1, 2, 3], subset=[0, 1029])


def lone(fmt, random):
    columns = 1030
    rows = []
    for place, cell in ((0, 5.5), (1023, -1024.0), (1024, 1024.0), (1029, INF)):
        row = [random.pick([-INF, -1e4, nan(fmt, random)]) for _ in range(columns)]
        row[place] = cell
        rows.append(row)
    return Case(rows, tokens=[0, 1023, 7, 1029], subset=[0, 8, 1024])


def ties(fmt, random):
    """The last place of the k is shared; the lower ids win it."""
    rows = [spread(random, [-2.5] * 40, [4.5] * 3 + [1.25] * 9), spread(random, [-2.5] * 40, [4.5] * 5 + [1.25] * 3)]
    rows.append(spread(random, [-2.5] * 40, [4.5] * 4))
    rows.append([random.pick([3.0, 2.0, 1.0]) for _ in range(40)])
    return Case(rows, top_k=5)


def ties_of_chunks(fmt, random):
    few = spread(random, [0.0] * 1100, [1.5] * 64 + [2.5] * 16)
    return Case([few, [0.0] * 1010 + [1.5] * 90], top_k=32)


def slopes(fmt, random):
    rising = [i / 24 - 24 for i in range(1100)]
    return Case([rising, rising[::-1]], tokens=[1099, 1099])


def wide(fmt, random):
    columns = 1100
    rows = [[random.uniform(-size, size) for _ in range(columns)] for size in (512, 512, 1024, 1024)]
    return Case(rows, tokens=[random.below(columns) for _ in rows], subset=[1, 500, 1099])


def chunk_distances(fmt, random):
    """The second chunk is short; it lies d below the first in the 16-bit formats, d above it in fp32.

    From 64 on, a shift that wraps around would bring the lower chunk back.
    """
    distances = {"fp32": [*range(46), 64, 70], "fp16": [0, 1, 2, 16, 31, 32, *range(37, 43), 64, 70], "bf16": range(38, 42)}[fmt]
    rows = []
    for d in distances:
        n = d % 7 - 3
        first, second = (n - d, n) if fmt == "fp32" else (n, n - d)
        row = [level(first + 0.5 - random.uniform(0, 6)) for _ in range(1024)]
        row += [level(second + 0.5 - random.uniform(0, 6)) for _ in range(3)]
        row[random.below(1024)], row[1024 + random.below(3)] = level(first + 0.5), level(second + 0.5)
        rows.append(row)
    return Case(rows, top_k=1, subset=[1024, 1025, 1026])


def distances(fmt, random):
    """Three entries, which are the subset too, lie d below the top."""
    rows = []
    for d in range(46):
        top = d % 5 * 3 - 6
        low = [level(top - d + part) for part in (0.5, 0.03, 0.97)]
        rows.append([low[1], level(top + 0.5), low[0], -INF, low[2]])
    return Case(rows, top_k=2, subset=[0, 2, 4])


def rounding(fmt, random):
    """Between 44 and 88 every second product lies half way between two integers; so do those near (k + 1/2) / C."""
    rows = [[pm * random.uniform(44, 88) for _ in range(100)] for pm in (1, -1)]
    rows.append([near(fmt, random.pick([1, -1]) * (2 * k + 1) / 189096.93, random.below(3) - 1) for k in range(100)])
    rows.append([random.pick([1, -1]) * random.uniform(1, 2) * (1 << random.below(30)) / (1 << 20) for _ in range(100)])
    return Case(rows, top_k=3)


NEGATIVE = {"fp32": 33, "fp16": 46, "bf16": 258}


def negative(fmt, random):
    """Division toward 0 differs from division downwards, by one unit in Q26, of which few are left after step 6.

    With these starting points a row of each format shows it in the mean, and one in the confidence.
    """
    random = Random(f"negative {NEGATIVE[fmt]}")
    return Case([[-20 + 2.5 * random.normal() for _ in range(7)] for _ in range(12)], top_k=3)


def fraction_ends(fmt, random):
    """y = -1 has the largest fraction and the smallest D, so a row of it has the smallest T; y = 0 has the largest D."""
    minus_one = -1.0577e-5
    return Case([[minus_one, -INF, -INF], [minus_one] * 3, [minus_one, -0.0, 0.0], [-1e4, 0.0, -1e4]])


def top(k, columns):
    def case(fmt, random):
        return Case([llm_row(random, columns) for _ in range(3)], top_k=k, tokens=[0, 1, 2])
    return case


def subset_64(fmt, random):
    """In the last row the subset, spread over two chunks, is all that is left."""
    subset = random.shuffled(range(1100))[:64]
    rows = [llm_row(random, 1100), llm_row(random, 1100, -20.0)]
    rows.append([3 * random.normal() if j in subset else -INF for j in range(1100)])
    return Case(rows, top_k=0, subset=subset)


def subset_masked(fmt, random):
    rows = [llm_row(random, 30) for _ in range(4)]
    subset = [4, 29, 0, 17, 8]
    for row, ids in zip(rows, (subset[:2], subset[1:], subset, [])):
        for j in ids:
            row[j] = random.pick([-INF, -1e4, nan(fmt, random)])
    return Case(rows, top_k=3, subset=subset)


def subset_far(fmt, random):
    """Far below the row's top the mass is 0 but the shares stay; far below the subset's own top the share is 0."""
    rows = []
    for own, other in ((0.0, -1.0), (-40.0, -39.5), (-500.0, -501.0), (-1024.0, -1024.0), (-3.0, -40.0), (-600.0, 2.0)):
        row = llm_row(random, 30, -6.0)
        row[0], row[6], row[29] = 12.0, own, other
        rows.append(row)
    return Case(rows, top_k=3, subset=[29, 6])


def subset_all(fmt, random):
    """The subset is the whole vocabulary, so its mass reaches 2^31."""
    rows = [llm_row(random, 40), [0.0] * 40, [random.uniform(-30, 30) for _ in range(40)], [INF] * 40]
    return Case(rows, top_k=2, subset=random.shuffled(range(40)))


def subset_one(fmt, random):
    return Case([llm_row(random, 30) for _ in range(3)], top_k=2, subset=[29])


CASES = {f"size-{columns}": sizes(columns) for columns in (1, 2, 3, 31, 1023, 1024, 1025, 2047, 2048, 2049, 3000)} | {
    "llm": llm, "padded": padded(1100, 1200), "padded-chunk": padded(1024, 1030), "masked": masked, "nan": nans,
    "infinity": infinities, "limits": limits, "zeros": zeros, "subnormals": subnormals, "saturated": saturated,
    "equal": equal, "empty": empty, "lone": lone, "ties": ties, "ties-of-chunks": ties_of_chunks, "slopes": slopes,
    "wide": wide, "chunk-distances": chunk_distances, "distances": distances, "rounding": rounding, "negative": negative,
    "fraction-ends": fraction_ends,
    "top-0": top(0, 40), "top-1": top(1, 40), "top-2": top(2, 40), "top-20": top(20, 40), "top-32": top(32, 40),
    "top-more": top(32, 10), "subset-64": subset_64, "subset-masked": subset_masked, "subset-far": subset_far,
    "subset-all": subset_all, "subset-one": subset_one}

# A row of the full length is large, and the other cases cover its formats.
ONLY = {"llm": ["fp16"]}
