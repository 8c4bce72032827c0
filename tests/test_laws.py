"""Laws and marginals against sampling and quadrature."""

import math

import numpy as np
import pytest
from scipy import integrate, stats

from otlmc.laws import Gaussian, Laplace, Product, TruncatedGaussian, Uniform
from otlmc.marginals import GAUSSIAN, LAPLACE, UNIFORM, from_quantile, truncated_gaussian

ORACLES = {
    GAUSSIAN: stats.norm(),
    UNIFORM: stats.uniform(-math.sqrt(3), 2 * math.sqrt(3)),
    LAPLACE: stats.laplace(scale=1 / math.sqrt(2)),
    truncated_gaussian(2.0): stats.truncnorm(
        -2, 2, scale=1 / stats.truncnorm(-2, 2).std()
    ),
}  # fmt: skip


@pytest.mark.parametrize(("marginal", "law"), ORACLES.items(), ids=lambda v: getattr(v, "name", ""))
def test_marginals_against_scipy(marginal, law) -> None:
    u = np.linspace(0.001, 0.999, 101)
    assert marginal.quantile(u) == pytest.approx(law.ppf(u), abs=1e-12)
    assert law.var() == pytest.approx(1.0)
    assert marginal.entropy_power == pytest.approx(
        math.exp(2 * law.entropy()) / (2 * math.pi * math.e)
    )
    assert marginal.peak == pytest.approx(law.pdf(0.0))
    for edge in (0.2, 0.5, 0.95):
        partial, error = integrate.quad(law.ppf, 0, edge, limit=200)
        assert abs(marginal.integrated_quantile(np.array(edge)) - partial) <= error
    for cuts in (0, 1, 4):
        means = marginal.interval_means(cuts)
        assert means.shape == (2**cuts,)
        assert means.sum() == pytest.approx(0.0, abs=1e-12)
        assert marginal.profile(cuts) == pytest.approx(2 - 2 * np.mean(means**2))
    assert (marginal.drops > 0).all()
    if math.isfinite(marginal.lipschitz):
        z = np.linspace(-6, 4, 2001)  # the other tail lacks digits
        slope = np.diff(marginal.quantile(stats.norm.cdf(z))) / np.diff(z)
        assert slope.max() <= marginal.lipschitz * (1 + 1e-6)


@pytest.mark.parametrize("marginal", ORACLES, ids=lambda m: m.name)
def test_a_law_given_by_its_quantiles_is_the_same(marginal) -> None:
    given, variance = from_quantile("given", lambda u: 3 * marginal.quantile(u) + 1)
    assert variance == pytest.approx(9.0, rel=1e-6)
    for cuts in range(6):
        assert given.profile(cuts) == pytest.approx(marginal.profile(cuts), abs=2e-6)
    assert given.entropy_power == pytest.approx(marginal.entropy_power, rel=1e-5)
    assert given.peak == pytest.approx(marginal.peak, rel=1e-3)


@pytest.mark.parametrize(
    "law",
    [
        Gaussian(covariance=[[2.0, 0.8], [0.8, 1.0]]),
        Uniform(spectrum=[4.0, 0.25]),
        Laplace(2),
        TruncatedGaussian(spectrum=[1.0, 9.0], bound=1.0),
        Product([lambda u: -np.log1p(-u), lambda u: 2 * u]),
    ],
    ids=repr,
)
def test_samples_have_the_declared_covariance(law) -> None:
    x = law.sample(100_000, rng=0)
    basis = np.eye(law.dim) if law.basis is None else law.basis
    expected = basis @ np.diag(law.variances) @ basis.T
    products = x[:, :, None] * x[:, None, :]
    error = products.std(0) / math.sqrt(len(x))
    assert (np.abs(products.mean(0) - expected) <= 5 * error + 1e-12).all()
    assert np.array_equal(law.sample(5, rng=3), law.sample(5, rng=3))


def test_metric_is_the_distance_that_it_says() -> None:
    rng = np.random.default_rng(0)
    factor = rng.standard_normal((3, 3))
    law = Gaussian(covariance=[[2.0, 0.5, 0.0], [0.5, 1.0, 0.2], [0.0, 0.2, 0.7]])
    sigma = factor @ factor.T
    x = law.sample(200_000, rng)
    squares = np.einsum("ni,ij,nj->n", x, sigma, x)
    spread = 5 * squares.std() / math.sqrt(len(x))
    assert law.in_metric(sigma).variances.sum() == pytest.approx(squares.mean(), abs=spread)
    diagonal = Uniform(2).in_metric(np.diag([4.0, 9.0]))
    assert diagonal.variances.tolist() == [4.0, 9.0]
    assert diagonal.marginals == (UNIFORM,)


def test_blocks_group_equal_marginals_and_leave_out_zeros() -> None:
    exponential, ramp = (lambda u: -np.log1p(-u)), (lambda u: u)
    law = Product([exponential, ramp, exponential])
    assert [len(block.variances) for block in law.blocks] == [2, 1]
    assert [b.variances.tolist() for b in Gaussian(spectrum=[0.0, 2.0]).blocks] == [[2.0]]
