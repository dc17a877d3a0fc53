"""Which channel is seen: 24 arrangements, of which a third are real files, each right or said to be a guess."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from toolkit import io
from toolkit.errors import InputError
from toolkit.steps.channels import SAMPLE, look
from toolkit.steps.choice import Learnt, choose
from toolkit.values.image import Image

REAL = Path(__file__).parents[2] / "golden" / "channels"
NUCLEI = io.read(REAL / "nuclei-1.png").read()[0]
DARK = np.zeros_like(NUCLEI)
OTHER = np.roll(NUCLEI[::-1], 31, axis=1)
NOISE = np.random.default_rng(0).integers(0, 4, NUCLEI.shape).astype(np.uint8)
KNOWS = ("haematoxylin",)


def of(*channels: np.ndarray, names: tuple[str, ...] = ()) -> Image:
    return Image(np.stack(channels), "CYX", channel_names=names)


def real(name: str) -> Image:
    return io.read(REAL / f"{name}.png")


def shipped(name: str) -> Image:
    """A real image that comes with scikit-image."""
    spec = find_spec("skimage")
    assert spec is not None
    assert spec.origin is not None
    return io.read(Path(spec.origin).parent / "data" / name)


Wanted = tuple[int, ...] | str | None
"""The right channels; None where nothing tells, so that a note must say so."""
ARRANGEMENTS: dict[str, tuple[Callable[[], Image], Wanted]] = {
    "one channel": (lambda: real("nuclei-1"), (0,)),
    "one channel, another image": (lambda: real("nuclei-2"), (0,)),
    "one channel, a third": (lambda: real("nuclei-3"), (0,)),
    "one channel, phase contrast": (lambda: shipped("cell.png"), (0,)),
    "stained tissue": (lambda: real("tissue-1"), "haematoxylin"),
    "stained tissue, densely": (lambda: real("tissue-2"), "haematoxylin"),
    "stained tissue, pale": (lambda: real("tissue-3"), "haematoxylin"),
    "stained tissue, purple": (lambda: real("tissue-4"), "haematoxylin"),
    "immunohistochemistry": (lambda: shipped("ihc.png"), "haematoxylin"),
    "in red": (lambda: of(NUCLEI, DARK, DARK), (0,)),
    "in green": (lambda: of(DARK, NUCLEI, DARK), (1,)),
    "in blue": (lambda: of(DARK, DARK, NUCLEI), (2,)),
    "in blue of a JPEG": (lambda: of(NOISE, NOISE, NUCLEI), (2,)),
    "in the second of two": (lambda: of(np.full_like(DARK, 9), NUCLEI), (1,)),
    "in a sample beside colours that are dark": (lambda: of(DARK, DARK, DARK, NUCLEI), (3,)),
    "in all three, equally": (lambda: of(NUCLEI, NUCLEI, NUCLEI), (0,)),
    "inverted in all three": (lambda: of(255 - NUCLEI, 255 - NUCLEI, 255 - NUCLEI), (0,)),
    "named DAPI": (lambda: of(OTHER, OTHER, NUCLEI, names=("GFP", "RFP", "DAPI")), (2,)),
    "named Hoechst 33342": (lambda: of(OTHER, NUCLEI, names=("actin", "Hoechst 33342")), (1,)),
    "named H2B-mCherry": (lambda: of(OTHER, NUCLEI, names=("membrane", "H2B-mCherry")), (1,)),
    "named nuclei, though another is brighter": (
        lambda: of(OTHER, NUCLEI // 9, names=("Cells", "Nuclei (405)")), (1,),
    ),
    "a composite without names": (lambda: of(OTHER, NUCLEI.T, NUCLEI), None),
    "two channels without names": (lambda: of(OTHER, NUCLEI), None),
    "real numbers without names": (lambda: of(OTHER / 255, NUCLEI / 255, DARK / 255), None),
}  # fmt: skip


def test_there_are_24_arrangements() -> None:
    assert len(ARRANGEMENTS) == 24


@pytest.mark.parametrize("name", ARRANGEMENTS)
def test_the_right_channel_is_seen_or_a_note_says_that_it_is_a_guess(name: str) -> None:
    make, wanted = ARRANGEMENTS[name]
    choice = choose(make(), "auto", None, KNOWS)
    if wanted is None:
        assert "say --channel" in choice.note
    else:
        assert (choice.channels, choice.note) == (wanted, "")
    assert choice.said


def test_tissue_is_a_guess_for_a_network_that_does_not_know_it() -> None:
    choice = choose(real("tissue-1"), "auto")
    assert choice.channels == (0,)
    assert "say --channel haematoxylin" in choice.note


def test_channels_are_named_without_regard_to_case_and_a_wrong_name_gets_the_nearest() -> None:
    image = of(OTHER, NUCLEI, names=("Actin", "DAPI"))
    assert choose(image, ("dapi",)).channels == (1,)
    assert choose(image, ("DAPI", 0)).channels == (1, 0)
    assert choose(image, ("DAPI", 0)).said == "channels 1 (DAPI), 0 (Actin) of 2"
    with pytest.raises(InputError, match=r"no channel called 'DAPY'.*did you mean 'DAPI'"):
        choose(image, ("DAPY",))
    with pytest.raises(InputError, match="the file names none"):
        choose(of(OTHER, NUCLEI), ("DAPI",))


def test_a_channel_that_is_flat_while_another_is_not_is_said() -> None:
    assert (
        choose(of(DARK, DARK, NUCLEI), (0,)).note == "this channel is flat, but channel 2 of 3 is not: say --channel 2"
    )
    assert choose(of(DARK, DARK, NUCLEI), (0, 2)).note == ""
    assert choose(of(DARK, DARK), (0,)).note == ""


def test_what_was_learnt_goes_before_the_rule_by_name_then_by_number() -> None:
    learnt = Learnt(channels=(1,), of=2, names=("GFP",))
    assert choose(of(NUCLEI, OTHER, names=("GFP", "DAPI")), "auto", learnt).channels == (0,)
    assert choose(of(NUCLEI, OTHER), "auto", learnt).channels == (1,)
    assert choose(of(NUCLEI, OTHER, names=("DAPI", "RFP")), "auto", learnt).channels == (1,)
    assert choose(of(OTHER, OTHER, NUCLEI, names=("a", "b", "DAPI")), "auto", learnt).channels == (2,)
    assert choose(of(DARK, DARK, NUCLEI), "auto", Learnt(channels=(0,), of=1)).channels == (2,)
    assert choose(real("tissue-1"), "auto", Learnt(channels="grey", of=3)).channels == "grey"
    with pytest.raises(InputError, match=r"takes channels \[0, 1\] of 2 and this image has 3"):
        choose(of(OTHER, OTHER, NUCLEI), "auto", Learnt(channels=(0, 1), of=2))


def test_grey_stands_for_itself_where_a_stain_is_wanted() -> None:
    for image in (of(NUCLEI), of(NUCLEI, NUCLEI, NUCLEI)):
        assert choose(image, "haematoxylin").channels == (0,)
    assert choose(real("tissue-1"), "haematoxylin").channels == "haematoxylin"


@pytest.mark.parametrize("shape", [(4000, 3000), (40, 900, 700)])
def test_of_a_large_image_pieces_are_looked_at_that_lie_all_over_it(shape: tuple[int, ...]) -> None:
    at = np.indices(shape, sparse=True)
    voxels = sum(at)[None].astype(np.uint16)  # type: ignore[call-overload]
    sample = look(Image(voxels, "CZYX"[:1] + "ZYX"[-len(shape) :]))
    assert sample.size <= 2 * SAMPLE
    assert (sample.min(), sample.max()) == (0, sum(shape) - len(shape))


def test_a_piece_of_tissue_without_bare_ground_is_stained_tissue_too() -> None:
    piece = shipped("ihc.png").read()[:, :200, :240]
    assert choose(Image(piece, "CYX"), "auto", None, KNOWS).channels == "haematoxylin"


@pytest.mark.parametrize(
    ("names", "seen"),
    [
        (("GFP", "NucBlue"), 1),
        (("GFP", "NucSpot Live 488"), 1),
        (("cytoplasm (no DAPI)", "propidium iodide"), 1),
        (("without Hoechst", "w/o DAPI", "nuclei"), 2),
        (("not DNA", "TO-PRO-3"), 1),
        (("no stain, DAPI", "GFP"), 0),
    ],
)
def test_a_name_may_say_that_it_shows_no_nuclei(names: tuple[str, ...], seen: int) -> None:
    choice = choose(of(*[NOISE] * len(names), names=names), "auto")
    assert (choice.channels, choice.note) == ((seen,), "")
