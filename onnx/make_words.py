"""Makes the lexicon and the names of ImageNet's classes. `onnx/make_words` runs it.

Each English noun that WordNet knows gets a distribution over the 1,000 classes of ImageNet:

- half of it is the softmax of the similarity of the word's sentence embedding to those of the classes, each described
  by its synonyms and the beginning of its gloss;
- half of it is the same for the word's senses, the n-th of which counts 1/n;
- if classes lie below a sense in WordNet's hierarchy, they replace a tenth of it, or half of it where there are eight
  or more: a dog is any of 118 breeds.

Senses that are neither things nor events, people known by name, and words that resemble no class are left out.

words.bin, packed by zlib: `imgwords1` and a newline, then the entries, sorted by their bytes. An entry is the number of
bytes that it shares with the one before, the number of bytes that follow, these bytes, the number of classes, and for
each 16 bits, low byte first: the class times 64, plus its weight, 1 to 63, relative to the entry's largest.

classes.txt: the name of each class, a line each; an empty line; then each word above classes in the hierarchy, a tab,
and the numbers of these classes.
"""

import argparse
import collections
import functools
import json
import math
import os
import re
import struct
import zlib

import numpy as np
from scipy.special import erf
from tokenizers import Tokenizer

# Temperature of the softmax over similarities. 0.05 to 0.1 reach the same mAP; lower ones reach less.
TEMPERATURE = 0.07
# Classes of a word; more if the hierarchy knows more below it, up to what a byte counts.
CLASSES = 16
MOST_CLASSES = 255
# A word with a lower similarity to all classes says nothing about them.
MIN_SIMILARITY = 0.35
# Words for abstractions need more.
MIN_ABSTRACT = 0.45
# A sense above so many classes, such as `object`, is no kind of thing.
MAX_BELOW = 400
PHYSICAL = "00001930"
# WordNet's lexicographer files of senses that can be seen, outside of physical things: acts, events, food and others.
SEEN = {4, 5, 11, 13, 17, 19, 20, 25, 26, 27, 28}
LONGEST = 60


class WordNet:
    """The nouns of WordNet, as its files hold them."""

    def __init__(self, folder):
        self.senses = {}
        self.below_of = collections.defaultdict(list)
        for line in self.lines(os.path.join(folder, "data.noun")):
            head, _, gloss = line.partition(" | ")
            fields = head.split()
            count = int(fields[3], 16)
            pointers = 4 + 2 * count
            links = [fields[i : i + 3] for i in range(pointers + 1, len(fields) - 2, 4)]
            self.senses[fields[0]] = {
                "file": int(fields[1]),
                "words": [fields[4 + 2 * i] for i in range(count)],
                "gloss": re.split(r'[;"]', gloss.strip())[0],
                "above": [to for kind, to, part in links if kind in ("@", "@i") and part == "n"],
                "is_name": any(kind == "@i" for kind, _, _ in links),
            }
        for number, sense in self.senses.items():
            for above in sense["above"]:
                self.below_of[above].append(number)
        self.senses_of = {}
        for line in self.lines(os.path.join(folder, "index.noun")):
            fields = line.split()
            self.senses_of[fields[0]] = fields[-int(fields[2]) :]
        with open(os.path.join(folder, "noun.exc"), encoding="latin1") as lines:
            self.plurals = dict(line.split()[:2] for line in lines)

    @staticmethod
    def lines(path):
        with open(path, encoding="latin1") as lines:
            yield from (line for line in lines if not line.startswith("  "))

    @functools.cache
    def above(self, number):
        found = {number}
        for above in self.senses[number]["above"]:
            found |= self.above(above)
        return frozenset(found)

    def described(self, number, most=None):
        sense = self.senses[number]
        words = ", ".join(word.replace("_", " ") for word in sense["words"][:most])
        return f"{words}: {sense['gloss']}"


