"""The projection's arithmetic, on machines whose answer is known."""

from __future__ import annotations

import pytest

from daybreak.systems.dawnbench.imagenet.config import imagenet_93
from daybreak.systems.dawnbench.imagenet.projection import Machine, Work, project, training_flops, work_of


def test_the_resnet_50_takes_three_times_4_1_billion_multiplications_an_image() -> None:
    flops = training_flops(imagenet_93(), 224, 1000)
    forward = 2 * 4.089e9  # torchvision's count of multiply-adds, two FLOPs each
    stem = 2 * 112 * 112 * 64 * 3 * 7 * 7  # whose input needs no gradient
    assert flops == pytest.approx(3 * forward - stem, rel=2e-3)


def test_the_work_is_that_of_28_epochs() -> None:
    work = work_of(imagenet_93())
    assert sum(phase.images for phase in work) == 28 * 1_281_167
    assert [phase.flops_per_image / work[1].flops_per_image for phase in work] == pytest.approx(
        [(128 / 224) ** 2, 1, (288 / 224) ** 2], rel=1e-2
    )


def test_the_slower_of_computing_and_reading_counts_in_each_phase() -> None:
    work = [Work(128, 0.08, 1000.0, 2_000), Work(224, 0.08, 1000.0, 20_000)]  # 2 and 20 million FLOPs
    machine = Machine("toy", gpus=2, peak=1e6, share=0.5, cores=4, price_per_hour=36.0)
    told = project(work, machine, [50.0, 50.0])
    assert told.computing == [2.0, 20.0] and told.reading == [5.0, 5.0]
    assert told.seconds == 25.0 and told.cost == 0.25
