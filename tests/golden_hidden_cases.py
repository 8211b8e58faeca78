# SPDX-License-Identifier: Apache-2.0
"""The golden cases of heads: layers, and hidden states of every kind that the arithmetic tells apart."""

import dataclasses
import math
import struct

from golden_cases import FORMATS, INF, LN2, encode, infinity, largest, nan, sign, spread


@dataclasses.dataclass
class Floats:
    """A layer as it is trained: fp32, which become integers of so many bits."""
    weight: list
    bias: list
    bits: int = 16


@dataclasses.dataclass
class Integers:
    """A layer of integers that are wanted as they are."""
    weight: list
    mant: list
    sh: list
    bias: list
    bits: int = 16


@dataclasses.dataclass
class Dense:
    output: str
    layers: list
    states: list
    aggregation: str = "last"


INT32_MIN, INT32_MAX = -(1 << 31), (1 << 31) - 1
COLUMNS = (1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 32, 33, 47, 63, 64, 65, 100, 127, 128, 129, 130)


# --- Layers ---

def fp32(value):
    return struct.unpack("<f", struct.pack("<f", value))[0]


def normals(random, rows, columns, deviation):
    return [[fp32(deviation * random.normal()) for _ in range(columns)] for _ in range(rows)]


def floats(random, rows, columns, bits=16):
    return Floats(normals(random, rows, columns, 0.5 / math.sqrt(columns)), normals(random, 1, rows, 0.3)[0], bits)


def picks(inputs, sh, bias=None, columns=None, bits=16):
    """Output o is input inputs[o], negated where it is given as ~input, times 2^(15 - sh), and its bias."""
    columns = columns or 1 + max(max(i, ~i) for i in inputs)
    weight = [[0] * columns for _ in inputs]
    for row, i in zip(weight, inputs):
        row[max(i, ~i)] = 1 if i >= 0 else -1
    sh = sh if isinstance(sh, list) else [sh] * len(inputs)
    return Integers(weight, [32768] * len(inputs), sh, bias or [0] * len(inputs), bits)


def orthonormal(random, rows, columns):
    """Sums run in order and by hand: sum() of floats is not the same in every Python."""
    done = []
    for row in normals(random, rows, columns, 1.0):
        for other in done:
            dot = 0.0
            for x, y in zip(row, other):
                dot += x * y
            row = [x - dot * y for x, y in zip(row, other)]
        norm = 0.0
        for x in row:
            norm += x * x
        done.append([x / math.sqrt(norm) for x in row])
    return [[fp32(x) for x in row] for row in done]


# --- States ---

def normal_state(random, columns, deviation=2.5):
    return [deviation * random.normal() for _ in range(columns)]


def any_states(fmt, random, columns):
    """Ordinary ones, outliers, small and large ones, sparse ones."""
    states = [normal_state(random, columns) for _ in range(2)]
    states.append(spread(random, normal_state(random, columns), [60.0, -75.5, 120.25, -101.0][:columns]))
    states.append(normal_state(random, columns, 1 / 256))
    states.append(normal_state(random, columns, 1000.0))
    states.append([random.normal() if random.below(4) == 0 else 0.0 for _ in range(columns)])
    return states