class Embedder:
    """all-MiniLM-L6-v2 (Reimers and Gurevych 2019; Wang et al. 2020): the mean of a transformer's outputs, length 1."""

    LAYERS, HEADS, WIDTH, MOST_TOKENS = 6, 12, 384, 64

    def __init__(self, folder):
        self.tokenizer = Tokenizer.from_file(os.path.join(folder, "tokenizer.json"))
        self.tokenizer.no_padding()
        self.tokenizer.enable_truncation(self.MOST_TOKENS)
        with open(os.path.join(folder, "model.safetensors"), "rb") as file:
            data = file.read()
        (length,) = struct.unpack("<Q", data[:8])
        start = 8 + length
        self.weights = {}
        for name, about in json.loads(data[8:start]).items():
            if name != "__metadata__" and about["dtype"] == "F32":
                first, last = about["data_offsets"]
                values = np.frombuffer(data[start + first : start + last], np.float32)
                self.weights[name] = values.reshape(about["shape"])

    def embed(self, texts, tokens=8192):
        ids = [encoding.ids for encoding in self.tokenizer.encode_batch(texts)]
        by_length = collections.defaultdict(list)
        for i, row in enumerate(ids):
            by_length[len(row)].append(i)
        out = np.zeros((len(ids), self.WIDTH), np.float32)
        for length, rows in by_length.items():
            step = max(1, tokens // length)
            for i in range(0, len(rows), step):
                part = rows[i : i + step]
                out[part] = self.forward(np.array([ids[j] for j in part]))
        return out

    def linear(self, x, name):
        return x @ self.weights[name + ".weight"].T + self.weights[name + ".bias"]

    def normalised(self, x, name):
        x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-12)
        return x * self.weights[name + ".weight"] + self.weights[name + ".bias"]

    def forward(self, ids):
        n, length = ids.shape
        kinds = ("word", "position", "token_type")
        word, position, kind = (self.weights[f"embeddings.{name}_embeddings.weight"] for name in kinds)
        x = self.normalised(word[ids] + position[:length] + kind[0], "embeddings.LayerNorm")
        split = self.WIDTH // self.HEADS
        for layer in range(self.LAYERS):
            at = f"encoder.layer.{layer}."
            query, key, value = (
                self.linear(x, f"{at}attention.self.{part}").reshape(n, length, self.HEADS, split).transpose(0, 2, 1, 3)
                for part in ("query", "key", "value")
            )
            attention = softmax(query @ key.transpose(0, 1, 3, 2) / math.sqrt(split))
            mixed = (attention @ value).transpose(0, 2, 1, 3).reshape(n, length, self.WIDTH)
            mixed = self.linear(mixed, at + "attention.output.dense")
            x = self.normalised(mixed + x, at + "attention.output.LayerNorm")
            wide = self.linear(x, at + "intermediate.dense")
            wide = (wide * 0.5 * (1 + erf(wide / math.sqrt(2)))).astype(np.float32)
            x = self.normalised(self.linear(wide, at + "output.dense") + x, at + "output.LayerNorm")
        mean = x.mean(1)
        return mean / np.linalg.norm(mean, axis=1, keepdims=True)


def softmax(x):
    x = np.exp(x - x.max(-1, keepdims=True))
    return x / x.sum(-1, keepdims=True)


class Classes:
    """ImageNet's classes in WordNet's hierarchy."""

    def __init__(self, wordnet, path):
        self.wordnet = wordnet
        with open(path) as lines:
            self.numbers = [line.strip()[1:] for line in lines]
        self.class_of = {number: i for i, number in enumerate(self.numbers)}

    @functools.cache
    def below(self, number):
        found = {self.class_of[number]} if number in self.class_of else set()
        for below in self.wordnet.below_of[number]:
            found |= self.below(below)
        return frozenset(found)

    def names(self):
        """The first word of each that no class before has."""
        taken, names = set(), []
        for number in self.numbers:
            words = [word.replace("_", " ") for word in self.wordnet.senses[number]["words"]]
            name = next((word for word in words if word not in taken), words[0])
            taken.add(name)
            names.append(name)
        return names

    def by_name(self):
        """The classes below each word of the hierarchy, by its most frequent sense that has any."""
        above = {above for number in self.numbers for above in self.wordnet.above(number)}
        words = {word.lower() for number in above for word in self.wordnet.senses[number]["words"]}
        named = {}
        for word in words:
            below = [self.below(sense) for sense in self.wordnet.senses_of[word]]
            named[word.replace("_", " ")] = next(classes for classes in below if classes)
        return named


def cached(path, make):
    """Embedding everything takes a quarter of an hour."""
    if not os.path.exists(path):
        np.save(path, make().astype(np.float16))
    return np.load(path).astype(np.float32)


