"""What a model weighs, from its configuration or a count: what ``pesoleve weigh`` and the page's
calculator have in common."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from .architecture import TensorShape, tensors_of
from .beside import Beside, beside_weights
from .catalog import Parameters, Shape, WeightClass
from .formats import USUAL
from .model_config import ConfigError
from .sizing import Estimate, count_parameters, estimate, published_shape, weight_class

QUANTITY = re.compile(
    r"\s*(\d{1,20}(?:\.\d{1,20})?(?:e\d{1,2})?)\s*([a-z]*)\s*", re.IGNORECASE | re.ASCII
)
UNITS = {"": 1, "K": 1e3, "M": 1e6, "B": 1e9, "T": 1e12}


@dataclass(frozen=True)
class Weighed:
    """``dtypes``: each with its bytes; ``beside`` what all have, where the shape is known."""

    parameters: Parameters
    weight_class: WeightClass
    dtypes: dict[str, Estimate]
    beside: Beside | None


def weigh_tensors(
    tensors: list[TensorShape], shape: Shape | None, dtypes: Iterable[str] = USUAL
) -> Weighed:
    parameters = count_parameters(tensors)
    beside = None if shape is None else beside_weights(shape)
    found = estimate(tensors, shape, dtypes)
    return Weighed(parameters, weight_class(parameters.total), found, beside)


def weigh_config(config: Mapping[str, Any], dtypes: Iterable[str] = USUAL) -> Weighed:
    """Weigh what a ``config.json`` describes, tensor by tensor, in ``dtypes`` of ``DTYPES``.

    Raises:
        ConfigError: where its family or a key is unknown, missing or no count.
    """
    tensors = tensors_of(config)
    try:
        shape = published_shape(config)
    except ValueError as error:
        raise ConfigError("lacks_key", str(error).rpartition(" ")[2]) from error
    return weigh_tensors(tensors, shape, dtypes)


def weigh_count(text: str, dtypes: Iterable[str] = USUAL) -> Weighed:
    """Weigh ``2B`` or ``22.7M`` parameters, all in the blocks of matrices.

    Raises:
        ConfigError: when ``text`` is no count.
    """
    count = round(read_quantity(text, UNITS))
    if count > 1e15:
        raise ConfigError("not_a_count", detail=text.strip())
    one = TensorShape("weights", "matrix", (-(-count // 256), 256))
    return Weighed(
        Parameters(count, count, 0), weight_class(count), estimate([one], None, dtypes), None
    )


def read_quantity(text: str, units: Mapping[str, float]) -> float:
    """Read ``2.5B`` with the unit's worth.

    Raises:
        ConfigError: when ``text`` is no number with one of the units.
    """
    match = QUANTITY.fullmatch(text)
    if match is None or match.group(2).upper() not in units:
        raise ConfigError("not_a_count", detail=text.strip()[:40])
    return float(match.group(1)) * units[match.group(2).upper()]
