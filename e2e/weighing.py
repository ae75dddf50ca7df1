"""A verdict from ``pesoleve.weigh``, for tests of what it says."""

from __future__ import annotations

from typing import Any

WEIGH = "return await pesoleve.weigh(argument.id, argument);"
"""Of a model's id, and options, as the argument."""

JUDGE = """
  const { judge } = await import(new URL('../js/verdict.js', location.href));
  const { chooseDevice } = await import(new URL('../js/device.js', location.href));
  const { readLimits } = await import(new URL('../js/limits.js', location.href));
  const models = await pesoleve.catalog();
  return await Promise.all(argument.map(async ({ id, ...given }) => {
    const model = models.find((candidate) => candidate.id === id);
    const choice = { ...(await chooseDevice('wasm', model, model.default_dtype)), ...given.choice };
    const limits = { ...(await readLimits(false)), device_memory: 16e9, quota: 1e12, ...given.limits };
    const plan = { model: 10e6, total: 20e6, stored: 0, ...given.plan };
    const rates = { compute: 12e9, float32: 20e9, int8: 16e9, threads: 2 };
    const network = { value: 1e6, low: 5e5, high: 2e6 };
    const gpu = { compute: 1e12, float32: 1e11, blocks: 5e10, dispatch: 1e-5, turn: 5e-4 };
    const device = { choice, limits, rates, gpu, network, pairs: [], surrogate: null };
    return judge({ model, dtype: model.default_dtype, plan, ...device, ...given.basis });
  }));
"""
"""Of a list of models' ids, each with what is to be otherwise than on a roomy, middling device."""


def reasons(verdict: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {reason["code"]: reason for reason in verdict["reasons"]}
