"""The detector as an ONNX graph: a converter that skl2onnx calls.

The graph follows :mod:`skae.core.scoring` operation by operation: float32 up to the
roots of the energies, float64 from there on.
"""

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

from skae.core import bottlenecks, engine, scoring
from skae.core.batching import LARGEST
from skae.core.config import NetworkConfig
from skae.core.gaussian import TINY

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
    model: ModelProto, names: list[str], types: list, width: int, kind: int
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
    g = _Graph(scope, container)
    x = g.joined([variable.full_name for variable in operator.inputs], FLOAT)
    x = g("Clip", x, np.float32(-LARGEST), np.float32(LARGEST))
    model = engine.Model(
        detector.architecture_,
        detector.weights_,
        detector.statistics_,
        detector.fitted_score_,
    )
    members = [_Member(g, model, *parts) for parts in engine.members_of(model)]
    scores = [member.scores(x) for member in members]
    score = g.mean(*scores)
    decision = g("Sub", score, np.float64(detector.offset_))
    label, output = (variable.full_name for variable in operator.outputs)
    is_inlier = g("GreaterOrEqual", decision, np.float64(0))
    g("Where", is_inlier, np.int64(1), np.int64(-1), output=label)
    is_double = isinstance(operator.outputs[1].type, DoubleTensorType)
    kind = DOUBLE if is_double else FLOAT
    g("Cast", decision, to=kind, output=output)


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

    def activation(self, name: str, x: str) -> str:
        """Apply one of :data:`skae.core.networks.ACTIVATIONS`."""
        if name == "identity":
            return x
        if name == "silu":
            return self("Mul", x, self("Sigmoid", x))
        operation, attributes = OPERATIONS[name]
        return self(operation, x, **attributes)


OPERATIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "elu": ("Elu", {"alpha": 1.0}),
    "gelu": ("Gelu", {"approximate": "tanh"}),
    "leaky_relu": ("LeakyRelu", {"alpha": 0.01}),
    "relu": ("Relu", {}),
    "sigmoid": ("Sigmoid", {}),
    "softplus": ("Softplus", {}),
    "tanh": ("Tanh", {}),
}


