"""The small platform after the demo's runs for two questions, which several rooms look at from different sides.

Belongs here: asking, and keeping what the runs came to. Does not belong here: what is expected of them.
"""

import pickle
import shutil
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import pytest

from platform_assets.environment import REPOSITORY, Environment, local_environment
from samples import demo
from tests.support.declared import write_declaration

QUESTIONS = (
    demo.Question("repeat_buyers", "customer", "1998-04-01"),
    demo.Question("scifi_fans", "viewer", "1998-04-23"),
)
Ran = dict[str, demo.Ran]


def ask(
    environment: Environment, instance: dg.DagsterInstance, questions: tuple[demo.Question, ...] = QUESTIONS
) -> Ran:
    """Run the demo with these questions alone."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(demo, "QUESTIONS", questions)
        return demo.run_everything(environment, instance)


@dataclass(frozen=True)
class Answered:
    """A folder with a platform's data, the campaigns that a question is about, and what the runs came to."""

    folder: Path
    dbt_project: Path

    @property
    def environment(self) -> Environment:
        campaigns = self.folder / "campaigns"
        return local_environment(self.folder / "data", dbt_project=self.dbt_project, campaigns=campaigns)

    @property
    def ran(self) -> Ran:
        return dict(pickle.loads((self.folder / "ran").read_bytes()))

    def fill(self, small: Environment) -> None:
        """Ask, on a copy of the small platform."""
        shutil.copytree(small.data, self.folder / "data")
        for question in QUESTIONS:
            text = (REPOSITORY / "defs" / "campaigns" / question.campaign / "defs.yaml").read_text(encoding="utf-8")
            write_declaration(self.folder / "campaigns", question.campaign, text)
        with dg.DagsterInstance.ephemeral() as instance:
            (self.folder / "ran").write_bytes(pickle.dumps(ask(self.environment, instance)))
