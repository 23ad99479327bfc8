"""The stranger's trial: from an empty folder and exports that the platform never saw to an audience and its report.

What a person does is counted: commands, and lines written by hand. The data is simulated and for education, as its readme
says; `tests.support.grocer` fetches it.
"""

import re
import resource
import shlex
import shutil
import time
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean

import pytest

from samples.datasets import user_cache
from tests.scaffold.conftest import Installed
from tests.support.grocer import FORMS, Form, NotFetched, grocer_tables, write_grocer
from tests.tiers import Draw

pytestmark = pytest.mark.slow
MOST_COMMANDS, MOST_LINES = 8, 15
# Of 8 households one, for those that run with every other test.
EVERY = 8
CAMPAIGN = """\
type: platform_assets.components.Campaign
attributes:
  owner: team:shop
  description: Households that will buy tropical fruit within 14 days
  entity: household
  label: {event: order_lines, where: product_category = 'TROPICAL FRUIT', within: 14d}
  train: {as_of: [2017-07-01, 2017-08-15, 2017-10-01]}
  score_at: 2017-11-15
  audience: {top: 25%}
"""
QUICK = f"""\
{CAMPAIGN.replace("2017-07-01, 2017-08-15, 2017-10-01", "2017-10-01")}\
  features: [orders_activity, order_lines_by_product_category]
  advanced: {{models: {{lightgbm: {{}}}}, folds: 2}}
"""


@dataclass
class Stranger:
    """Somebody in a folder, who types commands of the installed platform and of the shell.

    Attributes:
        begun: what `init` leaves, where another test has typed that.
    """

    installed: Installed
    folder: Path
    begun: Path | None = None
    typed: list[str] = field(default_factory=list)

    def types(self, command: str) -> str:
        """What a command says; it has to end well."""
        self.typed.append(command)
        words = shlex.split(command)
        if words[0] == "cd":
            self.folder = self.folder / words[1]
            return ""
        if words[1] == "init" and self.begun is not None:
            shutil.copytree(self.begun, self.folder / words[2])
            return ""
        done = self.installed.run(*words, folder=self.folder)
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        return done.stdout


@dataclass(frozen=True)
class Answer:
    """What the stranger was told, and where it lies."""

    said: str
    commands: int
    seconds: float
    cpu_seconds: float
    folder: Path

    def figures(self, name: str) -> list[float]:
        """The figures of a line of the answer, such as `held-out AUC`; dates are left out."""
        [line] = [line for line in self.said.splitlines() if line.strip().startswith(name)]
        return [float(figure) for figure in re.findall(r"(?<![\d.])0\.\d{3}", line)]


def ask(stranger: Stranger, form: Form, every: int, campaign: str, config: pytest.Config) -> Answer:
    """The whole way, as docs/tutorial/your-own-data.md goes it."""
    try:
        tables = grocer_tables(user_cache(), every)
    except NotFetched as error:
        leave = pytest.fail if config.option.require_programs else pytest.skip
        leave(f"no exports of a stranger's: {error}")
    write_grocer(stranger.folder / "exports", form, tables)
    began, spent = time.monotonic(), cpu_seconds()
    stranger.types("platform-assets init grocery")
    stranger.types("cd grocery")
    stranger.types("cp -r ../exports/grocer .data/lake/exports/")
    added = stranger.types("platform-assets source add grocer --from grocer --owner team:shop --yes")
    assert "gets household_id and ordered_at of orders through order_id" in added
    most = " --most 60" if campaign == CAMPAIGN else ""
    counted = stranger.types(f"platform-assets features suggest household --before 2017-07-01{most}")
    assert "ok order_lines.product_category: " in counted
    stranger.types("platform-assets new tropical")
    (stranger.folder / "defs" / "campaigns" / "tropical" / "defs.yaml").write_text(campaign)
    assert "ok tropical" in stranger.types("platform-assets check")
    said = stranger.types("platform-assets run tropical")
    answer = stranger.folder / ".data" / "audiences" / "tropical" / "2017-11-15"
    return Answer(said, len(stranger.typed), time.monotonic() - began, cpu_seconds() - spent, answer)


def cpu_seconds() -> float:
    """What commands that have ended took, with those that they started."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def check(answer: Answer, campaign: str) -> None:
    assert answer.commands <= MOST_COMMANDS
    assert len(campaign.splitlines()) <= MOST_LINES
    assert (answer.folder / "report.html").stat().st_size > 0
    header, *people = (answer.folder / "audience.csv").read_text().splitlines()
    assert "household_id" in header
    assert people


def tell(capsys: pytest.CaptureFixture[str], form: Form, answer: Answer) -> None:
    with capsys.disabled():
        held_out, out_of_fold = (answer.figures(f"{name} AUC") for name in ("held-out", "out-of-fold"))
        took = f"{answer.commands} commands, {answer.seconds:.0f} s, {answer.cpu_seconds:.0f} CPU-s"
        print(f"\n{form}: {took}; held-out AUC {held_out[0]}, out of fold {out_of_fold}")


def test_exports_never_seen_before_become_an_audience_by_a_few_commands_and_lines_of_yaml(
    installed: Installed,
    begun: Path,
    tmp_path: Path,
    draw: Draw,
    capsys: pytest.CaptureFixture[str],
    request: pytest.FixtureRequest,
) -> None:
    for number in draw(range(len(FORMS)), 1):
        form = FORMS[number]
        (folder := tmp_path / form).mkdir()
        answer = ask(Stranger(installed, folder, begun), form, EVERY, QUICK, request.config)
        tell(capsys, form, answer)
        check(answer, QUICK)
        assert answer.figures("held-out AUC")[0] > 0.65


@pytest.mark.parametrize("form", FORMS)
def test_with_every_household_the_answer_is_as_good_as_promised(
    installed: Installed, tmp_path: Path, form: Form, capsys: pytest.CaptureFixture[str], request: pytest.FixtureRequest
) -> None:
    if not request.config.option.deep:
        pytest.skip("takes minutes: with --deep")
    answer = ask(Stranger(installed, tmp_path), form, 1, CAMPAIGN, request.config)
    tell(capsys, form, answer)
    check(answer, CAMPAIGN)
    # Of people that a fold has not seen, as of the dates that are asked about; those later are the same within their error.
    assert mean(answer.figures("out-of-fold AUC")) >= 0.84
    assert answer.figures("held-out AUC")[0] >= 0.82
