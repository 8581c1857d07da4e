"""What a TorchScript file may do: compute tensors from tensors, and nothing else.

TorchScript is code. It can write files (`torch.save`), map them (`torch.from_file`), run while it is loaded
(`__setstate__`) and never end (`while`). A scorer needs none of that, and torch does not ask.
"""

from __future__ import annotations

import ast
import io
import zipfile
import zlib
from collections.abc import Iterator

from offbeat.errors import BundleError
from offbeat_training.torch_archive import archive_defect

_MAX_CODE_BYTES = 2**20
# Code, and where each line of it comes from; tensors are stored.
_MAX_COMPRESSED_BYTES = 2**24
# Functions of tensors and numbers alone. An architecture that needs another one adds it here.
_FUNCTIONS = """
    __and__ __contains__ __getitem__ __is__ __isnot__ __not__ __or__ abs add addmm all amax amin any append arange
    avg_pool1d batch_norm bmm cat ceil chunk clamp clamp_max clamp_min clone contiguous conv1d conv_transpose1d dim
    dequantize detach div dropout elu eq exp expand expand_as fill_ flatten flip floor floor_divide floordiv format
    full full_like ge gelu gt hardtanh index_select layer_norm le leaky_relu len linear list log log_softmax
    logical_and logical_not logical_or lstm lt masked_fill matmul max max_pool1d maximum mean min minimum mm mul
    narrow ne neg norm numel ones ones_like pad permute pow quantize_per_tensor reciprocal relu remainder repeat
    repeat_interleave reshape roll round rsqrt rsub select select_scatter sigmoid size slice softmax softplus split
    sqrt square squeeze stack std sub sum t tanh tensor tile to transpose type_as unbind unflatten unsqueeze
    upsample_nearest1d var view view_as where zeros zeros_like
"""
_ALLOWED = frozenset(_FUNCTIONS.split())
_ALLOWED_PRIMITIVES = frozenset(
    {"RaiseException", "device", "dtype", "is_cuda", "max", "min", "NumToTensor", "unchecked_cast"}
)
_ALLOWED_WORDS = frozenset({"annotate", "int", "float", "bool", "uninitialized", "unchecked_cast"})
_FORBIDDEN_NODES = (ast.While, ast.For, ast.Import, ast.ImportFrom, ast.Lambda, ast.With, ast.Try)


def check_torchscript(content: bytes, where: str) -> None:
    """Raises BundleError, naming `where` and the fact, unless the file is sound and its code calls only what a scorer may."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            defect = archive_defect(archive, len(content), _MAX_COMPRESSED_BYTES)
            if defect is not None:
                raise BundleError(f"{where}: {defect}")
            for name in archive.namelist():
                if name.endswith(".py"):
                    _check_code(archive.read(name), f"{where}: {name}")
    except (zipfile.BadZipFile, zlib.error, ValueError, EOFError, NotImplementedError, RuntimeError, OSError) as error:
        raise BundleError(f"{where}: not a readable TorchScript archive: {error}") from error


def _check_code(code: bytes, where: str) -> None:
    if len(code) > _MAX_CODE_BYTES:
        raise BundleError(f"{where}: {len(code):,} bytes of code; expected at most {_MAX_CODE_BYTES:,}")
    try:
        # The language of TorchScript's files is a part of Python's; it is read here, and never run.
        for defect in _defects(ast.parse(code)):
            raise BundleError(f"{where}: {defect}, which no scorer does")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise BundleError(f"{where}: not readable as TorchScript: {type(error).__name__}: {error}") from error


def _defects(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and node.name != "forward":
            yield f"defines {node.name}"
        if isinstance(node, _FORBIDDEN_NODES):
            yield f"has a {type(node).__name__.lower()} in line {node.lineno}"
        if isinstance(node, ast.Call) and not _is_allowed(node.func):
            yield f"calls {ast.unparse(node.func)}"


def _is_allowed(function: ast.expr) -> bool:
    match function:
        case ast.Name(id=name):
            return name in _ALLOWED_WORDS
        case ast.Attribute(value=ast.Name(id="torch"), attr=name):
            return name in _ALLOWED
        case ast.Attribute(value=ast.Attribute(value=ast.Name(id="ops"), attr="prim"), attr=name):
            return name in _ALLOWED_PRIMITIVES
    return False
