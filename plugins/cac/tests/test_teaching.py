"""Who teaches whom, where, and that nobody does where nothing is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from cac_team import Given, Team
from toolkit_cac import criteria
from toolkit_cac.branches import Branches
from toolkit_cac.judge import Judging
from toolkit_cac.loss import CacLoss
from torch import nn

from toolkit.api import PluginError, Truth
from toolkit.testing import blobs

SHAPE = (40, 48)


def batch(labels: np.ndarray, loss: CacLoss) -> dict[str, torch.Tensor]:
    targets = loss.targets(Truth.from_layers(labels[None]))
    return {name: torch.from_numpy(np.ascontiguousarray(target))[None] for name, target in targets.items()}


def sparse() -> np.ndarray:
    labels = blobs(SHAPE, count=6, radius=(4.0, 6.0), seed=3).truth.layers[0]
    return np.where(labels == 1, 1, -1).astype(np.int32)


def team(seed: int = 0, step: int = 9, steps: int = 10, wrong: float = -1.0, kept: int = 0) -> Team:
    torch.manual_seed(seed)
    own = Given(affinities=torch.rand(1, 10, *SHAPE), foreground=torch.randn(1, 1, *SHAPE))
    other = Given(affinities=2 * torch.randn(1, 10, *SHAPE))
    judge = Given(wrong=torch.full((1, 10, *SHAPE), wrong))
    return Team({"network": own, "explicit": other, "judge": judge}, step, steps, kept)


VOXELS = torch.zeros(1, 1, *SHAPE)


def test_a_lesson_is_detached_and_reaches_the_pupil_alone() -> None:
    loss, members = CacLoss(teaching="ungated"), team()
    terms = Branches(loss, together=True)(members, VOXELS, batch(sparse(), loss))
    for term, pupil, teacher in (("own_taught", "network", "explicit"), ("other_taught", "explicit", "network")):
        learnt = [members.modules[name].heads["affinities"] for name in (pupil, teacher)]
        mine, theirs = torch.autograd.grad(terms[term], learnt, retain_graph=True, allow_unused=True)
        assert mine.abs().sum() > 0
        assert theirs is None


def test_only_pairs_that_no_annotation_decides_are_taught() -> None:
    loss, members = CacLoss(teaching="ungated"), team()
    targets = batch(sparse(), loss)
    terms = Branches(loss, together=True)(members, VOXELS, targets)
    (pull,) = torch.autograd.grad(terms["own_taught"], members.modules["network"].heads["affinities"])
    assert not pull[targets["affinities"] != -1].any()
    assert pull[targets["affinities"] == -1].abs().min() >= 0
    assert (pull[targets["affinities"] == -1] != 0).float().mean() > 0.9


@pytest.mark.parametrize("wrong", [-1.0, 1.0])
def test_the_judge_filters_every_channel_and_no_lesson_is_left_where_it_trusts_none(wrong: float) -> None:
    loss, members = CacLoss(teaching="full"), team(wrong=wrong)
    terms = Branches(loss, together=True)(members, VOXELS, batch(sparse(), loss))
    pull = torch.autograd.grad(terms["own_taught"], members.modules["network"].heads["affinities"], allow_unused=True)[
        0
    ]
    taught = np.zeros(10, bool) if pull is None else (pull != 0).flatten(2).any(2)[0].numpy()
    assert taught.all() if wrong < 0 else not taught.any()
    assert (float(terms["own_taught"].detach()) > 0) == (wrong < 0)


def test_the_judge_sees_all_channels_at_once_or_one_after_the_other() -> None:
    for judge, shapes in (("all", [(1, 21, *SHAPE)]), ("each", [(1, 3, *SHAPE)] * 10)):
        loss, members = CacLoss(teaching="full", judge=judge), team()
        if judge == "each":
            members.modules["judge"] = Given(wrong=torch.full((1, 1, *SHAPE), -1.0))
        Branches(loss, together=True)(members, VOXELS, batch(sparse(), loss))
        assert [shape for name, shape in members.seen if name == "judge"] == shapes * 2


def test_the_surest_pairs_are_a_share_of_each_channel() -> None:
    p = torch.rand(2, 3, 20, 20, generator=torch.Generator().manual_seed(0))
    free = torch.rand(2, 3, 20, 20, generator=torch.Generator().manual_seed(1)) < 0.7
    free[:, 2] = False
    uncertainty = criteria.entropy(p)
    chosen = criteria.surest(uncertainty, free, 0.25)
    assert not chosen[~free].any()
    for k in range(2):
        assert int(chosen[:, k].sum()) == round(0.25 * int(free[:, k].sum()))
        assert uncertainty[:, k][chosen[:, k]].max() <= uncertainty[:, k][free[:, k] & ~chosen[:, k]].min()
    assert torch.equal(criteria.surest(uncertainty, free, 1.0), free)


@pytest.mark.parametrize("teaching", ["none", "ungated", "entropy", "full"])
@pytest.mark.parametrize("labels", [np.full(SHAPE, -1, np.int32), np.zeros(SHAPE, np.int32), sparse()],
                         ids=["unannotated", "background", "sparse"])  # fmt: skip
def test_no_batch_gives_a_loss_that_is_no_number(teaching: str, labels: np.ndarray) -> None:
    loss, members = CacLoss(teaching=teaching), team(kept=2)
    targets = batch(labels, loss)
    modules = [phase.build() for phase in loss.phases()]
    for module in modules:
        terms = module(members, VOXELS, targets)
        total = sum(terms.values())
        assert torch.isfinite(total)
        total.backward()
        for member in members.modules.values():
            assert all(p.grad is None or torch.isfinite(p.grad).all() for p in member.parameters())


def test_a_batch_without_annotated_pairs_does_not_move_the_supervised_branch() -> None:
    loss, members = CacLoss(teaching="none"), team()
    terms = Branches(loss, together=False)(members, VOXELS, batch(np.full(SHAPE, -1, np.int32), loss))
    sum(terms.values()).backward()
    assert not any(p.grad is not None and p.grad.any() for p in members.modules["network"].parameters())


def test_a_judge_without_earlier_states_of_the_branches_is_refused() -> None:
    loss = CacLoss()
    with pytest.raises(PluginError, match="no weights of this network were kept"):
        Judging(loss)(team(kept=0), VOXELS, batch(sparse(), loss))


def test_the_judge_learns_where_an_affinity_is_wrong_on_annotated_pairs_alone() -> None:
    loss, members = CacLoss(), team(kept=1)
    targets = batch(sparse(), loss)
    optimiser = torch.optim.Adam(members.modules["judge"].parameters(), lr=0.5)
    members.modules["explicit"] = members.modules["network"]  # one map, whichever branch is drawn
    members.modules["network"].heads["affinities"].data = torch.rand(1, 10, *SHAPE)
    begun = members.modules["judge"].heads["wrong"].detach().clone()
    for _ in range(30):
        optimiser.zero_grad()
        Judging(loss)(Rated(members), VOXELS, targets)["judge"].backward()
        optimiser.step()
    found = members.modules["judge"].heads["wrong"].detach()
    wanted, said = targets["affinities"], members.modules["network"].heads["affinities"].detach()
    known = wanted >= 0
    assert torch.equal(found[known] > 0, ((said >= 0.5) != (wanted == 1))[known])
    assert torch.equal(found[~known], begun[~known])


class Rated(Team):
    """Both branches say probabilities, so that either name gives one map."""

    def __init__(self, team: Team) -> None:
        super().__init__(team.modules, kept=1)

    def __call__(self, name: str, voxels: torch.Tensor, weights: object = None) -> dict[str, torch.Tensor]:
        heads = super().__call__(name, voxels)
        return {**heads, "affinities": heads["affinities"].logit()} if name == "explicit" else heads


def test_ones_and_zeros_count_alike_in_the_supervised_loss() -> None:
    wanted = torch.full((1, 1, 10, 10), 1)
    wanted[..., :2] = 0
    said = torch.full((1, 1, 10, 10), 0.5, requires_grad=True)
    criteria.supervised(said, wanted, torch.ones(1)).backward()
    ones, zeros = said.grad[wanted == 1].sum(), said.grad[wanted == 0].sum()
    assert float(ones) == pytest.approx(-float(zeros))


def test_what_lies_around_objects_reaches_as_far_as_the_radius() -> None:
    inside = torch.zeros(2, 1, 9, 9, dtype=torch.bool)
    inside[:, :, 4, 4] = True
    found = criteria.around(inside, torch.tensor([[1.0, 2.0], [0.0, 0.0]]))
    assert int(found[0].sum()) == 15
    assert found[0, 0, 3:6, 2:7].all()
    assert found[1].all(), "without a radius everything may be near"


def test_the_foreground_does_not_collapse_where_few_objects_are_annotated() -> None:
    scene = blobs((64, 64), count=8, radius=(5.0, 7.0), seed=1)
    truth = scene.truth.layers[0]
    loss = CacLoss(teaching="none", offsets=((0, -1), (-1, 0)))
    targets = batch(np.where(truth == 1, 1, -1).astype(np.int32), loss)
    voxels = torch.from_numpy(scene.image.read().astype(np.float32))[None] / 50 - 1
    rated = Bright()
    optimiser = torch.optim.Adam(rated.parameters(), lr=0.1)
    for together in (False, True):
        module = Branches(loss, together=together)
        for _ in range(150):
            optimiser.zero_grad()
            module(Team({"network": rated}), voxels, targets)["foreground"].backward()
            optimiser.step()
        found = (rated(voxels)["foreground"] > 0)[0, 0].numpy()
        assert found[truth > 0].mean() > 0.9, "objects that nobody annotated are foreground too"
        assert found[truth == 0].mean() < 0.1


def test_what_may_be_an_object_is_no_background_in_the_last_phase() -> None:
    loss = CacLoss(teaching="none")
    labels = np.full(SHAPE, -1, np.int32)
    labels[4:10, 4:10] = 1
    members, targets = team(), batch(labels, loss)
    head = members.modules["network"].heads["foreground"]
    head.data.fill_(-3.0)
    head.data[..., 30, 30] = 3.0
    for together in (False, True):
        term = Branches(loss, together=together)(members, VOXELS, targets)["foreground"]
        pull = torch.autograd.grad(term, head)[0][0, 0] != 0
        assert pull[20, 20]
        assert pull[30, 30] != together
        assert pull[30, 32] != together, "nor is what is within a radius of it"
        assert pull[4, 12] != together, "nor what is beside an annotated object"
        assert pull[5, 5]


class Bright(nn.Module):
    """Foreground by brightness alone."""

    def __init__(self) -> None:
        super().__init__()
        self.out = nn.Conv2d(1, 1, 1)

    def forward(self, voxels: torch.Tensor) -> dict[str, torch.Tensor]:
        zeros = torch.zeros(1, 2, *voxels.shape[2:])
        return {"foreground": self.out(voxels), "affinities": zeros + 0 * self.out(voxels)}


def test_teaching_rises_in_the_last_phase() -> None:
    loss = CacLoss(teaching="ungated", ramp=0.5)
    values = []
    for step in (0, 4, 9):
        members = team(step=step, steps=10)
        terms = Branches(loss, together=True)(members, VOXELS, batch(sparse(), loss))
        values.append(float(terms["own_taught"].detach()))
    assert values[0] == pytest.approx(values[2] / 5)
    assert values[1] == pytest.approx(values[2])
