import inspect
import re
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpydoc.docscrape import ClassDoc
from sklearn.ensemble import IsolationForest

from skae import AutoencoderOutlierDetector
from skae._plan import CHOICES, checked_parameters
from skae._ranges import (
    Anything,
    Flag,
    Float,
    Int,
    OneOf,
    OrAuto,
    OrNone,
    OrPair,
    Registered,
    StrOrNone,
    TupleOf,
)
from skae._validation import check_ranges
from skae.metrics import AlarmCost
from skae.model_selection import (
    AlarmFilter,
    FalseAlarmRate,
    FBeta,
    RecallAtPrecision,
    TunedThresholdDetector,
)

OWNERS = [
    AutoencoderOutlierDetector,
    AlarmCost,
    AlarmFilter,
    FalseAlarmRate,
    FBeta,
    RecallAtPrecision,
    TunedThresholdDetector,
]
RANGES = {
    f"{owner.__name__}-{name}": allowed.among(("a", "b"))
    if isinstance(allowed, Registered)
    else allowed
    for owner in OWNERS
    for name, allowed in owner._ranges.items()
}
NUMBERS = {name: r for name, r in RANGES.items() if isinstance(r, (Float, Int))}

floats = st.floats(-1e6, 1e6)
anything = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.complex_numbers(),
    st.fractions(),
    st.decimals(),
    st.text(),
    st.binary(),
    st.lists(st.one_of(st.integers(), st.floats(), st.text())),
    st.tuples(st.floats(), st.floats()),
    st.dictionaries(st.text(), st.integers()),
    st.sampled_from([np.zeros(2), np.zeros((2, 2)), np.array(1), len, dict, object()]),
)


class Unhashable:
    __hash__ = None

    def __call__(self):
        """Be callable."""


@pytest.mark.parametrize("owner", OWNERS)
def test_every_parameter_has_a_range(owner):
    assert list(owner._ranges) == list(inspect.signature(owner).parameters)


def test_every_keyword_of_calibrate_has_a_range():
    parameters = inspect.signature(AutoencoderOutlierDetector.calibrate).parameters
    keywords = [p.name for p in parameters.values() if p.kind is p.KEYWORD_ONLY]
    assert list(AutoencoderOutlierDetector._calibrate_ranges) == keywords


def test_registered_parameters_are_those_that_have_registries():
    ranges = AutoencoderOutlierDetector._ranges
    registered = {n for n, allowed in ranges.items() if isinstance(allowed, Registered)}
    assert registered == set(CHOICES)


@pytest.mark.parametrize("owner", OWNERS)
def test_documentation_and_range_have_the_same_interval(owner):
    for parameter in ClassDoc(owner)["Parameters"]:
        described = " ".join(parameter.desc)
        written = re.findall(r"[(\[]-?[\d.]+, [\d.]+[)\]]", described)
        allowed = owner._ranges[parameter.name]
        if written and isinstance(allowed, (Float, Int)):
            assert written == [allowed.interval], parameter.name


@given(floats, floats, st.sampled_from("[("), st.sampled_from("])"))
def test_ends_belong_to_an_interval_as_its_brackets_say(low, high, left, right):
    low, high = sorted((low, high))
    allowed = Float(f"{left}{low}, {high}{right}")
    if low == high:
        assert allowed.accepts(low) == (left == "[" and right == "]")
        return
    assert allowed.accepts(low) == (left == "[")
    assert allowed.accepts(high) == (right == "]")
    assert not allowed.accepts(np.nextafter(low, -np.inf))
    assert not allowed.accepts(np.nextafter(high, np.inf))
    if np.nextafter(low, np.inf) < high:
        assert allowed.accepts(np.nextafter(low, np.inf))
        assert allowed.accepts(np.nextafter(high, -np.inf))


