"""What rows become on their way through a network."""

import jax.numpy as jnp
from jax import Array

from skae.core.blocks import Block, View
from skae.core.gaussian import Statistics


def _codes(rows: Block, own: Statistics) -> Array:
    del own
    return rows.code


def _reconstructions(rows: Block, own: Statistics) -> Array:
    del own
    return rows.restored


def _decoded(codes: Block, own: Statistics) -> Array:
    del own
    return codes.network.decode(codes.x)


def _residuals(rows: Block, own: Statistics) -> Array:
    del own
    return jnp.hypot(rows.residual, rows.away)


def _representation(rows: Block, own: Statistics) -> Array:
    del own
    return represented(rows)


def represented(rows: Block) -> Array:
    """Residual and code side by side."""
    return jnp.concatenate([rows.residual, rows.code], axis=-1)


# Code of each row.
CODES = View(_codes)

# Output of the network for each row, in missing cells too.
RECONSTRUCTIONS = View(_reconstructions)

# Output of the decoder for each code.
DECODED = View(_decoded)

# Root of the per-feature errors: residual and displacement in quadrature.
RESIDUALS = View(_residuals)

# Residual and code side by side.
REPRESENTATION = View(_representation)
