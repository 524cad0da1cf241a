"""Where JAX computes."""

from contextlib import AbstractContextManager, nullcontext

import jax

from skae.core.errors import Refusal


def device_context(device: str | None) -> AbstractContextManager[None]:
    """Context in which JAX computes on the named platform."""
    if device is None:
        return nullcontext()
    try:
        return jax.default_device(jax.devices(device)[0])
    except RuntimeError as error:
        wanted = "None or a platform that JAX has here"
        raise Refusal("device", wanted, device) from error
