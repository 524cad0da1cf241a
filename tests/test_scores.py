"""A new energy is one file and one line: defined here, and used in every way."""

import pickle

import jax.numpy as jnp
import numpy as np
import pytest

from skae.core.scores import SCORES
from skae.core.scores.combination import Combination, Statistic
from skae.core.scores.combining import SOFT_MAXIMUM
from skae.core.scores.energy import Energy, Score
from skae.core.scores.reconstruction import RECONSTRUCTION
from skae.io import load, save, to_onnx
from skae.testing import count_compilations

# An energy as a file of its own would hold it: the largest deviation of a row from the
# median of a column.


def measure(rows, own):
    deviations = jnp.abs(rows.standardised - own["median"])
    if rows.observed is not None:
        deviations = jnp.where(rows.observed, deviations, 0.0)
    return jnp.max(deviations, axis=-1) + jnp.max(jnp.abs(rows.units_away), axis=-1)


def fit(sample, restored):
    return {"median": np.nanmedian(sample.standardised, axis=0).astype(np.float32)}


def keeps(found, network):
    return (Statistic("median", (network.n_features,)),)


def usual(sample, restored, own):
    return np.nanmax(np.abs(sample.standardised - own["median"]), axis=1) ** 2


TOY = Energy(
    measure, needs_network=False, prefix="toy_", fit=fit, keeps=keeps, usual=usual
)

# One of the network: the residual of the feature that is restored best.


def measure_best(rows, own):
    return jnp.take(jnp.hypot(rows.residual, rows.away), own["best"][0], axis=-1)


def fit_best(sample, restored):
    best = np.nanmean(restored.squared, axis=0).argmin()
    return {"best": np.array([best], np.int32)}


def keeps_best(found, network):
    return (Statistic("best", (1,), np.int32),)


def usual_best(sample, restored, own):
    return np.nan_to_num(restored.squared[:, own["best"][0]])


BEST = Energy(
    measure_best, prefix="best_", fit=fit_best, keeps=keeps_best, usual=usual_best
)

MEAN = Combination(lambda energies, statistics: energies.mean(axis=1))
NAMES = ["toy", "both", "mean"]


@pytest.fixture(autouse=True)
def registered(monkeypatch):
    monkeypatch.setitem(SCORES, "toy", Score((TOY,)))
    both = Score((RECONSTRUCTION, BEST, TOY), SOFT_MAXIMUM)
    monkeypatch.setitem(SCORES, "both", both)
    monkeypatch.setitem(SCORES, "mean", Score((RECONSTRUCTION, TOY), MEAN))


@pytest.mark.parametrize("score", NAMES)
def test_a_new_energy_fits_masks_ensembles_saves_and_pickles(
    score, blobs, small, tmp_path
):
    rows, outliers = blobs
    incomplete = rows.copy()
    incomplete[:100, 2] = np.nan
    detector = small(
        anomaly_score=score, missing="mask", n_estimators=2, max_iter=20
    ).fit(incomplete)
    scores = detector.score_samples(outliers)
    assert np.median(scores) < np.median(detector.score_samples(rows))
    assert (detector.score_samples(incomplete) <= 1e9).all()
    np.testing.assert_array_equal(detector.score_samples(outliers[5:6]), scores[5:6])
    save(detector, tmp_path / "a")
    for other in (load(tmp_path / "a"), pickle.loads(pickle.dumps(detector))):
        np.testing.assert_array_equal(other.score_samples(outliers), scores)
    for batch in np.array_split(rows, 3):
        detector.partial_fit(batch)
    assert np.isfinite(detector.score_samples(incomplete)).all()


def test_a_new_energy_is_its_formula(blobs, small):
    rows, _ = blobs
    detector = small(anomaly_score="toy", validation_fraction=0.0).fit(rows)
    u = (rows - rows.mean(axis=0)) / rows.std(axis=0)
    expected = -(np.abs(u - np.median(u, axis=0)).max(axis=1) ** 2)
    np.testing.assert_allclose(detector.score_samples(rows), expected, rtol=1e-4)


def test_a_new_energy_without_a_network_compiles_for_no_architecture(blobs, small):
    rows, _ = blobs
    small(anomaly_score="toy").fit(rows).score_samples(rows[:3])
    other = small(anomaly_score="toy", latent_dim=5).fit(rows)
    with count_compilations() as counts:
        other.score_samples(rows[:3])
    assert not counts


@pytest.mark.parametrize("score", NAMES)
def test_onnx_refuses_an_energy_without_a_form_by_the_name_of_the_score(
    score, blobs, small
):
    detector = small(anomaly_score=score).fit(blobs[0])
    with pytest.raises(ValueError, match=f"anomaly_score='{score}' cannot be exported"):
        to_onnx(detector, blobs[0])


def test_files_with_wrong_statistics_of_a_new_energy_are_refused(
    blobs, small, tmp_path
):
    detector = small(anomaly_score="toy").fit(blobs[0])
    detector.statistics_ = detector.statistics_ | {"toy_median": np.zeros((1, 9), "f4")}
    with pytest.raises(ValueError, match="statistics do not have the shapes"):
        save(detector, tmp_path / "a")


def test_energies_without_a_usual_size_cannot_be_combined():
    bare = Energy(measure, needs_network=False, fit=fit, keeps=keeps)
    with pytest.raises(TypeError, match="what is usual"):
        Score((RECONSTRUCTION, bare), SOFT_MAXIMUM)


def test_energies_do_not_overwrite_each_other(blobs, small, monkeypatch):
    monkeypatch.setitem(SCORES, "both", Score((TOY, TOY), MEAN))
    with pytest.raises(TypeError, match="'toy_median': give them prefixes"):
        small(anomaly_score="both").fit(blobs[0])


def test_what_an_energy_is_fitted_to_does_not_depend_on_its_company(
    blobs, small, monkeypatch
):
    seen = []

    def fit_and_tell(sample, restored):
        seen.append((len(sample.X), len(restored.both)))
        return fit_best(sample, restored)

    few = Energy(
        measure_best,
        prefix="few_",
        fit=fit_and_tell,
        keeps=keeps_best,
        n_rows=lambda width: 50,
    )
    for others in ((), (TOY,), SCORES["joint"].energies):
        monkeypatch.setitem(SCORES, "both", Score((few, *others), MEAN))
        small(anomaly_score="both").fit(blobs[0])
    assert seen == [(50, 50)] * 3


@pytest.mark.parametrize("bottleneck", ["plain", "adversarial"])
def test_a_score_needs_what_its_energies_need(bottleneck, blobs, small, monkeypatch):
    monkeypatch.setitem(SCORES, "both", Score((*SCORES["elbo"].energies, TOY), MEAN))
    message = f"'variational' with anomaly_score='both'. Got '{bottleneck}'"
    with pytest.raises(ValueError, match=message):
        small(anomaly_score="both", bottleneck=bottleneck).fit(blobs[0])
    detector = small(anomaly_score="both", bottleneck="variational").fit(blobs[0])
    assert np.isfinite(detector.score_samples(blobs[1])).all()
