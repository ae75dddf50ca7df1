"""GPTQ: less output error than rounding to nearest, at the same bits and block."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from pesoleve.blocks import BlockTensor
from pesoleve.quantizers.gptq import (
    Inputs,
    inverse_factor,
    output_error,
    quantize_gptq,
    towards_source,
)
from pesoleve.quantizers.rtn import from_scales, quantize_rtn
from pesoleve.quantizers.steps import rms_steps

from .matrices import correlated_hessian, weights


def loss(tensor: BlockTensor) -> float:
    return output_error(weights(), tensor.dequantize(), correlated_hessian())


@pytest.mark.parametrize("act_order", [False, True])
@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize(("bits", "block"), [(2, 32), (3, 16), (3, 128), (4, 32), (6, 64)])
def test_outputs_are_nearer_than_with_rtn(
    bits: int, block: int, symmetric: bool, act_order: bool
) -> None:
    inputs = Inputs.of(correlated_hessian(), act_order=act_order)
    ours = quantize_gptq(weights(), inputs, bits, block, symmetric=symmetric)
    plain = quantize_rtn(weights(), bits, block, symmetric=symmetric)
    assert loss(ours) < 0.8 * loss(plain)
    assert (ours.block, ours.zero, ours.bits) == (plain.block, plain.zero, plain.bits)
    assert ours.q.max() < 2**bits


@pytest.mark.parametrize("act_order", [False, True])
def test_given_steps_are_kept_and_help_too(act_order: bool) -> None:
    steps = rms_steps(weights(), 64, 0.6)
    inputs = Inputs.of(correlated_hessian(), act_order=act_order)
    ours = quantize_gptq(weights(), inputs, 4, 64, step=steps)
    assert np.array_equal(ours.scale, steps.astype(np.float16))
    assert loss(ours) < 0.6 * loss(from_scales(weights(), steps.astype(np.float16), None, 4))


def test_uncorrelated_inputs_leave_plain_rounding() -> None:
    ours = quantize_gptq(weights(), Inputs.of(np.eye(128)), 4, 32)
    assert np.array_equal(ours.q, quantize_rtn(weights(), 4, 32, symmetric=True).q)


def test_an_input_that_is_always_zero_does_no_harm() -> None:
    hessian = correlated_hessian()
    hessian[5] = hessian[:, 5] = 0
    for some in (hessian, np.zeros((128, 128))):
        assert np.isfinite(quantize_gptq(weights(), Inputs.of(some), 3, 32).dequantize()).all()


def test_the_factor_is_of_the_inverse() -> None:
    hessian = correlated_hessian(32)
    upper = inverse_factor(hessian, 0.01).astype(np.float64)
    damped = hessian + 0.01 * np.diag(hessian).mean() * np.eye(32)
    assert np.allclose(upper.T @ upper @ damped, np.eye(32), atol=1e-4)
    assert not np.tril(upper, -1).any()


def test_weights_follow_the_source_s_outputs() -> None:
    rng = np.random.default_rng(4)
    source = rng.normal(size=(4000, 128))
    now = source @ (np.eye(128) + 0.05 * rng.normal(size=(128, 128)) / 8)
    hessian, drift = now.T @ now / 4000, (source - now).T @ now / 4000
    change = towards_source(weights(), hessian, drift)

    def error(weight: npt.NDArray[np.floating]) -> float:
        return float(np.square(source @ weights().T - now @ weight.T).mean())

    assert error(weights() + change) < 0.1 * error(weights())
    assert error(weights() + 0.5 * change) < 0.5 * error(weights())


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match="not for 128 inputs"):
        quantize_gptq(weights(), Inputs.of(np.eye(64)), 4, 32)
    with pytest.raises(ValueError, match="symmetric"):
        quantize_gptq(weights(), Inputs.of(np.eye(128)), 4, 32, symmetric=False, step=np.ones((24, 4)))
