"""Steps: the prediction holds, and equal losses are what they are for."""

from __future__ import annotations

import numpy as np
import pytest

from pesoleve.quantizers.gptq import Inputs, quantize_gptq
from pesoleve.quantizers.steps import predicted_loss, rank_factors, relative_step, rms_steps

from .matrices import correlated_hessian, weights

FISHER = np.random.default_rng(3).uniform(0.1, 2, 24)


def test_steps_follow_the_spread_of_blocks() -> None:
    steps = rms_steps(weights(), 32, 0.5)
    spread = np.sqrt(np.square(weights().reshape(24, 4, 32)).mean(axis=2))
    assert steps.shape == (24, 4)
    assert np.allclose(steps, spread * 0.5, rtol=1 / 16)


def test_an_empty_block_has_a_step() -> None:
    weight = weights()
    weight[0, :32] = 0
    assert (rms_steps(weight, 32) > 0).all()


def test_the_loss_is_predicted() -> None:
    hessian = correlated_hessian()
    steps = rms_steps(weights(), 64, 0.4)
    inputs = Inputs.of(hessian, act_order=True)
    tensor = quantize_gptq(weights(), inputs, 8, 64, step=steps)
    change = weights() - tensor.dequantize()
    damped = hessian + 0.01 * np.diag(hessian).mean() * np.eye(len(hessian))  # as GPTQ sees it
    measured = float(((change @ damped) * change).sum(axis=1) @ FISHER / 2)
    assert measured == pytest.approx(predicted_loss(steps, inputs, FISHER), rel=0.15)


def test_a_relative_step_gives_the_loss_asked_for() -> None:
    inputs = Inputs.of(correlated_hessian())
    base = rms_steps(weights(), 64, mantissa_bits=10)
    relative = relative_step(predicted_loss(base, inputs, FISHER), base.size * 64, 1e-6)
    loss = predicted_loss(base * np.float32(relative), inputs, FISHER)
    assert loss == pytest.approx(1e-6 * base.size * 64, rel=1e-4)


def test_rank_factors_are_finer_for_frequent_rows() -> None:
    factors = rank_factors(1000, 0.25)
    assert factors.shape == (1000, 1) and (np.diff(factors[:, 0]) > 0).all()
    assert np.log(factors).mean() == pytest.approx(0, abs=1e-5)
