"""Facts as tables for a terminal; whatever is not known of a thing is left out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
from rich.table import Table
from rich.text import Text

from offbeat.result import Threshold

Facts = dict[str, Any]


def tables(facts: Facts) -> Iterator[Table]:
    """The tables of one version, ONNX file or checkpoint, or the one of a repository."""
    if facts["kind"] == "repository":
        yield _repository(facts)
        return
    yield _summary(facts)
    yield _tensors(facts)
    if facts.get("parity", {}).get("formats"):
        yield _parity(facts["parity"])
    if facts.get("files"):
        yield _files(facts["files"])


def _summary(facts: Facts) -> Table:
    name = facts.get("name") or facts["path"]
    title = f"{name} version {facts['version']}" if facts.get("version") else name
    table = Table(title=Text(title), show_header=False, title_justify="left")
    for what, words in _rows(facts):
        table.add_row(what, Text(words))
    return table


def _rows(facts: Facts) -> Iterator[tuple[str, str]]:
    yield facts["kind"], facts["path"]
    yield "description", facts.get("description") or "-"
    if licence := facts.get("licence"):
        yield "licence", licence
    if architecture := facts.get("architecture"):
        yield "architecture", f"{architecture['kind']} {_in_words(architecture.get('settings') or {})}".strip()
        if architecture.get("n_parameters") is not None:
            yield "parameters", f"{architecture['n_parameters']:,}"
    if products := facts.get("multiply_adds"):
        yield "multiply-adds", _products(products)
    if names := facts.get("feature_names"):
        yield "features", ", ".join(names)
    yield from _learnt(facts)
    if graph := facts.get("graph"):
        yield "graph", f"by torch's {graph['exporter']} exporter: {graph['reason']}"
    if precision := facts.get("precision"):
        yield from _precision(precision)
    for what, value in facts.get("more", {}).items():
        yield what, str(value)


def _learnt(facts: Facts) -> Iterator[tuple[str, str]]:
    if window := facts.get("window"):
        yield "window", f"{window['length']} steps" + (", any length" if window["is_time_dynamic"] else "")
    if threshold := facts.get("threshold"):
        how = f" ({msgspec.convert(threshold, Threshold).how})" if "method" in threshold else ""
        yield "threshold", f"{threshold['value']:.6g}{how}"
    if training := facts.get("training"):
        yield "trained", _training(training)
        if classes := training.get("class_names"):
            yield "classes", ", ".join(classes)
    if recalibration := facts.get("recalibration"):
        yield "recalibrated", _recalibration(recalibration)
    if metrics := facts.get("metrics"):
        yield "metrics", ", ".join(f"{name} {value:.4g}" for name, value in metrics.items())


def _products(products: Facts) -> str:
    if not products["per_step"]:
        return f"{products['per_window']:,} per window"
    once = f"{products['per_window']:,} + " if products["per_window"] else ""
    grown = f"{once}{products['per_step']:,} per step"
    return grown if products["n"] is None else f"{products['n']:,} per window ({grown})"


def _training(training: Facts) -> str:
    source = training["source"]
    digest = f" (SHA-256 {source['sha256'][:16]}…)" if source["sha256"] else ""
    return (
        f"{training['trained_at']} on {source['name']}{digest}, {training['n_training_windows']:,} windows, "
        f"{training['n_epochs']} epochs, seed {training['seed']}, offbeat {training['offbeat_version']}, "
        f"torch {training['torch_version']}"
    )


def _precision(precision: Facts) -> Iterator[tuple[str, str]]:
    """What a variant is, and what was measured of it on each engine beside its float32 version."""
    source, size = precision["source"], precision["size"]
    share = f"{size['n_bytes'] / size['fp32_n_bytes']:.0%} of the size of {source['name']} version {source['version']}"
    yield "precision", f"weights in {precision['weights']}, products in {precision['arithmetic']}, {share}"
    for engine, figures in precision["engines"].items():
        quality = figures["quality"]
        latency = ", ".join(f"{each['ratio']:.2f} at batch {each['batch']}" for each in figures["latency"])
        auc = f"ROC-AUC {quality['roc_auc']:.4f}, float32's {quality['fp32_roc_auc']:.4f}"
        yield f"on {engine}", f"times float32's latency {latency}; {auc}"


def _recalibration(recalibration: Facts) -> str:
    source = recalibration["source"]
    on = "" if source is None else f" on {source['name']}, {source['n_rows']:,} rows"
    return f"{recalibration['recalibrated_at']} from version {recalibration['from_version']}{on}"


def _in_words(settings: Mapping[str, Any]) -> str:
    """Settings that say something: those that are off or zero do not."""
    return ", ".join(f"{name} {value}" for name, value in settings.items() if value not in (0, False, "", []))


def _tensors(facts: Facts) -> Table:
    table = Table("tensor", "direction", "type", "shape")
    for direction, key in (("in", "inputs"), ("out", "outputs")):
        for spec in facts[key]:
            shape = Text(f"[{', '.join(map(str, spec['shape']))}]")
            table.add_row(Text(spec["name"]), direction, spec["dtype"], shape)
    return table


def _parity(parity: Facts) -> Table:
    bound = parity["bound"]
    table = Table("format", "windows", "max |Δerror| / max(1, error)", f"of the bound {bound:g}", "flips", "worst case")
    for name, measured in parity["formats"].items():
        worst = measured["outputs"]["reconstruction_error"]["max_relative"]
        figures = (f"{worst:.2g}", f"{worst / bound:.1%}", str(measured["decision_flips"]))
        table.add_row(Text(name), f"{measured['n_windows']:,}", *figures, Text(measured["worst_case"]))
    return table


def _files(files: Facts) -> Table:
    table = Table("file", "bytes", "SHA-256")
    for name, record in files.items():
        table.add_row(name, f"{record['n_bytes']:,}", record["sha256"][:16] + "…")
    return table


def _repository(facts: Facts) -> Table:
    table = Table("model", "versions", "architecture", "parameters", "multiply-adds", "threshold", "trained")
    for model in facts["models"]:
        versions = ", ".join(map(str, model["versions"]))
        if model["problem"] is not None:
            table.add_row(Text(model["name"]), versions, Text(model["problem"], "red"))
            continue
        newest = model["newest"]
        products = newest.get("multiply_adds")
        table.add_row(
            Text(model["name"]),
            versions,
            Text(newest["architecture"]["kind"]),
            f"{newest['architecture']['n_parameters']:,}",
            "-" if products is None else f"{products['n']:,}",
            f"{newest['threshold']['value']:.6g}",
            Text(newest["training"]["trained_at"]),
        )
    return table