@given(st.integers(-(10**9), 10**9))
def test_whole_numbers_lie_between_their_ends(number):
    assert Int("[1, inf)").accepts(number) == (number >= 1)
    assert Float("[1, inf)").accepts(number) == (number >= 1)
    assert not Int("(-inf, inf)").accepts(float(number))


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize(
    "value",
    [np.nan, np.inf, -np.inf, np.float32("nan"), np.float64("inf"), "1", None, 1j],
)
def test_what_is_no_finite_number_is_refused(name, value):
    assert not NUMBERS[name].accepts(value)


@pytest.mark.parametrize("name", NUMBERS)
def test_bools_are_no_numbers_but_of_verbose(name):
    is_verbose = name == "AutoencoderOutlierDetector-verbose"
    for value in (True, False):
        assert NUMBERS[name].accepts(value) == is_verbose
    assert not NUMBERS[name].accepts(np.True_)


@given(st.integers(min_value=2**1024), st.sampled_from([1, -1]))
def test_numbers_beyond_floats_are_refused(number, sign):
    for allowed in (Int("(-inf, inf)"), Float("(-inf, inf)")):
        assert not allowed.accepts(sign * number)
        assert not TupleOf(allowed).accepts((sign * number,))
        assert not OrPair(allowed).accepts(sign * number)
    assert not Float("(-inf, inf)").accepts(sign * Fraction(2 * number + 1, 2))


@pytest.mark.parametrize("code", np.typecodes["AllInteger"] + np.typecodes["Float"])
def test_numpy_scalars_are_numbers(code):
    one = np.dtype(code).type(1)
    assert Float("(0, 1]").accepts(one)
    assert Int("[1, inf)").accepts(one) == (code in np.typecodes["AllInteger"])
    assert TupleOf(Float("(0, 1]")).accepts(np.array([one, one]))
    assert OrPair(Float("(0, 1]")).accepts((one, one))
    assert not Float("(0, 1)").accepts(one)


@given(st.lists(st.integers(-3, 3)))
def test_tuples_lists_and_vectors_are_accepted_by_their_elements(sizes):
    allowed = TupleOf(Int("[1, inf)"))
    expected = all(size >= 1 for size in sizes)
    assert allowed.accepts(tuple(sizes)) == expected
    assert allowed.accepts(sizes) == expected
    assert allowed.accepts(np.array(sizes, dtype=int)) == expected
    assert not allowed.accepts(set(sizes))
    assert not allowed.accepts(np.array([sizes], dtype=int))


@given(st.floats(-1, 1), st.floats(-1, 1))
def test_pairs_ascend_within_the_interval(low, high):
    allowed = OrPair(Float("(0, 1)"))
    expected = 0 < low <= high < 1
    assert allowed.accepts((low, high)) == allowed.accepts([low, high]) == expected
    assert allowed.accepts(low) == (0 < low < 1)
    assert not allowed.accepts((low,))
    assert not allowed.accepts((low, low, low))


@given(anything)
def test_no_value_is_too_strange_for_an_answer(value):
    for allowed in RANGES.values():
        assert allowed.accepts(value) in (True, False)
        assert isinstance(allowed.wanted(value), str)


def test_names_callables_and_none_are_accepted_where_allowed():
    plain, generous = OneOf(("a", "b")), OneOf(("a", "b"), True, True)
    for allowed in (plain, generous):
        assert allowed.accepts("a")
        assert allowed.accepts(np.str_("b"))
        assert not allowed.accepts("c")
        assert not allowed.accepts(("a",))
    # Classes are hashable even where their instances are not.
    for value in (None, len, dict, Unhashable):
        assert generous.accepts(value)
        assert not plain.accepts(value)
    assert not generous.accepts(Unhashable())
    assert Registered(or_none=True).among("ab") == OneOf("ab", or_none=True)


def test_flags_strings_and_alternatives():
    assert Flag().accepts(True)
    assert Flag().accepts(np.False_)
    assert not Flag().accepts(0)
    assert StrOrNone().accepts(None)
    assert StrOrNone().accepts("cpu")
    assert not StrOrNone().accepts(0)
    assert OrAuto(Int("[1, inf)")).accepts("auto")
    assert not OrAuto(Int("[1, inf)")).accepts("many")
    assert not OrAuto(Int("[1, inf)")).accepts(0)
    assert OrNone(Int("[1, inf)")).accepts(None)
    assert not OrNone(Int("[1, inf)")).accepts(0)
    assert Anything().accepts(object())


