"""A campaign's question answered phase by phase: marts, model, answer; each run only if something of it is stale.

Belongs here: which assets of which job a phase is. Does not belong here: what is stale (`standing`), how a run goes (`running`).
"""

from collections.abc import Callable
from datetime import date

import dagster as dg

from platform_assets.campaigns.declaration.families import families_of
from platform_assets.campaigns.declaration.feature_choice import chosen_groups
from platform_assets.data.exports.export import table_of
from platform_assets.foundation.storage import Lease, files_at
from platform_assets.operations.asking.running import Say, keys, run_job
from platform_assets.operations.asking.standing import Asked, Upstream, stale_answer, stale_marts, stale_model
from platform_assets.operations.automation.jobs import REFRESH_JOB, score_job_name, train_job_name

UNCHANGED = "same code, settings and inputs as before"


class Terminal:
    """Where runs are started from, and what is told.

    The instance is opened when something is to be run, definitions are loaded for each run: a refresh may bring later dates.
    """

    def __init__(
        self, load: Callable[[], dg.Definitions], open_instance: Callable[[], dg.DagsterInstance], say: Say
    ) -> None:
        self.say = say
        self._load, self._open = load, open_instance
        self._instance: dg.DagsterInstance | None = None

    def run(self, job: str, selection: list[dg.AssetKey], **how: object) -> None:
        definitions = self._load()
        self._instance = self._instance or self._open()
        run_job(definitions.resolve_job_def(job), self._instance, self.say, asset_selection=selection, **how)


def turn_of(asked: Asked) -> Lease:
    """Held while a campaign is answered from a terminal: a second one waits, and then finds what the first one made."""
    return Lease(files_at(asked.environment.refs), f"asked/{asked.name}.json", what=f"campaign {asked.name}")


def bring_up_to_date(asked: Asked, stated: date | None, terminal: Terminal) -> date:
    """Marts, model and answer of a campaign as of a date (None: its file's); returns the date.

    Raises:
        RunFailed, RunCanceled: a run did not succeed.
        NothingExported, REFUSALS, NothingPromoted: it cannot be answered, in a sentence.
    """
    name, say = asked.name, terminal.say
    refresh_marts(asked.upstream, terminal)
    day = asked.day(stated)
    if why := stale_model(asked, day):
        say(f"model as of {day}: {why}")
        steps = (["training_set"], *(["models", model] for model in families_of(asked.spec)), ["ensemble"])
        config = {"ops": {f"{name}__training_set": {"config": {"score_at": day.isoformat()}}}}
        selection = keys(*([name, *step] for step in (*steps, ["promoted_model"])))
        terminal.run(train_job_name(name), selection, run_config=config)
    else:
        say(f"model as of {day}: nothing to do; {UNCHANGED}")
    answer(asked, day, terminal)
    return day


def refresh_marts(upstream: Upstream, terminal: Terminal) -> None:
    """Bring marts up to date with the exports.

    Raises:
        RunFailed, RunCanceled: a run did not succeed.
        NothingExported: there is nothing to make one of them from.
    """
    if why := stale_marts(upstream):
        terminal.say(f"marts: {why}")
        models = [upstream.graph.models[model] for model in upstream.graph.closure(upstream.marts)]
        built = [(model.layer, model.name) for model in models]
        terminal.run(
            REFRESH_JOB, keys(*sorted({("raw", source, table_of(table)) for source, table in upstream.raw}), *built)
        )
    else:
        terminal.say(f"marts: nothing to do; every finished export is loaded, {UNCHANGED}")


def answer(asked: Asked, day: date, terminal: Terminal) -> None:
    """Scores, audience and report of a campaign as of a date, from the model promoted by then.

    Raises as `bring_up_to_date`.
    """
    name, entity = asked.name, asked.spec.entity
    if why := stale_answer(asked, day):
        terminal.say(f"answer as of {day}: {why}")
        groups = [("features", entity, group) for group in chosen_groups(asked.spec, asked.holdings.groups)]
        selection = keys(*groups, *([name, step] for step in ("scores", "audience", "report")))
        terminal.run(score_job_name(entity), selection, partition_key=day.isoformat())
    else:
        terminal.say(f"answer as of {day}: nothing to do; {UNCHANGED}")
