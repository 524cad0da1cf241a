"""The detector as an ONNX graph: a converter that skl2onnx calls.

The forms of energies, bottlenecks and networks stand beside what they follow, operation
by operation: float32 up to the roots of the energies, float64 from there on.
"""

import warnings
from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np
from onnx import ModelProto, TensorProto, checker, compose, helper
from skl2onnx.algebra.type_helper import guess_initial_types
from skl2onnx.common.data_types import (
    DoubleTensorType,
    FloatTensorType,
    Int64TensorType,
)
from skl2onnx.operator_converters.imputer_op import convert_sklearn_imputer

from skae.core import ball, bottlenecks, networks
from skae.core.batching import LARGEST
from skae.core.gaussian import TINY
from skae.core.model import Model
from skae.core.scores import SCORES
from skae.core.spread import SHIFT

# Of inner names, so that none is that of a column.
PREFIX = "skae/"

DOUBLE, FLOAT = TensorProto.DOUBLE, TensorProto.FLOAT


def export(convert: Any, sample: Any, *, by_column: bool) -> ModelProto:
    """Convert, with one input of the type and name of each column, or of an array.

    ``convert`` is skl2onnx's function without its types. Numbers are joined here:
    skl2onnx would join columns, and take integers, as float32.
    """
    is_frame = hasattr(sample, "columns")
    types = [sample[n].dtype for n in sample] if is_frame else [sample.dtype]
    are_numbers = all(isinstance(t, np.dtype) and t.kind in "fiub" for t in types)
    names = list(sample.columns) if is_frame else ["X"]
    for name in names:
        if name in ("", "label", "scores"):
            raise ValueError(f"an input cannot have the name of the column {name!r}.")
    if by_column or not are_numbers:
        model = convert(initial_types=guess_initial_types(sample))
        if [i.name for i in model.graph.input] != names:
            model = _renamed(model, names)
    else:
        is_single = all(t == np.float32 for t in types)
        kind = FloatTensorType if is_single else DoubleTensorType
        model = convert(initial_types=[("X", kind([None, sample.shape[1]]))])
        if is_frame or types[0] not in (np.float32, np.float64):
            width = 1 if is_frame else sample.shape[1]
            model = _joined(model, names, types, width, FLOAT if is_single else DOUBLE)
    checker.check_model(model, full_check=True)
    return model


def _renamed(model: ModelProto, names: list[str]) -> ModelProto:
    """Give the inputs the names of the columns, which skl2onnx has changed."""
    model = compose.add_prefix(model, PREFIX, rename_outputs=False)
    inputs = model.graph.input
    renamed = dict(zip((i.name for i in inputs), names, strict=True))
    for value in inputs:
        value.name = renamed[value.name]
    for node in model.graph.node:
        node.input[:] = [renamed.get(name, name) for name in node.input]
    return model


def _joined(
    model: ModelProto, names: list[str], types: list[Any], width: int, kind: int
) -> ModelProto:
    """Put inputs of any numbers in front of the only input."""
    model = compose.add_prefix(model, PREFIX, rename_outputs=False)
    graph = model.graph
    joined = graph.input[0].name
    parts = [f"{PREFIX}column/{i}" for i in range(len(names))]
    nodes = [
        helper.make_node("Cast", [name], [part], to=kind)
        for name, part in zip(names, parts, strict=True)
    ]
    nodes.append(helper.make_node("Concat", parts, [joined], axis=1))
    nodes += graph.node
    del graph.node[:], graph.input[:]
    graph.node.extend(nodes)
    graph.input.extend(
        helper.make_tensor_value_info(
            name, helper.np_dtype_to_tensor_dtype(dtype), [None, width]
        )
        for name, dtype in zip(names, types, strict=True)
    )
    return model


def set_shapes(operator: Any) -> None:
    """Say what the outputs are."""
    is_double = any(isinstance(i.type, DoubleTensorType) for i in operator.inputs)
    label, scores = operator.outputs
    label.type = Int64TensorType([None, 1])
    scores.type = (DoubleTensorType if is_double else FloatTensorType)([None, 1])


def convert(scope: Any, operator: Any, container: Any) -> None:
    """Add the nodes of a detector."""
    detector = operator.raw_operator
    g, model = _Graph(scope, container), detector._model()
    shift = model.statistics.get(SHIFT)
    kind = FLOAT if shift is None else DOUBLE
    x = g.joined([variable.full_name for variable in operator.inputs], kind)
    if shift is not None:
        x = g("Cast", g("Sub", x, shift), to=FLOAT)
        _warn_of_float32(operator, shift[0])
    x = g("Clip", x, np.float32(-LARGEST), np.float32(LARGEST))
    scores = [_scores(g, x, model, m.params, m.statistics) for m in model.members]
    score = g.mean(*scores)
    decision = g("Sub", score, np.float64(detector.offset_))
    label, output = (variable.full_name for variable in operator.outputs)
    is_inlier = g("GreaterOrEqual", decision, np.float64(0))
    g("Where", is_inlier, np.int64(1), np.int64(-1), output=label)
    is_double = isinstance(operator.outputs[1].type, DoubleTensorType)
    kind = DOUBLE if is_double else FLOAT
    g("Cast", decision, to=kind, output=output)