class _Member:
    """One network and its statistics."""

    def __init__(
        self, g: _Graph, model: engine.Model, weights: dict, statistics: dict
    ) -> None:
        self.g = g
        self.score = model.score
        self.shape = model.architecture
        self.network = NetworkConfig(**model.architecture)
        self.weights = weights
        self.statistics = statistics

    def scores(self, x: str) -> str:
        """Float64 scores of shape (n, 1)."""
        g, s = self.g, self.statistics
        inside = self._project(x)
        distances = [
            DISTANCES[function](self, x, inside)
            for function in scoring.SCORES[self.score]
        ]
        roots = [g("Cast", name, to=DOUBLE) for name in distances]
        energies = [g("Mul", root, root) for root in roots]
        if self.score != "combined":
            return g("Neg", energies[0])
        units = []
        for i, energy in enumerate(energies):
            log = g("Log", g("Max", energy, s["log_floor"][i]))
            units.append(g("Div", g("Sub", log, s["log_mean"][i]), s["log_scale"][i]))
        return g("Neg", self._soft_maximum(g.mean(*units[:2]), units[2]))

    def _soft_maximum(self, local: str, overall: str) -> str:
        g = self.g
        a = g("Mul", local, np.float64(scoring.SHARPNESS))
        b = g("Mul", overall, np.float64(scoring.SHARPNESS))
        b = g("Add", b, np.float64(np.log(scoring.GLOBAL_WEIGHT)))
        larger, smaller = g("Max", a, b), g("Min", a, b)
        excess = g("Log", g("Add", g("Exp", g("Sub", smaller, larger)), np.float64(1)))
        return g("Div", g("Add", larger, excess), np.float64(scoring.SHARPNESS))

    def _project(self, x: str) -> str:
        g, s = self.g, self.statistics
        offset = g("Sub", x, s["center"])
        distance = g.root_mean_square(g("Div", offset, s["scale"]))
        factor = g("Div", s["radius"], g("Max", distance, np.float32(TINY)))
        shrunk = g("Add", g("Mul", offset, factor), s["center"])
        return g("Where", g("LessOrEqual", distance, s["radius"]), x, shrunk)

    def _layers(self, part: str, last: str, x: str) -> str:
        g = self.g
        n_layers = sum(name.startswith(f"{part}.") for name in self.weights) // 2
        for i in range(n_layers):
            layer = f"{part}.{i}"
            kernel, bias = (self.weights[f"{layer}.{w}"] for w in ("kernel", "bias"))
            x = g("Gemm", x, kernel, bias)
            x = g.activation(last if i == n_layers - 1 else self.shape["activation"], x)
        return x

    def _encoded(self, inside: str) -> str:
        return self._layers("encoder", self.network.code_activation, inside)

    def _part(self, encoded: str, start: int) -> str:
        """Mean (from 0) or logit of the variance of a variational code."""
        latent = self.shape["latent_dim"]
        ends = (np.array([i], np.int64) for i in (start, start + latent, 1))
        return self.g("Slice", encoded, *ends)

    def _code(self, inside: str) -> str:
        encoded = self._encoded(inside)
        is_drawn = self.shape["bottleneck"] == "variational"
        return self._part(encoded, 0) if is_drawn else encoded

    def _residual(self, code: str, inside: str) -> str:
        output = self._layers("decoder", self.shape["output_activation"], code)
        return self.g("Sub", inside, output)

    def _whitened_length(self, v: str, prefix: str, width: int) -> str:
        """As in :func:`skae.core.gaussian.distance`, for centred rows."""
        g, s = self.g, self.statistics
        components = s[f"{prefix}_components"]
        rank, full_width = components.shape
        seen = np.ascontiguousarray(components[:, :width])
        coordinates = g("MatMul", v, np.ascontiguousarray(seen.T))
        length = g.root_mean_square(
            g("Mul", coordinates, s[f"{prefix}_precision_root"])
        )
        length = g("Mul", length, np.float32(np.sqrt(rank / full_width)))
        if rank == full_width:
            return length
        if width < full_width:
            missing = np.array([0, 0, 0, full_width - width], np.int64)
            v = g("Pad", v, missing)
        rest = g("Sub", v, g("MatMul", coordinates, components))
        rest = g("Mul", rest, s[f"{prefix}_rest_root"])
        return g.hypot(length, g.root_mean_square(rest))

    def reconstruction(self, x: str, inside: str) -> str:
        g = self.g
        residual = self._residual(self._code(inside), inside)
        away = g.root_mean_square(g("Sub", x, inside))
        return g.hypot(g.root_mean_square(residual), away)

    def joint(self, x: str, inside: str) -> str:
        g, width = self.g, self.shape["n_features"]
        code = self._code(inside)
        v = g("Concat", self._residual(code, inside), code, axis=1)
        v = g("Sub", v, self.statistics["joint_mean"])
        full_width = width + self.shape["latent_dim"]
        away = self._whitened_length(g("Sub", x, inside), "joint", width)
        return g.hypot(self._whitened_length(v, "joint", full_width), away)

    def elbo(self, x: str, inside: str) -> str:
        g, width, latent = self.g, self.shape["n_features"], self.shape["latent_dim"]
        encoded = self._encoded(inside)
        mean, logit = self._part(encoded, 0), self._part(encoded, latent)
        log_variance = g("Neg", g("Softplus", g("Neg", logit)))
        variance_part = g("Sub", g("Exp", log_variance), log_variance)
        sums = g("Sub", g("Add", g("Mul", mean, mean), variance_part), np.float32(1))
        divergence = g("ReduceSum", sums, np.array([1], np.int64))
        divergence = g("Div", g("Max", divergence, np.float32(0)), np.float32(2))
        information = g("Sqrt", g("Div", divergence, np.float32(width)))
        residual = g.root_mean_square(self._residual(mean, inside))
        distance = g.hypot(residual, g.root_mean_square(g("Sub", x, inside)))
        log_noise = self.weights[bottlenecks.NOISE]
        deviation = np.float32(np.exp(log_noise / 2) * np.sqrt(2))
        return g.hypot(g("Div", distance, deviation), information)

    def _displacement(self, x: str, inside: str) -> str:
        return self.g("Div", self.g("Sub", x, inside), self.statistics["scale"])

    def latent(self, x: str, inside: str) -> str:
        g = self.g
        code = g("Sub", self._code(inside), self.statistics["latent_mean"])
        length = self._whitened_length(code, "latent", self.shape["latent_dim"])
        return g.hypot(length, g.root_mean_square(self._displacement(x, inside)))

    def _standardised(self, inside: str) -> str:
        s = self.statistics
        return self.g("Div", self.g("Sub", inside, s["center"]), s["scale"])

    def nearest(self, x: str, inside: str) -> str:
        g, rows = self.g, self.statistics["memory"]
        u = self._standardised(inside)
        products = g("MatMul", u, np.ascontiguousarray(rows.T))
        half_norms = np.square(rows).sum(axis=1) / 2
        cost = g("Sub", half_norms, products)
        number = g("ArgMin", cost, axis=1, keepdims=0)
        difference = g("Sub", u, g("Gather", rows, number, axis=0))
        away = g.root_mean_square(self._displacement(x, inside))
        return g.hypot(g.root_mean_square(difference), away)

    def mahalanobis(self, x: str, inside: str) -> str:
        g, width = self.g, self.shape["n_features"]
        u = g("Sub", self._standardised(inside), self.statistics["robust_mean"])
        away = self._whitened_length(self._displacement(x, inside), "robust", width)
        return g.hypot(self._whitened_length(u, "robust", width), away)


DISTANCES = {
    scoring.reconstruction_distance: _Member.reconstruction,
    scoring.joint_distance: _Member.joint,
    scoring.latent_distance: _Member.latent,
    scoring.elbo_distance: _Member.elbo,
    scoring.nearest_distance: _Member.nearest,
    scoring.mahalanobis_distance: _Member.mahalanobis,
}
