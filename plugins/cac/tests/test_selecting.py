"""What is known of a voxel decides which terms may use it, and no batch gives a loss that is no number."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
import torch
from cac_team import Given, Team
from toolkit_cac.selecting import TERMS, seen_again
from toolkit_cac.spoco import SpocoLoss

from toolkit.api import PlainUNet, Truth

SHAPE = (12, 16)
VOXELS = torch.zeros(1, 1, *SHAPE)


class Slow(Team):
    """A team whose average is not what its networks are now, and which remembers what it was asked for."""

    def averaged(self, name: str) -> Mapping[str, torch.Tensor]:
        self.seen.append(("averaged", ()))
        return {key: 0.9 * value for key, value in super().averaged(name).items()}


def scene() -> np.ndarray:
    """Two annotated objects, a column of known background, the rest unannotated."""
    labels = np.full(SHAPE, -1, np.int32)
    labels[2:6, 2:6], labels[7:11, 3:8], labels[:, -2:] = 1, 2, 0
    return labels


def team(shape: tuple[int, ...] = SHAPE, batch: int = 1, step: int = 0) -> Slow:
    torch.manual_seed(0)
    heads = {"affinities": torch.randn(batch, 5, *shape), "foreground": torch.randn(batch, 1, *shape)}
    return Slow({"network": Given(**heads)}, step, 10)


def batch(*labels: np.ndarray, loss: SpocoLoss, void: np.ndarray | None = None) -> dict[str, torch.Tensor]:
    each = [loss.targets(Truth.from_layers(one[None], void)) for one in labels]
    return {name: torch.from_numpy(np.stack([targets[name] for targets in each])) for name in each[0]}


def terms(members: Slow, loss: SpocoLoss, targets: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    (phase,) = loss.phases()
    torch.manual_seed(1)
    voxels = torch.zeros(len(targets["objects"]), 1, *targets["objects"].shape[2:])
    found: dict[str, torch.Tensor] = phase.build()(members, voxels, targets)
    return found


def pulls(members: Slow, term: torch.Tensor, head: str = "affinities") -> np.ndarray:
    """Where a term moves a head."""
    given = members.modules["network"].heads[head]
    (gradient,) = torch.autograd.grad(term, given, retain_graph=True, allow_unused=True)
    return np.zeros(given.shape[2:], bool) if gradient is None else (gradient[0] != 0).any(0).numpy()


def values(terms: Mapping[str, torch.Tensor]) -> dict[str, float]:
    return {name: float(term.detach()) for name, term in terms.items()}


def test_what_is_known_of_a_voxel_decides_which_terms_may_use_it() -> None:
    loss, members, labels = SpocoLoss(), team(), scene()
    void = np.zeros(SHAPE, bool)
    void[:2] = True
    found = terms(members, loss, batch(labels, loss=loss, void=void))
    objects, free, background = labels > 0, (labels == -1) & ~void, (labels == 0) & ~void
    assert set(found) == {*TERMS, "foreground"}
    for name in ("pull", "push", "short"):
        where = pulls(members, found[name])
        assert where.any(), name
        assert not where[~objects].any(), f"{name} moves what is in no object"
    assert pulls(members, found["rest"])[free].any()
    assert pulls(members, found["rest"])[background].any()
    assert not pulls(members, found["consistency"])[~free].any(), "only what is unannotated agrees with its copy"
    assert pulls(members, found["consistency"])[free].any()
    for name in found:
        assert not pulls(members, found[name], "foreground" if name == "foreground" else "affinities")[void].any(), name


def test_a_network_learns_from_the_average_and_the_average_from_nobody() -> None:
    loss, members = SpocoLoss(), team()
    found = terms(members, loss, batch(scene(), loss=loss))
    assert ("averaged", ()) in members.seen
    assert float(found["consistency"].detach()) > 0
    same = Team(members.modules, 0, 10)
    (phase,) = loss.phases()
    torch.manual_seed(1)
    again = phase.build()(same, VOXELS, batch(scene(), loss=loss))
    assert float(again["consistency"].detach()) == pytest.approx(0, abs=1e-6), "nothing differs from itself"
    assert not members.modules["network"].bare


def test_without_consistency_nobody_is_asked_twice() -> None:
    loss, members = SpocoLoss(consistency=0), team()
    found = terms(members, loss, batch(scene(), loss=loss))
    assert [name for name, _ in members.seen] == ["network"]
    assert float(found["consistency"].detach()) == 0


@pytest.mark.parametrize("step", [0, 9])
@pytest.mark.parametrize("labels", [np.full(SHAPE, -1, np.int32), np.zeros(SHAPE, np.int32), np.ones(SHAPE, np.int32)],
                         ids=["unannotated", "background", "one object"])  # fmt: skip
def test_no_batch_gives_a_loss_that_is_no_number(labels: np.ndarray, step: int) -> None:
    loss = SpocoLoss()
    for size in (1, 2):
        members = team(batch=size, step=step)
        total = sum(terms(members, loss, batch(*[labels] * size, loss=loss)).values())
        assert torch.isfinite(total)
        total.backward()
        assert all(torch.isfinite(p.grad).all() for p in members.modules["network"].parameters() if p.grad is not None)


def test_all_of_a_batch_void_moves_nothing() -> None:
    loss, members = SpocoLoss(), team()
    sum(terms(members, loss, batch(scene(), loss=loss, void=np.ones(SHAPE, bool))).values()).backward()
    assert not any(p.grad is not None and p.grad.any() for p in members.modules["network"].parameters())


def test_an_image_without_objects_does_not_thin_out_the_others() -> None:
    loss = SpocoLoss(consistency=0, foreground=False)
    bare = np.full(SHAPE, -1, np.int32)
    alone = terms(team(), loss, batch(scene(), loss=loss))
    members = team()
    heads = members.modules["network"].heads
    heads["affinities"].data = torch.cat([heads["affinities"].data] * 2)
    beside = terms(members, loss, batch(scene(), bare, loss=loss))
    assert values(beside) == pytest.approx(values(alone))


def test_ids_mean_nothing() -> None:
    loss, labels = SpocoLoss(), scene()
    other = np.where(labels > 0, 40 - 3 * labels, labels).astype(np.int32)
    one, two = (terms(team(), loss, batch(each, loss=loss)) for each in (labels, other))
    assert values(one) == values(two)


def test_planes_are_a_volume_of_one_plane() -> None:
    loss = SpocoLoss(foreground=False, consistency=0)
    flat = terms(team(), loss, batch(scene(), loss=loss))
    deep = terms(team((1, *SHAPE)), loss, batch(scene()[None], loss=loss))
    assert values(flat) == pytest.approx(values(deep))


def test_in_the_second_half_what_may_be_an_object_is_no_background() -> None:
    loss, labels = SpocoLoss(), np.full((40, 48), -1, np.int32)
    labels[4:10, 4:10] = 1
    for step in (0, 9):
        members = team(labels.shape, step=step)
        head = members.modules["network"].heads["foreground"]
        head.data.fill_(-3.0)
        head.data[..., 30, 30] = 3.0
        found = pulls(members, terms(members, loss, batch(labels, loss=loss))["foreground"], "foreground")
        assert found[5, 5]
        assert found[20, 30]
        assert found[30, 30] == (step == 0)


def test_another_view_has_another_light_and_contrast_in_each_image() -> None:
    torch.manual_seed(0)
    voxels = torch.rand(2, 1, 64, 64)
    view = seen_again(voxels, 0.2)
    gain = [np.polyfit(v.flatten().numpy(), w.flatten().numpy(), 1) for v, w in zip(voxels, view, strict=True)]
    assert all(0.75 < g < 1.25 for g, _ in gain)
    assert abs(gain[0][0] - gain[1][0]) > 0.01
    assert torch.equal(seen_again(voxels, 0.0), voxels)


def test_a_network_without_distances_is_refused() -> None:
    with pytest.raises(ValueError, match=r"set network\.reach=4"):
        SpocoLoss().members(PlainUNet(), 2)


def test_margins_that_leave_nothing_apart_are_refused() -> None:
    with pytest.raises(ValueError, match="beyond must be more than within"):
        SpocoLoss(within=2.0)
