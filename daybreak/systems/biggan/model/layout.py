"""How wide the two networks are at each resolution, and where they attend (Brock et al. 2019, appendix B)."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise


@dataclass(frozen=True, kw_only=True)
class Original:
    """What the authors' PyTorch code does otherwise. All off: each is a deviation in README.md, tested against it."""

    fixed_output_eps: bool = False
    """The generator's last batch norm has an epsilon of 1e-5, whatever ``norm_eps`` says."""
    attends_after_every_block: bool = False
    """At 32 pixels the discriminator's blocks all count as 16 pixels wide: asked for 16, it attends after each."""
    biased_variance: bool = False
    """Running variances are of the batch, not the estimate of the population's (the code's own batch norm)."""
    plain_resampling: bool = False
    """Images are enlarged before a convolution and pooled after it, in steps of their own."""


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """What the shape of both networks depends on. Images are (channels, resolution, resolution)."""

    resolution: int
    channels: int = 3
    num_classes: int
    ch: int = 64
    """Channels that the widths below are multiples of."""
    deep: bool = False
    """BigGAN-deep: bottleneck blocks, ``depth`` of them a stage (appendix B.2)."""
    depth: int = 2
    attention: tuple[int, ...] = ()
    """Resolutions after whose blocks the networks attend."""
    dim_z: int = 120
    shared_dim: int = 128
    """Width of the one class embedding of G; 0 gives each of its batch norms a table of its own."""
    hier: bool = True
    """Hierarchical latent: each block sees a part of z. BigGAN-deep shows each block all of it, whatever this says."""
    wide: bool = True
    """The hidden width of D's blocks is their output's, not their input's."""
    power_steps: int = 1
    spectral_eps: float = 1e-6
    norm_eps: float = 1e-5
    original: Original = field(default_factory=Original)


@dataclass(frozen=True)
class Stage:
    """Blocks at one resolution: G's enlarge at the end of a stage, D's shrink at its beginning."""

    inputs: int
    outputs: int
    resample: bool
    attend: bool
    """Attend after the stage."""


# Multiples of ch from the first map of 4 x 4 pixels on, a stage each. 8 and 16 are ours, by the pattern of 32.
GENERATOR = {
    8: (4, 4),
    16: (4, 4, 4),
    32: (4, 4, 4, 4),
    64: (16, 16, 8, 4, 2),
    128: (16, 16, 8, 4, 2, 1),
    256: (16, 16, 8, 8, 4, 2, 1),
    512: (16, 16, 8, 8, 4, 2, 1, 1),
}
# Multiples of ch after each stage, and how many of the stages shrink. BigGAN-deep has a stem of the width of the first
# and begins with the second, but at up to 32 pixels, where all are equally wide.
DISCRIMINATOR = {
    8: ((4, 4, 4), 1),
    16: ((4, 4, 4), 2),
    32: ((4, 4, 4, 4), 2),
    64: ((1, 2, 4, 8, 16), 4),
    128: ((1, 2, 4, 8, 16, 16), 5),
    256: ((1, 2, 4, 8, 8, 16, 16), 6),
    512: ((1, 1, 2, 4, 8, 8, 16, 16), 7),
}


def generator_stages(a: Architecture) -> list[Stage]:
    """The generator's stages, of which each doubles the side, from 4 pixels on."""
    widths = [a.ch * multiple for multiple in GENERATOR[a.resolution]]
    return [
        Stage(inputs, outputs, True, 8 * 2**i in a.attention) for i, (inputs, outputs) in enumerate(pairwise(widths))
    ]


def discriminator_stages(a: Architecture) -> list[Stage]:
    """The discriminator's stages. Of those with the same resolution the first attends."""
    multiples, shrinking = DISCRIMINATOR[a.resolution]
    outputs = [a.ch * multiple for multiple in multiples]
    inputs = [a.channels, *outputs]
    if a.deep:
        inputs, outputs = outputs, outputs[1:]
    sides = [a.resolution // 2 ** min(i + 1, shrinking) for i in range(len(outputs))]
    first = [side in a.attention and side not in sides[:i] for i, side in enumerate(sides)]
    if a.original.attends_after_every_block and a.resolution == 32:
        first = [16 in a.attention] * len(outputs)
    return [
        Stage(before, after, i < shrinking, attend)
        for i, (before, after, attend) in enumerate(zip(inputs, outputs, first, strict=False))
    ]


def latent_chunk(a: Architecture) -> int:
    """Width of the part of z that each block of G sees, as its first layer does; 0 where z is not parted."""
    return 0 if a.deep or not a.hier else a.dim_z // len(GENERATOR[a.resolution])


def latent_size(a: Architecture) -> int:
    """Width of z: ``dim_z``, less what does not go into equal parts."""
    return latent_chunk(a) * len(GENERATOR[a.resolution]) or a.dim_z