COUNT, HALF = Int("[1, inf)"), Float("(0, 0.5]")


@pytest.mark.parametrize(
    ("allowed", "value", "text"),
    [
        (COUNT, 0, "an int in the range [1, inf)"),
        (HALF, "a", "a float in the range (0, 0.5]"),
        (Flag(), 1, "a bool"),
        (StrOrNone(), 3, "None or a str"),
        (TupleOf(COUNT), 5, "a tuple, each element an int in the range [1, inf)"),
        (OrNone(COUNT), 0, "an int in the range [1, inf)"),
        (OrAuto(HALF), "a", "'auto' or a float in the range (0, 0.5]"),
        (OrAuto(HALF), 3, "a float in the range (0, 0.5]"),
        (
            OrPair(HALF),
            3,
            "a float in the range (0, 0.5] or a pair (low, high) of them",
        ),
        (OneOf({"b": 1, "a": 2}), "c", "one of 'a', 'b'"),
        (OneOf("ab", or_none=True), "c", "one of 'a', 'b' or None"),
        (OneOf("ab", or_callable=True), None, "one of 'a', 'b' or a callable"),
        (
            OneOf("ab", or_callable=True),
            Unhashable(),
            "hashable, as functions and classes are",
        ),
    ],
)
def test_texts_of_messages(allowed, value, text):
    assert not allowed.accepts(value)
    assert allowed.wanted(value) == text


OPTIMIZERS = "one of 'adam', 'adamw', 'sgd' or a callable"


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("latent_dim", 0, "an int in the range [1, inf)"),
        ("max_iter", "many", "'auto' or an int in the range [1, inf)"),
        ("trim", 0.5, "a float in the range [0, 0.5)"),
        ("optimizer", None, OPTIMIZERS),
        ("missing", "drop", "one of 'error', 'mask'"),
    ],
)
def test_detectors_name_parameter_range_and_value(name, value, text):
    with pytest.raises(ValueError) as caught:
        checked_parameters(AutoencoderOutlierDetector(**{name: value}))
    assert str(caught.value) == (
        f"The {name!r} parameter of AutoencoderOutlierDetector must be {text}. "
        f"Got {value!r} instead."
    )


@pytest.mark.parametrize(
    ("make", "name", "text"),
    [
        (lambda: AlarmCost(tolerance=-1), "tolerance", "an int in the range [0, inf)"),
        (lambda: FBeta(-1), "beta", "a float in the range (0, inf)"),
        (lambda: RecallAtPrecision(-1), "precision", "a float in the range (0, 1]"),
        (lambda: FalseAlarmRate(-1), "rate", "a float in the range [0, 1)"),
        (
            lambda: AlarmFilter(IsolationForest(), holdout=-1).fit([[0]], [1]),
            "holdout",
            "a float in the range (0, 1)",
        ),
        (
            lambda: TunedThresholdDetector(IsolationForest(), refit=-1).fit([[0]]),
            "refit",
            "a bool",
        ),
    ],
)
def test_other_owners_name_themselves(make, name, text):
    with pytest.raises(
        ValueError, match=rf"The '{name}' parameter of \w+ must be "
    ) as caught:
        make()
    assert str(caught.value).endswith(f" must be {text}. Got -1 instead.")
    assert any(owner.__name__ in str(caught.value) for owner in OWNERS)


def test_subclasses_name_themselves_and_may_have_parameters_of_their_own():
    class Narrow(AutoencoderOutlierDetector):
        def __init__(self, latent_dim=2, color="red"):
            super().__init__(latent_dim=latent_dim)
            self.color = color

    values = vars(Narrow(latent_dim=0))
    with pytest.raises(ValueError, match="'latent_dim' parameter of Narrow must"):
        check_ranges(Narrow(), values, CHOICES)
    check_ranges(Narrow(), vars(Narrow()), CHOICES)
