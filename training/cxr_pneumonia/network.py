"""The network: a small residual CNN whose logit is the mean of its class activation map."""

import torch
from torch import Tensor, nn
from torch.nn import functional

WIDTHS = (24, 40, 80, 128)


class AntiAliasingStem(nn.Module):
    """Blurs and halves the picture, then standardises it by its own mean and deviation.

    The fixed binomial kernel removes most of what lies above a quarter of the sampling rate, the
    band in which the compression history of the published files shows. Standardising inside the
    graph makes the answer independent of exposure and contrast; it would also hide an input of
    the wrong range, which is why the input is first clipped to the range that was promised.
    """

    kernel: Tensor

    def __init__(self) -> None:
        super().__init__()
        row = torch.tensor([1.0, 6.0, 15.0, 20.0, 15.0, 6.0, 1.0])
        kernel = torch.outer(row, row) / row.sum() ** 2
        self.register_buffer("kernel", kernel[None, None])

    def forward(self, image: Tensor) -> Tensor:
        """A (n, 1, 112, 112) picture of mean 0 and deviation 1, from one of 224x224 in [0, 1]."""
        # Zero padding darkens the two outer pixels; replicate keeps the border as it is.
        padded = functional.pad(image.clamp(0, 1), (3, 3, 3, 3), mode="replicate")
        half = functional.conv2d(padded, self.kernel, stride=2)
        centred = half - half.mean(dim=(2, 3), keepdim=True)
        variance = (centred * centred).mean(dim=(2, 3), keepdim=True)
        return centred / torch.sqrt(variance + 1e-4)


class SqueezeExcite(nn.Module):
    """Weighs channels by what the whole picture shows (Hu et al., 2018)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.reduce = nn.Conv2d(channels, channels // 8, 1)
        self.expand = nn.Conv2d(channels // 8, channels, 1)

    def forward(self, features: Tensor) -> Tensor:
        """The features, (n, channels, rows, columns), each channel scaled to between 0 and 1."""
        summary = features.mean(dim=(2, 3), keepdim=True)
        weights = torch.sigmoid(self.expand(functional.relu(self.reduce(summary))))
        return features * weights


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with squeeze and excitation, beside a shortcut."""

    def __init__(self, channels_in: int, channels: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels_in, channels, 3, stride, 1, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels, channels, 3, 1, 1, bias=False),
            nn.BatchNorm2d(channels),
            SqueezeExcite(channels),
        )
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or channels_in != channels:
            self.shortcut = nn.Sequential(
                nn.AvgPool2d(stride) if stride != 1 else nn.Identity(),
                nn.Conv2d(channels_in, channels, 1, bias=False),
                nn.BatchNorm2d(channels),
            )

    def forward(self, features: Tensor) -> Tensor:
        """Features of shape (n, channels, rows / stride, columns / stride)."""
        return functional.relu(self.body(features) + self.shortcut(features))


class PneumoniaNet(nn.Module):
    """From pictures (n, 1, 224, 224) in [0, 1] to an activation map (n, 1, 14, 14).

    The logit of the class is the map's mean: each cell holds its own share of the evidence.
    """

    def __init__(self, dropout: float = 0.2) -> None:
        super().__init__()
        first, second, third, last = WIDTHS
        self.stem = AntiAliasingStem()
        self.trunk = nn.Sequential(
            nn.Conv2d(1, first, 5, 2, 2, bias=False),
            nn.BatchNorm2d(first),
            nn.ReLU(inplace=True),
            ResidualBlock(first, second, 2),
            ResidualBlock(second, second, 1),
            ResidualBlock(second, third, 2),
            ResidualBlock(third, third, 1),
            ResidualBlock(third, last, 1),
        )
        self.dropout = nn.Dropout2d(dropout)
        self.classifier = nn.Conv2d(last, 1, 1)

    def forward(self, image: Tensor) -> Tensor:
        """The activation map (n, 1, 14, 14)."""
        activation_map: Tensor = self.classifier(self.dropout(self.trunk(self.stem(image))))
        return activation_map


class CalibratedEnsemble(nn.Module):
    """The mean of several networks' maps, Platt-scaled: what is exported.

    ``logits`` is the mean of ``activation_map`` over its cells, so that a heat map drawn from the
    map shows exactly what the probability was made of.
    """

    def __init__(self, members: list[PneumoniaNet], slope: float, intercept: float) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        self.slope = slope
        self.intercept = intercept

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """``logits`` (n, 1) and ``activation_map`` (n, 1, 14, 14)."""
        total = self.members[0](image)
        for member in list(self.members)[1:]:
            total = total + member(image)
        activation_map = total * (self.slope / len(self.members)) + self.intercept
        return activation_map.mean(dim=(2, 3)), activation_map