def bad_states(fmt, random, columns):
    """Each kind in the first, the middle and the last place, an ordinary state behind every third."""
    inf, s = infinity(fmt), sign(fmt)
    states = []
    for cell in (INF, -INF, nan(fmt, random), inf | 1, s | inf | 1, s - 1, 2 * s - 1, inf | 1 << (FORMATS[fmt][2] - 1)):
        for place in (0, columns // 2, columns - 1):
            state = normal_state(random, columns)
            state[place] = cell
            states.append(state)
        states.append(normal_state(random, columns))
    return states


def zero_states(fmt, random, columns):
    s = sign(fmt)
    states = [[0] * columns, [s] * columns, [random.pick([0, s]) for _ in range(columns)]]
    return states + [spread(random, [random.pick([0, s]) for _ in range(columns)], [cell]) for cell in (1, s | 1, -3.5)]


def largest_states(fmt, random, columns):
    s, top = sign(fmt), largest(fmt)
    states = [[top] * columns, [s | top] * columns, [random.pick([top, s | top]) for _ in range(columns)]]
    states.append([random.pick([0, s]) | top - random.below(3) for _ in range(columns)])
    return states + [spread(random, normal_state(random, columns), [cell]) for cell in (top, s | top)]


def subnormal_states(fmt, random, columns):
    s, normal = sign(fmt), 1 << FORMATS[fmt][2]

    def tiny():
        return random.pick([0, s]) | random.below(normal)
    states = [[tiny() for _ in range(columns)] for _ in range(3)]
    states += [[normal - 1] * columns, [s | normal - 1] * columns, [random.pick([0, s]) | 1 for _ in range(columns)]]
    edges = [normal, s | normal, normal - 1, normal + 1, 2 * normal]
    states.append(spread(random, [tiny() for _ in range(columns)], edges))
    for exponent in (3, 9, 16, 24):  # those above them, which decide how much is left of them
        states.append(spread(random, [tiny() for _ in range(columns)], [exponent * normal | random.below(normal)]))
    return states


def tie_states(fmt, random, columns, bits):
    """With 2^8 in front, the others lie half way between two integers, or as close to that as the format can."""
    unit = 2.0 ** (8 - bits + 2)
    precision = FORMATS[fmt][2]

    def tie():
        k = random.below(1 << min(precision, 12))
        return random.pick([1, -1]) * (k + 0.5) * unit
    states = [[256.0] + [tie() for _ in range(columns - 1)] for _ in range(4)]
    states.append([256.0] + [random.pick([1, -1]) * (k + 0.5) * unit for k in range(columns - 1)])
    states.append([-256.0] + [encode(fmt, tie()) + random.below(3) - 1 for _ in range(columns - 1)])
    return states


# --- Heads: each case takes the format and its random numbers ---

RULES = {"softmax:1": (2, "product"), "softmax:1+2": (3, "mean"), "softmax:3": (5, "max-pool"),
         "sigmoid": (1, "geometric-mean"), "raw": (1, "min")}


def rule(output, layers, bits):
    def case(fmt, random):
        outputs, aggregation = RULES[output]
        columns, width = random.pick(COLUMNS), random.pick((3, 8, 17, 24))
        made = [floats(random, outputs, columns, bits)]
        if layers == 2:
            made = [floats(random, width, columns, bits), floats(random, outputs, width, bits)]
        return Dense(output, made, any_states(fmt, random, columns), aggregation)
    return case


def distance(rows, columns):
    """The states within the space are sums of its rows; they are 0 away but for rounding."""
    def case(fmt, random):
        u = orthonormal(random, rows, columns)
        states = any_states(fmt, random, columns) + zero_states(fmt, random, columns)[:4]
        for size in (1.0, 50.0):
            part = [size * random.normal() for _ in u]
            states.append([sum_in_order(p * row[i] for p, row in zip(part, u)) for i in range(columns)])
        if fmt != "fp16":
            states += [normal_state(random, columns, 2.0 ** 30), normal_state(random, columns, 2.0 ** -30)]
        return Dense("distance", [Floats(u, [0.0] * rows)], states)
    return case


def distance_bad(fmt, random):
    return Dense("distance", [Floats(orthonormal(random, 2, 18), [0.0] * 2)], bad_states(fmt, random, 18))


def sum_in_order(values):
    total = 0.0
    for value in values:
        total += value
    return total


def distance_axes(fmt, random):
    """Nothing is left of the states, or less than nothing, or one axis."""
    layer = Floats([[1.0 if i == o else 0.0 for i in range(4)] for o in range(3)], [0.0] * 3)
    states = [[random.pick([1, -1]) * random.below(200) for _ in range(3)] + [0.0] for _ in range(4)]
    states = [[float(x) for x in state] for state in states] + [[0.0, 0.0, 0.0, x] for x in (1.0, -1.0, 4096.0, 1e-5)]
    return Dense("distance", [layer], states + largest_states(fmt, random, 4))


def mixed(make, layers):
    """States of one kind in a head of several outputs."""
    def case(fmt, random):
        columns = 33
        made = [floats(random, 4, columns)] if layers == 1 else [floats(random, 16, columns), floats(random, 4, 16)]
        return Dense("softmax:1", made, make(fmt, random, columns), "mean")
    return case


def raw_of(make, output="raw"):
    def case(fmt, random):
        columns = 18
        return Dense(output, [floats(random, 1, columns)], make(fmt, random, columns))
    return case


def bad_everywhere(fmt, random):
    """A value that counts for nothing elsewhere, in each place in turn."""
    columns = 70
    states = []
    for place in range(columns):
        state = normal_state(random, columns)
        state[place] = random.pick([INF, -INF, nan(fmt, random)])
        states.append(state)
    return Dense("softmax:1", [floats(random, 2, columns)], states + [normal_state(random, columns)])


def tiny_scales(fmt, random):
    """Weights so large that small states show."""
    layer = Integers([[random.below(65535) - 32767 for _ in range(40)] for _ in range(4)], [65535, 32768, 50001, 65535],
                     [-64, -64, -60, -50], [0, 5, -5, 0])
    low = 6 if fmt == "fp16" else 16
    fraction = FORMATS[fmt][2]
    states = [[random.pick([0, sign(fmt)]) | random.below(exponent << fraction) for _ in range(40)]
              for exponent in range(1, low + 10)]
    return Dense("softmax:1", [layer], states)


def quantise_ties(fmt, random):
    """Outputs are the state's integers."""
    return Dense("softmax:1", [picks(list(range(16)), 25)], tie_states(fmt, random, 16, 16))


def dense_ties(fmt, random):
    """With 2^8 in front the integers of the others are k; outputs are k / 2, k / 4, k / 8."""
    inputs = [i if i % 2 else ~i for i in range(1, 17)]
    layer = picks(inputs, [26 + o // 2 % 3 for o in range(16)], [(o - 8) * 3 for o in range(16)])
    most = 1 << FORMATS[fmt][2]
    states = [[256.0] + [random.pick([1, -1]) * random.below(most) / 64 for _ in range(16)] for _ in range(4)]
    states += [[256.0] + [pm * (k + first) / 64 for k in range(16)] for pm in (1, -1) for first in (0, 1)]
    return Dense("softmax:1", [layer], states)


def between(bias):
    """The first hidden value is the state's; outputs are the integers between the layers."""
    def case(fmt, random):
        first = Integers([[1]] + [[0]] * len(bias), [32768] * (len(bias) + 1), [15] * (len(bias) + 1), [0, *bias])
        states = [[2.0 ** k] for k in range(-16, 16)]
        states += [[x] for x in (-1.0, 0.0, 1.5, 3 / 65536, 32767.0, 40000.0, 24000.0)]
        return Dense("softmax:1", [first, picks(list(range(len(bias) + 1)), 15)], states)
    return case


def nothing_between(fmt, random):
    """Hidden values of at most 0, and of 1 and 2."""
    first = picks([0, ~0, 1, ~1], 15, [0, 0, -3, -3], 2)
    second = floats(random, 3, 4)
    states = [[x / 65536, y / 65536] for x, y in ((0, 0), (0, 2), (0, -3), (1, 0), (-1, 0), (2, 5))]
    return Dense("softmax:1+2", [first, second], states)


def never_between(fmt, random):
    """Biases that no state outweighs; the second layer's bias is what is left."""
    first = Floats(normals(random, 8, 20, 0.1), [-100.0 - i for i in range(8)])
    second = Floats(normals(random, 2, 8, 1.0), [-0.75, 1.25])
    return Dense("softmax:1", [first, second], any_states(fmt, random, 20)[:4])


def saturated(fmt, random):
    """Beyond int32 by the product, by the bias, and by one."""
    ends = [INT32_MAX, INT32_MIN, INT32_MAX - 5, INT32_MIN + 5]
    inputs = [0, 0, 1, 1, ~0, ~0, ~1, ~1]
    layer = picks(inputs, [25, 25, 25, 25, 25, 25, -30, -30], ends + ends[::-1])
    states = [[256.0, k / 64] for k in (-7, -6, -5, -4, -1, 0, 1, 4, 5, 6, 7, 100, -100)]
    states += [[-256.0, 255.0], [-256.0, -255.0], [0.0, 0.0], [256.0, 0.0]]
    return Dense("softmax:1", [layer], states)


def scale_ends(bits):
    """Every end of mant, sh and bias, for weights at their ends."""
    def case(fmt, random):
        lim = (1 << (bits - 1)) - 1
        layer = Integers([], [], [], [], bits)
        for sh in (-64, -63, -1, 0, 14, 20, 34, 60, 126, 127):
            for mant in (32768, 65535):
                layer.weight.append([random.pick([lim, -lim, 1, -1, 0]) for _ in range(5)])
                layer.mant.append(mant)
                layer.sh.append(sh)
                layer.bias.append(random.pick([0, 0, 1, -1, INT32_MIN, INT32_MAX]))
        s = sign(fmt)
        states = [[x] * 5 for x in (1.0, -1.0, 0.0)] + any_states(fmt, random, 5)
        states += [[largest(fmt)] * 5, [s | largest(fmt)] * 5, [1] * 5, [s | 1] * 5, [1 << FORMATS[fmt][2]] * 5]
        return Dense("softmax:1", [layer], states)
    return case


def raw_ends(fmt, random):
    layer = Integers([[32767, -32767, 1]], [65535], [16], [INT32_MAX - 70000])
    return Dense("raw", [layer], any_states(fmt, random, 3) + largest_states(fmt, random, 3))


def accumulators(columns, bits, rows):
    """Every product at its end, so that a lane of 32 bits overflows."""
    def case(fmt, random):
        lim = (1 << (bits - 1)) - 1
        weight = [[lim] * columns, [-lim] * columns, [random.pick([lim, -lim]) for _ in range(columns)]]
        layer = Integers(weight, [65535, 65535, 40001], [45] * 3, [0] * 3, bits)
        top, s = largest(fmt) if fmt == "fp16" else encode(fmt, 65536.0) - 1, sign(fmt)
        states = [[top] * columns, [s | top] * columns, [s | top if w < 0 else top for w in weight[2]]][:rows]
        return Dense("softmax:1", [layer], states)
    return case


def far(fmt, random):
    """Beyond +-1024, where the values end, and as far apart as that allows."""
    layer = picks(list(range(6)), 15, [0, 1, -1, 0, 1, -1])
    states = [[1024.0] * 6, [-1024.0] * 6, [1024.0, 1024.0, 1024.0, -1024.0, -1024.0, -1024.0], [2000.0, 1023.0] * 3]
    states += [[random.pick([1024.0, -1024.0, 1023.5, 30000.0, -30000.0, 0.0]) for _ in range(6)] for _ in range(6)]
    return Dense("softmax:1", [layer], states)


def apart(fmt, random):
    """The second lies d powers of two below the first, the third above it."""
    states = []
    for d in range(41):
        top = 0.5 + d % 3 - 1
        states.append([top * LN2, (top - d) * LN2, (top + d % 5 - 2) * LN2])
        states.append([(top - d - random.uniform(0, 1)) * LN2, top * LN2, -30.0])
    return Dense("softmax:1", [picks([0, 1, 2], 15)], states, "product")


def many_outputs(fmt, random):
    return Dense("softmax:63", [floats(random, 64, 24)], any_states(fmt, random, 24) + [[0.0] * 24], "max-pool")


def equal_outputs(fmt, random):
    """64 equal shares; a softmax of one output is 1."""
    layer = Floats([[0.0, 0.0]] * 64, [-3.0] * 64)
    return Dense("softmax:0+63", [layer], [[1.0, 2.0], [0.0, 0.0]], "mean")


def one_output(fmt, random):
    return Dense("softmax:0", [floats(random, 1, 3)], any_states(fmt, random, 3), "product")


def sigmoid_sweep(fmt, random):
    states = [[float(x)] for x in range(-40, 41, 4)] + [[random.uniform(-23, 23)] for _ in range(20)]
    states += [[x] for x in (2.0 ** -14, -(2.0 ** -14), 1024.0, -1024.0, 5000.0, -5000.0)]
    return Dense("sigmoid", [picks([0], 15)], states, "geometric-mean")


def half_weights(bits):
    """Weights and biases half way between two integers; a scale whose mantissa rounds up to 65536, and the ends of sh."""
    def case(fmt, random):
        lim = (1 << (bits - 1)) - 1
        first, last = 1.5 * lim * 2.0 ** 79, lim * 2.0 ** -112
        weight = [[float(lim), 0.5, 1.5, -0.5, -2.5], [float(lim), 3.5, -1.5, lim - 0.5, 0.5 - lim], [0.0] * 5,
                  [lim * (1 - 2.0 ** -18), 3.0, -lim / 3, 7.25, lim / 2], [lim / 2, 0.25, 0.75, -1.25, -0.25],
                  [first, -first / 3, 1.0, 0.0, first / 7], [last, last / 3, -last / 5, 0.0, 1e-40]]
        bias = [fp32((k + 0.5) / 65536) for k in (0, 1, -1, -2, 1000, -1001, 5)]
        layer = Floats([[fp32(w) for w in row] for row in weight], bias, bits)
        return Dense("softmax:1", [layer], any_states(fmt, random, 5))
    return case


def aggregation(name):
    """Bad states are no steps; far values reach the ends of the logarithms."""
    def case(fmt, random):
        states = [normal_state(random, 2, 1.5) for _ in range(12)]
        states[0][0] = states[4][1] = nan(fmt, random)
        states += [[30.0, 0.0], [0.0, 30.0], [1000.0, 0.0], [0.0, 1000.0], [INF, 0.0], [2000.0, -2000.0]]
        if name == "geometric-mean":
            states += [[0.0, 5.0]] * 6
        return Dense("softmax:1", [picks([0, 1], 15)], states, name)
    return case


def steps_far(fmt, random):
    """The mean of the logarithms goes down to where nothing is left of its exponential."""
    return Dense("sigmoid", [picks([0], 15)], [[-20 - n / 10] for n in range(60)], "geometric-mean")


# --- All of them ---

RULE_CASES = {f"{output.replace(':', '-').replace('+', '-')}-{layers}-int{bits}": rule(output, layers, bits)
              for output in RULES for layers in (1, 2) for bits in (8, 16)}

STATE_CASES = {f"{kind}-{layers}": mixed(make, layers) for layers in (1, 2) for kind, make in {
    "bad": bad_states, "zeros": zero_states, "largest": largest_states, "subnormals": subnormal_states}.items()}

BETWEEN_SMALL = [1, 2, 3, -1, 5, 7, 0, -2, INT32_MIN, 11, 16383]
BETWEEN_LARGE = [k << t for t in range(16) for k in (1, 3)] + [-(1 << 20), -3]

HEADS = RULE_CASES | STATE_CASES | {
    "distance-1": distance(1, 3), "distance-8": distance(8, 45), "distance-32": distance(32, 65),
    "distance-axes": distance_axes, "distance-bad": distance_bad,
    "raw-bad": raw_of(bad_states), "raw-largest": raw_of(largest_states), "sigmoid-zeros": raw_of(zero_states, "sigmoid"),
    "bad-everywhere": bad_everywhere, "tiny-scales": tiny_scales, "quantise-ties": quantise_ties, "dense-ties": dense_ties,
    "between-small": between(BETWEEN_SMALL), "between-large": between(BETWEEN_LARGE), "between-nothing": nothing_between,
    "between-never": never_between, "saturated": saturated, "scale-ends-int8": scale_ends(8),
    "scale-ends-int16": scale_ends(16), "raw-ends": raw_ends, "sums-int8": accumulators(600, 8, 3),
    "sums-int16": accumulators(600, 16, 3), "sums-long-int8": accumulators(16384, 8, 1), "far": far, "apart": apart,
    "outputs-64": many_outputs, "steps-far": steps_far,
    "outputs-equal": equal_outputs, "outputs-1": one_output, "sigmoid-sweep": sigmoid_sweep,
    "half-weights-int8": half_weights(8), "half-weights-int16": half_weights(16),
} | {f"steps-{name}": aggregation(name) for name in ("last", "mean", "product", "min", "geometric-mean", "max-pool")}

# The other formats would say the same once more.
ONLY = {"bad-everywhere": ["fp16"], "sums-long-int8": ["fp16"], "outputs-equal": ["fp32"], "table-vocab": ["bf16"]} | {
    f"steps-{name}": ["fp32"] for name in ("last", "mean", "product", "min", "max-pool")}