def _warn_of_float32(operator: Any, shift: np.ndarray) -> None:
    """Say which columns are so far from zero that inputs must be float64."""
    if not all(isinstance(i.type, DoubleTensorType) for i in operator.inputs):
        column = int(np.flatnonzero(shift)[0])
        warnings.warn(
            f"Column {column} lies near {shift[column]:.4g}, where float32 cannot tell "
            "its values apart: export with float64 rows, and pass such rows.",
            stacklevel=2,
        )


def convert_imputer(scope: Any, operator: Any, container: Any) -> None:
    """Fill gaps of numbers.

    skl2onnx makes an operator of it that ONNX Runtime has for float32 only.
    """
    imputer, types = operator.raw_operator, [v.type for v in operator.inputs]
    if not all(isinstance(t, (DoubleTensorType, FloatTensorType)) for t in types):
        return convert_sklearn_imputer(scope, operator, container)
    fillers = np.asarray(imputer.statistics_, np.float64)
    has_gaps = np.isnan(imputer.missing_values) and not np.isnan(fillers).any()
    if not has_gaps or imputer.add_indicator:
        raise ValueError(
            "SimpleImputer is exported for missing_values=nan, where no column is "
            "empty, and without an indicator."
        )
    g = _Graph(scope, container)
    is_double = isinstance(operator.outputs[0].type, DoubleTensorType)
    kind, dtype = (DOUBLE, np.float64) if is_double else (FLOAT, np.float32)
    x = g.joined([variable.full_name for variable in operator.inputs], kind)
    output = operator.outputs[0].full_name
    g("Where", g("IsNaN", x), fillers.astype(dtype), x, output=output)


class _Graph:
    """Adds nodes to skl2onnx's container; arrays among the inputs become constants."""

    def __init__(self, scope: Any, container: Any) -> None:
        self.scope, self.container = scope, container

    def __call__(
        self, operation: str, *inputs: Any, output: str | None = None, **attributes: Any
    ) -> str:
        """Add a node and return the name of its output."""
        names = [i if isinstance(i, str) else self._constant(i) for i in inputs]
        output = output or self.scope.get_unique_variable_name(operation.lower())
        self.container.add_node(
            operation,
            names,
            [output],
            name=self.scope.get_unique_operator_name(operation),
            **attributes,
        )
        return output

    def _constant(self, value: Any) -> str:
        array = np.asarray(value)
        name = self.scope.get_unique_variable_name("constant")
        kind = helper.np_dtype_to_tensor_dtype(array.dtype)
        self.container.add_initializer(name, kind, array.shape, array.ravel())
        return name

    def joined(self, names: list[str], kind: int) -> str:
        """Columns side by side, all of one type."""
        parts = [self("Cast", name, to=kind) for name in names]
        return parts[0] if len(parts) == 1 else self("Concat", *parts, axis=1)

    def root_mean_square(self, x: str) -> str:
        """As in :func:`skae.core.gaussian.root_mean_square`, of shape (n, 1)."""
        last = np.array([1], np.int64)
        largest = self("ReduceMax", self("Abs", x), last)
        largest = self("Max", largest, np.float32(TINY))
        ratio = self("Div", x, largest)
        mean = self("ReduceMean", self("Mul", ratio, ratio), last)
        return self("Mul", largest, self("Sqrt", mean))

    def mean(self, *names: str) -> str:
        """Mean of float64 inputs (ONNX Runtime has Mean for float32 only)."""
        return self("Div", self("Sum", *names), np.float64(len(names)))

    def hypot(self, a: str, b: str) -> str:
        """Root of the sum of squares of numbers >= 0, without overflow."""
        largest = self("Max", a, b, np.float32(TINY))
        a, b = self("Div", a, largest), self("Div", b, largest)
        squares = self("Add", self("Mul", a, a), self("Mul", b, b))
        return self("Mul", largest, self("Sqrt", squares))

    def whitened_length(self, v: str, gaussian: dict[str, Any], width: int) -> str:
        """As in :func:`skae.core.gaussian.distance`, for centred rows."""
        components = gaussian["components"]
        rank, full_width = components.shape
        seen = np.ascontiguousarray(components[:, :width])
        coordinates = self("MatMul", v, np.ascontiguousarray(seen.T))
        length = self.root_mean_square(
            self("Mul", coordinates, gaussian["precision_root"])
        )
        length = self("Mul", length, np.float32(np.sqrt(rank / full_width)))
        if rank == full_width:
            return length
        if width < full_width:
            missing = np.array([0, 0, 0, full_width - width], np.int64)
            v = self("Pad", v, missing)
        rest = self("Sub", v, self("MatMul", coordinates, components))
        rest = self("Mul", rest, gaussian["rest_root"])
        return self.hypot(length, self.root_mean_square(rest))

    def activation(self, name: str, x: str) -> str:
        """Apply one of :data:`skae.core.networks.ACTIVATIONS`."""
        return OPERATIONS[name](self, x)


