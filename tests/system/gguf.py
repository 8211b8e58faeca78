"""Models for tests: `gguf.py make FILE ARCH VOCAB` writes a small one with random weights, `gguf.py spoil IN OUT [TOKEN]`
copies one and makes every logit NaN, or that of TOKEN (Q8_0, Q4_0 and Q4_1 embeddings that are also the output), and
`gguf.py retemplate IN OUT` copies one and makes its chat template one that nobody knows."""

import math
import random
import struct
import sys

TYPE_SIZES = {0: (1, 4), 1: (1, 2), 2: (32, 18), 3: (32, 20), 8: (32, 34)}  # type: (values, bytes) a block
SCALAR_BYTES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}


def text(value):
    data = value.encode()
    return struct.pack("<Q", len(data)) + data


def entry(key, value):
    if isinstance(value, tuple):  # a number of GGUF's type of unsigned 16 bits
        return text(key) + struct.pack("<IH", 2, *value)
    if isinstance(value, bool):
        return text(key) + struct.pack("<I?", 7, value)
    if isinstance(value, int):
        return text(key) + struct.pack("<II", 4, value)
    if isinstance(value, float):
        return text(key) + struct.pack("<If", 6, value)
    if isinstance(value, list):
        kind = 8 if isinstance(value[0], str) else 5
        body = b"".join(text(v) if kind == 8 else struct.pack("<i", v) for v in value)
        return text(key) + struct.pack("<IIQ", 9, kind, len(value)) + body
    return text(key) + struct.pack("<I", 8) + text(value)


def save(path, entries, tensors):
    """tensors: name -> (dimensions, first the contiguous one; type; bytes)."""
    align = entries.get("general.alignment", 32)
    head = struct.pack("<4sIQQ", b"GGUF", 3, len(tensors), len(entries))
    head += b"".join(entry(k, v) for k, v in entries.items())
    offset = 0
    for name, (dims, kind, data) in tensors.items():
        head += text(name) + struct.pack("<I", len(dims)) + struct.pack(f"<{len(dims)}Q", *dims)
        head += struct.pack("<IQ", kind, offset)
        offset += len(data) + -len(data) % align
    with open(path, "wb") as out:
        out.write(head + bytes(-len(head) % align))
        for _, _, data in tensors.values():
            out.write(data + bytes(-len(data) % align))


def write(path, entries, tensors):
    """tensors: name -> dimensions; random fp32."""
    chunk = struct.pack("<1024f", *[random.uniform(-0.1, 0.1) for _ in range(1024)])
    save(path, entries, {name: (dims, 0, (chunk * (values(dims) * 4 // len(chunk) + 1))[:values(dims) * 4])
                         for name, dims in tensors.items()})


def values(dims):
    total = 1
    for dim in dims:
        total *= dim
    return total


def make(path, arch, vocab):
    random.seed(1)
    width, inner = 32, 64
    entries = {
        "general.architecture": arch,
        f"{arch}.context_length": 128,
        f"{arch}.embedding_length": width,
        f"{arch}.block_count": 1,
        f"{arch}.feed_forward_length": inner,
        f"{arch}.attention.head_count": 2,
        f"{arch}.vocab_size": vocab,
        "tokenizer.ggml.model": "none",
    }
    block = {"blk.0.attn_q.weight": [width, width], "blk.0.attn_k.weight": [width, width],
             "blk.0.attn_v.weight": [width, width], "blk.0.attn_output.weight": [width, width],
             "blk.0.ffn_up.weight": [width, inner], "blk.0.ffn_down.weight": [inner, width]}
    if arch == "bert":
        entries |= {"bert.attention.layer_norm_epsilon": 1e-12, "bert.attention.causal": False, "bert.pooling_type": 1,
                    "tokenizer.ggml.token_type_count": 2}
        for name in ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_down"):
            block[f"blk.0.{name}.bias"] = [width]
        block["blk.0.ffn_up.bias"] = [inner]
        for name in ("attn_output_norm", "layer_output_norm"):
            block |= {f"blk.0.{name}.weight": [width], f"blk.0.{name}.bias": [width]}
        outer = {"token_embd.weight": [width, vocab], "token_types.weight": [width, 2],
                 "position_embd.weight": [width, 128], "token_embd_norm.weight": [width],
                 "token_embd_norm.bias": [width]}
    else:
        entries[f"{arch}.attention.layer_norm_rms_epsilon"] = 1e-5
        block |= {"blk.0.attn_norm.weight": [width], "blk.0.ffn_norm.weight": [width],
                  "blk.0.ffn_gate.weight": [width, inner]}
        outer = {"token_embd.weight": [width, vocab], "output_norm.weight": [width]}
    write(path, entries, outer | block)


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, format):
        value = struct.unpack_from("<" + format, self.data, self.at)
        self.at += struct.calcsize("<" + format)
        return value[0] if len(value) == 1 else value

    def text(self):
        length = self.take("Q")
        self.at += length
        return self.data[self.at - length:self.at].decode(errors="replace")

    def skip(self, kind):
        if kind == 8:
            self.text()
        elif kind == 9:
            inner, count = self.take("IQ")
            for _ in range(count):
                self.skip(inner)
        else:
            self.at += SCALAR_BYTES[kind]


def spoil(source, target, token):
    data = bytearray(open(source, "rb").read())
    reader = Reader(data)
    _, _, tensors, entries = reader.take("4sIQQ")
    for _ in range(entries):
        reader.text()
        reader.skip(reader.take("I"))
    found = {}
    for _ in range(tensors):
        name = reader.text()
        dims = [reader.take("Q") for _ in range(reader.take("I"))]
        found[name] = (dims, *reader.take("IQ"))
    start = (reader.at + 31) // 32 * 32
    if token is None:
        start += found["output_norm.weight"][2]
        data[start:start + 4] = struct.pack("<f", 1e38)
    else:
        dims, kind, offset = found.get("output.weight", found["token_embd.weight"])
        block_values, block_bytes = TYPE_SIZES[kind]
        start += offset + token * (dims[0] // block_values * block_bytes)
        data[start:start + 2] = struct.pack("<e", math.nan)
    open(target, "wb").write(data)


def retemplate(source, target):
    data = bytearray(open(source, "rb").read())
    start = data.index(b"tokenizer.chat_template") + len(b"tokenizer.chat_template") + 4
    length = struct.unpack_from("<Q", data, start)[0]
    data[start + 8:start + 8 + length] = data[start + 8:start + 8 + length].replace(b"im_", b"no_")
    open(target, "wb").write(data)


if __name__ == "__main__":
    if sys.argv[1] == "retemplate":
        retemplate(sys.argv[2], sys.argv[3])
    elif sys.argv[1] == "make":
        make(sys.argv[2], sys.argv[3], int(sys.argv[4]))
    else:
        spoil(sys.argv[2], sys.argv[3], int(sys.argv[4]) if len(sys.argv) > 4 else None)
