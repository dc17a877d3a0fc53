"""What the operating system refuses is a sentence with a cure that fits."""

import errno

import pytest

from toolkit.cli.failure import explain


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "No space left on device: output; free space or choose"),
        (OSError(errno.EACCES, "Permission denied", "a/b"), "Permission denied: a/b; see who may read and write there"),
        (OSError(errno.EROFS, "Read-only file system", "a"), "Read-only file system: a; free space or choose"),
    ],
)
def test_a_refusal_of_the_system_names_place_and_cure(error: OSError, said: str) -> None:
    line, code = explain(error)
    assert line.startswith(said)
    assert line.endswith("choose another path")
    assert code == 7
