"""Specs of multiscale DEQs (Bai, Koltun & Kolter 2020), in any of the sizes of the official repository."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Size:
    """One configuration; `parameters` is what the official implementation has."""

    channels: tuple[int, ...]
    head: tuple[int, ...]  # the bottlenecks of the classifier have a quarter of their outputs
    final: int
    classes: int
    image: int
    parameters: int
    expansion: int = 5
    affine: bool = False  # the normalisation after the fusion

    @property
    def halvings(self) -> int:
        """How often the image is halved before the first scale."""
        return 2 if self.image > 32 else 0


SIZES = {
    "cifar_tiny": Size((24, 24), (8, 16), 200, 10, 32, 158_890),
    "cifar_large": Size((32, 64, 128, 256), (14, 28, 56, 112), 1680, 10, 32, 11_097_438),
    "imagenet_small": Size((32, 64, 128, 256), (24, 48, 96, 192), 2048, 1000, 224, 16_808_936, affine=True),
    "imagenet_small_reg": Size((32, 64, 128, 256), (28, 56, 112, 224), 2048, 1000, 224, 18_613_496),
    "imagenet_large": Size((80, 160, 320, 640), (32, 64, 128, 256), 2048, 1000, 224, 67_063_624, affine=True),
    "imagenet_xl": Size((88, 176, 352, 704), (32, 64, 128, 256), 2048, 1000, 224, 90_463_280, 6, affine=True),
}

TEXT = """\
deqc: 1
name: Mdeq
input: {{x: [3, {size.image}, {size.image}]}}
constants: {{expansion: {size.expansion}, groups: 8, dropout: 0.25}}
scales: {scales}
blocks:
  conv3x3:
    params: {{out: null, stride: 1, bias: false}}
    body: {{conv2d: {{out: "${{out}}", kernel: 3, stride: "${{stride}}", padding: 1, bias: "${{bias}}",
                    weight_init: {{normal: 0.01}}, bias_init: {{normal: 0.01}}}}}}
  conv1x1:
    params: {{out: null, bias: false}}
    body: {{conv2d: {{out: "${{out}}", kernel: 1, bias: "${{bias}}",
                    weight_init: {{normal: 0.01}}, bias_init: {{normal: 0.01}}}}}}
  wn3x3:
    params: {{out: null}}
    body: {{conv2d: {{out: "${{out}}", kernel: 3, padding: 1, bias: false, parametrize: weight_norm,
                    weight_init: {{normal: 0.01}}}}}}
  residual_block:
    params: {{inject: {{default: null, type: value}}}}
    body:
      - residual:
        - {{wn3x3: "${{in.channels * expansion}}"}}
        - {{group_norm: "${{groups}}"}}
        - relu
        - {{wn3x3: "${{in.channels // expansion}}"}}
        - {{variational_dropout: {{p: "${{dropout}}", per: channel}}}}
        - {{sum: [identity, $inject]}}
        - {{group_norm: "${{groups}}"}}
      - relu
      - {{group_norm: "${{groups}}"}}
  bottleneck:
    params: {{planes: null}}
    body:
      - sum:
        - [{{conv1x1: "${{planes}}"}}, {{batch_norm: {{affine: false}}}}, relu,
           {{conv3x3: "${{planes}}"}}, {{batch_norm: {{affine: false}}}}, relu,
           {{conv1x1: "${{4 * planes}}"}}, {{batch_norm: {{affine: false}}}}]
        - [{{conv1x1: "${{4 * planes}}"}}, batch_norm]
      - relu
  to_next:
    params: {{planes: null}}
    body: [{{conv3x3: {{out: "${{4 * planes}}", stride: 2, bias: true}}}}, batch_norm, relu]
encoder:
  inject: [$x, {stem}]
main_layers: [{{residual_block: {{inject: $inject}}}}{others}]
mapping_layers:
  down:
    - repeat: {{times: "${{to.index - from.index - 1}}",
               body: [{{conv3x3: {{out: "${{from.channels}}", stride: 2}}}}, {{group_norm: "${{groups}}"}}, relu]}}
    - {{conv3x3: {{out: "${{to.channels}}", stride: 2}}}}
    - {{group_norm: "${{groups}}"}}
  up:
    - {{conv1x1: "${{to.channels}}"}}
    - {{group_norm: "${{groups}}"}}
    - {{upsample: "${{2 ** (from.index - to.index)}}"}}
post_fuse_layers:
  each:
    - relu
    - {{conv2d: {{out: "${{scale.channels}}", kernel: 1, bias: false, parametrize: weight_norm,
               weight_init: {{normal: 0.01}}}}}}
    - {{group_norm: {{groups: "${{groups // 2}}", affine: {affine}}}}}
head: [$z.0, {{bottleneck: {size.head[0]}}}, {joins}{{conv1x1: {{out: {size.final}, bias: true}}}}, batch_norm, relu,
       global_avg_pool, {{linear: {size.classes}}}]
solver: {{method: anderson, max_steps: 18}}
"""


def spec(size: Size) -> str:
    """The spec of that size."""
    first, side = size.channels[0], size.image >> size.halvings
    scales = [[channels, side >> k, side >> k] for k, channels in enumerate(size.channels)]
    stride = 2 if size.halvings else 1
    stem = f"{{conv3x3: {{out: {first}, stride: {stride}}}}}, batch_norm, relu, " * 2
    if size.halvings or len(scales) > 2:
        stem += f"{{conv1x1: {first}}}, batch_norm, relu, "
    return TEXT.format(
        size=size,
        scales=scales,
        stem=stem.removesuffix(", "),
        others=", residual_block" * (len(scales) - 1),
        affine=str(size.affine).lower(),
        joins="".join(
            f"{{sum: [{{to_next: {planes}}}, [$z.{k}, {{bottleneck: {planes}}}]]}}, "
            for k, planes in enumerate(size.head)
            if k
        ),
    )
