"""Where JAX computes, and under which of its settings."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, TypeVar

import jax

from skae.core.errors import Refusal

Result = TypeVar("Result")

# Packages that bring platforms to JAX.
EXTRAS = {"cuda": "jax[cuda13]", "gpu": "jax[cuda13]", "tpu": "jax[tpu]"}

# Settings of JAX, each of which would change results, or raise errors in the middle of
# a training: what is computed under, and how it is set.
SETTINGS: dict[str, tuple[Any, Callable[[Any], Any]]] = {
    "jax_enable_x64": (False, jax.enable_x64),
    "jax_disable_jit": (False, jax.disable_jit),
    "jax_debug_nans": (False, jax.debug_nans),
    "jax_debug_infs": (False, jax.debug_infs),
    "jax_numpy_rank_promotion": ("allow", jax.numpy_rank_promotion),
    "jax_numpy_dtype_promotion": ("standard", jax.numpy_dtype_promotion),
    "jax_threefry_partitionable": (True, jax.threefry_partitionable),
    "jax_transfer_guard": ("allow", jax.transfer_guard),
    "jax_transfer_guard_host_to_device": ("allow", jax.transfer_guard_host_to_device),
    "jax_transfer_guard_device_to_host": ("allow", jax.transfer_guard_device_to_host),
}

# The process that computed first: JAX's threads do not live on in a forked child,
# where its locks may be held for ever.
_first_process: int | None = None


@contextmanager
def device_context(device: str | None) -> Iterator[None]:
    """Compute on the named platform, under the settings that results depend on."""
    _check_process()
    with pinned():
        if device is None:
            yield
            return
        try:
            chosen = jax.default_device(jax.devices(device)[0])
        except RuntimeError as error:
            raise Refusal("device", _wanted(device), device) from error
        with chosen:
            yield


@contextmanager
def pinned() -> Iterator[None]:
    """Set what a user may have set otherwise, in this thread and block alone."""
    with ExitStack() as stack:
        for name, (value, setting) in SETTINGS.items():
            if getattr(jax.config, name) not in (value, None):
                stack.enter_context(setting(value))
        yield


def carried(work: Callable[..., Result]) -> Callable[..., Result]:
    """Return the work for other threads: each of them has settings of its own."""
    device = jax.config.jax_default_device  # type: ignore[attr-defined, unused-ignore]

    def done(*args: Any) -> Result:
        with pinned(), jax.default_device(device):
            return work(*args)

    return done


def _check_process() -> None:
    """Refuse to compute in a fork of a process that has computed: it would hang."""
    global _first_process
    if _first_process is None:
        _first_process = os.getpid()
    if _first_process != os.getpid():
        raise RuntimeError(
            "skae has computed in this process before it was forked, and JAX would "
            "hang in the fork. Start processes with the method 'spawn' or "
            "'forkserver', as joblib does, or let the first fit or score happen "
            "after the fork; a loaded detector may be passed on."
        )


def _wanted(device: str) -> str:
    """Say what JAX has here, and what would bring more."""
    here = ", ".join(repr(name) for name in sorted({d.platform for d in jax.devices()}))
    wanted = f"None or a platform that JAX has here: {here}"
    if device in EXTRAS:
        wanted += f" ({device!r} comes with {EXTRAS[device]})"
    return wanted