def distributions(wordnet, classes, embedder, work):
    """The distribution of each word, and how many classes of it count."""
    seen = {
        number
        for number, sense in wordnet.senses.items()
        if not sense["is_name"] and (PHYSICAL in wordnet.above(number) or sense["file"] in SEEN)
    }
    words = [word for word, senses in wordnet.senses_of.items() if any(sense in seen for sense in senses)]
    senses = sorted(seen)
    place = {sense: i for i, sense in enumerate(senses)}
    print(f"{len(words):,} words, {len(senses):,} senses", flush=True)
    of_classes = embedder.embed([wordnet.described(number) for number in classes.numbers])
    of_words = cached(f"{work}/words.npy", lambda: embedder.embed([word.replace("_", " ") for word in words]))
    of_senses = cached(f"{work}/senses.npy", lambda: embedder.embed([wordnet.described(s, 4) for s in senses]))
    word_similarity, sense_similarity = of_words @ of_classes.T, of_senses @ of_classes.T
    by_sense = softmax(sense_similarity / TEMPERATURE)
    for i, word in enumerate(words):
        ranked = [(1 / (rank + 1), s) for rank, s in enumerate(wordnet.senses_of[word]) if s in place]
        total = sum(share for share, _ in ranked)
        row = 0.5 * softmax(word_similarity[i] / TEMPERATURE)
        row = row + 0.5 * sum(share / total * by_sense[place[s]] for share, s in ranked)
        above = [(share, classes.below(s)) for share, s in ranked if 0 < len(classes.below(s)) < MAX_BELOW]
        most = max((len(below) for _, below in above), default=0)
        if above:
            of_hierarchy = np.zeros(len(classes.numbers))
            for share, below in above:
                of_hierarchy[list(below)] += share / len(below)
            part = 0.5 if most >= 8 else 0.1
            row = (1 - part) * row + part * of_hierarchy / of_hierarchy.sum()
        is_physical = any(PHYSICAL in wordnet.above(s) for _, s in ranked)
        similarity = max(word_similarity[i].max(), max(sense_similarity[place[s]].max() for _, s in ranked))
        is_close = is_physical or above or word_similarity[i].max() > MIN_ABSTRACT
        if is_close and similarity >= MIN_SIMILARITY:
            yield word.replace("_", " "), row, min(MOST_CLASSES, max(CLASSES, most))


def packed(entries, plurals):
    """The lexicon's bytes."""
    words = {}
    for word, row, count in entries:
        order = np.argsort(-row, kind="stable")[:count]
        weights = np.round(63 * row[order] / row[order[0]]).astype(int)
        words[word] = [(int(c), int(w)) for c, w in zip(order, weights) if w > 0]
    for plural, singular in plurals.items():
        plural, singular = plural.replace("_", " "), singular.replace("_", " ")
        if singular in words:
            words.setdefault(plural, words[singular])
    out, before = bytearray(b"imgwords1\n"), b""
    for word in sorted((word.encode() for word in words if len(word) <= LONGEST)):
        shared = len(os.path.commonprefix([word, before]))
        pairs = words[word.decode()]
        out += bytes([shared, len(word) - shared]) + word[shared:] + bytes([len(pairs)])
        for number, weight in pairs:
            out += (number << 6 | weight).to_bytes(2, "little")
        before = word
    print(f"{len(words):,} entries, {len(out):,} bytes")
    return bytes(out)


def main():
    parser = argparse.ArgumentParser()
    for option in ("wordnet", "synsets", "embeddings", "output"):
        parser.add_argument(f"--{option}", required=True)
    arguments = parser.parse_args()
    wordnet = WordNet(arguments.wordnet)
    classes = Classes(wordnet, arguments.synsets)
    embedder = Embedder(arguments.embeddings)
    work = os.path.dirname(os.path.abspath(arguments.wordnet))
    lexicon = packed(distributions(wordnet, classes, embedder, work), wordnet.plurals)
    with open(os.path.join(arguments.output, "words.bin"), "wb") as file:
        file.write(zlib.compress(lexicon, 9))
    with open(os.path.join(arguments.output, "classes.txt"), "w", encoding="utf-8") as file:
        file.write("\n".join(classes.names()) + "\n\n")
        for name, below in sorted(classes.by_name().items()):
            file.write(f"{name}\t{' '.join(map(str, sorted(below)))}\n")


if __name__ == "__main__":
    main()
