"""The graphs that run against each other: with each rewrite alone, with all, and what no standard graph can be."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from unittest.mock import patch

import numpy as np
import onnx
import torch
from onnx import helper, numpy_helper

from benchmarks.models import ARCHITECTURES, random_checkpoint
from offbeat_export import onnx_simplification
from offbeat_export.manifest_draft import draft_manifest
from offbeat_export.onnx_export import export_onnx
from offbeat_export.onnx_tracing import Exporter
from offbeat_export.scoring_module import ScoringModule
from offbeat_training import LSTMAutoencoder

# Functions of `onnx_simplification` that can be left out without changing what is computed.
REWRITES = ("repeat_in_place", "turn_late", "narrow_zero_inputs")
BASE = "none of them"
# Zero inputs matter where they are wide.
MODELS = {
    **ARCHITECTURES,
    "state, 25 features": (lambda: LSTMAutoencoder(n_features=25, hidden_size=64, bridge="state"), 60),
    "state, 166 features": (lambda: LSTMAutoencoder(n_features=166, hidden_size=64, bridge="state"), 60),
}


def contenders(model: str) -> Mapping[str, bytes]:
    """Serialised graphs of one model by name, the first without any rewrite."""
    torch.manual_seed(0)
    make, length = MODELS[model]
    checkpoint = random_checkpoint(make().eval(), length)
    # Other numbers than 0 and 1, which are folded away.
    checkpoint.normalisation.mean.fill_(0.25)
    checkpoint.normalisation.scale.fill_(1.5)
    module = ScoringModule.of_checkpoint(checkpoint)
    manifest = draft_manifest(checkpoint, module, name="m", version=1, description="")

    def graph(kept: tuple[str, ...], exporter: Exporter = "classic") -> bytes:
        with ExitStack() as stack:
            for rewrite in REWRITES:
                if rewrite not in kept:
                    stack.enter_context(patch.object(onnx_simplification, rewrite, lambda graph: None))
            return export_onnx(module, manifest, exporter)

    every = graph(REWRITES)
    graphs = {BASE: graph(())} | {rewrite: graph((rewrite,)) for rewrite in REWRITES}
    graphs |= {"all, classic": every, "all, dynamo": graph(REWRITES, "dynamo")}
    graphs["without normalisation (wrong scores)"] = _without_normalisation(every)
    if (narrow := _with_narrow_latent(every)) is not None:
        graphs["latent one wide (wrong scores)"] = narrow
    return graphs


def _without_normalisation(content: bytes) -> bytes:
    """The least that folding the normalisation into weights could leave, were the error not taken of normalised values."""
    model = onnx.load_from_string(content)
    graph = model.graph
    for node in graph.node:
        for index, name in enumerate(node.input):
            if name == "Div":
                node.input[index] = "window"
    kept = [node for node in graph.node if node.name not in ("Sub", "Div")]
    del graph.node[:]
    graph.node.extend(kept)
    return model.SerializeToString()


def _with_narrow_latent(content: bytes) -> bytes | None:
    """The least that computing the product of a repeated latent once could leave; None where none is repeated."""
    model = onnx.load_from_string(content)
    graph = model.graph
    repeats = [node for node in graph.node if node.op_type == "Expand"]
    if len(repeats) != 1:
        return None
    (repeat,) = repeats
    lstm = next(node for node in graph.node if node.op_type == "LSTM" and repeat.output[0] in node.input)
    weight = next(each for each in graph.initializer if each.name == lstm.input[1])
    narrow = np.ascontiguousarray(numpy_helper.to_array(weight)[:, :, :1])
    weight.CopyFrom(numpy_helper.from_array(narrow, weight.name))
    for name, value in (("slice_start", 0), ("slice_end", 1), ("slice_axis", 2)):
        graph.initializer.append(numpy_helper.from_array(np.array([value]), name))
    slice_inputs = [repeat.input[0], "slice_start", "slice_end", "slice_axis"]
    graph.node.insert(list(graph.node).index(repeat), helper.make_node("Slice", slice_inputs, ["sliced"]))
    repeat.input[0] = "sliced"
    return model.SerializeToString()
