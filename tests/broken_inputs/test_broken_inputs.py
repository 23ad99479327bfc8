"""Whatever is broken is refused with a sentence that names it, or made again; nothing is published and nothing is lost."""

from pathlib import Path

import pytest

from platform_assets.environment import REPOSITORY
from tests.broken_inputs import declarations, exports, in_s3, questions, services, settings, stored, teachers
from tests.broken_inputs.world import Broken, World
from tests.support.answered import Answered

ROWS = (
    *exports.ROWS,
    *in_s3.ROWS,
    *teachers.ROWS,
    *declarations.ROWS,
    *stored.ROWS,
    *questions.ROWS,
    *settings.ROWS,
    *services.ROWS,
)
PAGE = REPOSITORY / "docs" / "reference" / "broken-inputs.md"


@pytest.mark.slow
@pytest.mark.parametrize("row", [pytest.param(row, id=row.what.replace(" ", "_")) for row in ROWS])
def test_is_refused_by_name_or_healed_and_nothing_is_published_or_lost(
    row: Broken, answered: Answered, tmp_path: Path
) -> None:
    world = World.copied(answered, tmp_path / "world")
    whole = world.kept()
    broken = row.break_it(world)
    before, published = world.kept(), world.published()
    within = broken.relative_to(world.data).as_posix() if broken and broken.is_relative_to(world.data) else None
    said = row.meet(world)
    print(said)
    after = world.kept()
    if row.healed:
        assert said == ""
        assert within is None or after[within] == whole[within]
    else:
        assert said, "nothing was refused"
        missing = [word for word in row.names if word not in said]
        assert not missing, f"{missing} are not named in: {said}"
        assert broken is None or broken.name in said, f"{broken} is not named in: {said}"
        assert "Traceback" not in said
    lost = {name for name in before if name != within and before[name] not in after.values()}
    assert not lost, "what was there before is nowhere any more"
    assert {name: after.get(name) for name in published if name != within} == {
        name: content for name, content in published.items() if name != within
    }


def test_the_documentation_lists_every_one() -> None:
    listed = [line.split("|")[1].strip() for line in PAGE.read_text(encoding="utf-8").splitlines() if line[:2] == "| "]
    assert [row.what for row in ROWS] == listed[1:]
    assert len(ROWS) >= 40