OPERATIONS: dict[str, Callable[[_Graph, str], str]] = {
    "elu": lambda g, x: g("Elu", x, alpha=1.0),
    "gelu": lambda g, x: g("Gelu", x, approximate="tanh"),
    "identity": lambda g, x: x,
    "leaky_relu": lambda g, x: g("LeakyRelu", x, alpha=0.01),
    "relu": lambda g, x: g("Relu", x),
    "sigmoid": lambda g, x: g("Sigmoid", x),
    "silu": lambda g, x: g("Mul", x, g("Sigmoid", x)),
    "softplus": lambda g, x: g("Softplus", x),
    "tanh": lambda g, x: g("Tanh", x),
}


class _Rows:
    """Rows as the forms of energies see them, for one network and its statistics.

    What several energies use is in the graph once.
    """

    def __init__(
        self,
        g: _Graph,
        x: str,
        model: Model,
        weights: dict[str, Any],
        statistics: dict[str, Any],
    ) -> None:
        self.g, self.x, self.weights = g, x, weights
        self.ball = ball.part(statistics)
        self.network = model.network
        self.width = model.network.n_features
        self.latent_dim = model.network.latent_dim

    @cached_property
    def _offset(self) -> str:
        return self.g("Sub", self.x, self.ball["center"])

    @cached_property
    def distance(self) -> str:
        """As in :func:`skae.core.ball.distance`, of shape (n, 1)."""
        return self.g.root_mean_square(self.g("Div", self._offset, self.ball["scale"]))

    @cached_property
    def inside(self) -> str:
        """As in :func:`skae.core.ball.project`."""
        g, s = self.g, self.ball
        factor = g("Div", s["radius"], g("Max", self.distance, np.float32(TINY)))
        shrunk = g("Add", g("Mul", self._offset, factor), s["center"])
        return g("Where", g("LessOrEqual", self.distance, s["radius"]), self.x, shrunk)

    @cached_property
    def beyond(self) -> str:
        """Length of :attr:`units_away`, of shape (n, 1)."""
        g = self.g
        return g("Max", g("Sub", self.distance, self.ball["radius"]), np.float32(0))

    @cached_property
    def away(self) -> str:
        """Displacement of rows outside the ball."""
        return self.g("Sub", self.x, self.inside)

    @cached_property
    def units_away(self) -> str:
        """Displacement in training deviations."""
        return self.g("Div", self.away, self.ball["scale"])

    @cached_property
    def standardised(self) -> str:
        """Rows inside the ball, in training deviations from the training mean."""
        s = self.ball
        return self.g("Div", self.g("Sub", self.inside, s["center"]), s["scale"])

    @cached_property
    def encoded(self) -> str:
        """Output of the encoder."""
        return self._half("encoder", self.inside)

    @cached_property
    def code(self) -> str:
        """Code of each row."""
        form: Any = bottlenecks.of(self.network).onnx_code
        return form(self.g, self.encoded, self.latent_dim)

    @cached_property
    def residual(self) -> str:
        """Rows less their reconstructions."""
        return self.g("Sub", self.inside, self._half("decoder", self.code))

    def _half(self, half: str, x: str) -> str:
        form = networks.class_of(self.network).onnx
        return form(self.g, self.network, self.weights, half, x)


def _scores(
    g: _Graph, x: str, model: Model, weights: dict[str, Any], statistics: dict[str, Any]
) -> str:
    """Float64 scores of shape (n, 1), of parts that all have a form."""
    score, rows = SCORES[model.score], _Rows(g, x, model, weights, statistics)
    energies = []
    for energy in score.energies:
        form: Any = energy.onnx
        root = g("Cast", form(g, rows, energy.part(statistics)), to=DOUBLE)
        energies.append(g("Mul", root, root))
    combined: Any = score.combination.onnx
    return g("Neg", combined(g, energies, statistics))
