"""What orchestration costs: the demo's runs under Dagster against the same functions called by a plain script.

Each side runs in a process of its own, on the same sample exports, from an empty store; then again, with everything in
the store. Run with `make benchmark`.
"""

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path

from platform_assets.campaigns.declaration.parsing import read_campaigns
from platform_assets.campaigns.declaration.spec import CampaignSpec
from platform_assets.campaigns.registry.opening import open_workspace
from platform_assets.campaigns.registry.workspace import Workspace
from platform_assets.components.loading import read_source_files
from platform_assets.data.features.holdings import Holdings
from platform_assets.data.features.registry import read_holdings
from platform_assets.environment import REPOSITORY, Environment, local_environment
from samples.demo import QUESTIONS
from samples.exports import write_sample_exports


def build_marts(environment: Environment) -> Holdings:
    """Load the exports and build every mart; what the warehouse then knows."""
    from platform_assets.data.catalog.catalog import read_manifest
    from platform_assets.data.engines.opening import open_engine
    from platform_assets.data.marts.build import build
    from platform_assets.data.marts.graph import ProjectGraph
    from platform_assets.data.marts.opening import open_transform
    from platform_assets.data.raw.discover import load_source

    holdings = read_holdings(environment)
    for source in read_source_files(environment.sources):
        assert source.spec is not None, source.error
        load_source(source.spec, source.name, environment.exports, open_engine(environment).raw)
    graph = ProjectGraph.from_manifest(read_manifest(environment.dbt_manifest))
    build(open_transform(environment, graph, holdings.catalog), list(graph.models))
    return holdings


def campaigns_of(environment: Environment, holdings: Holdings) -> dict[str, CampaignSpec]:
    """The demo's campaigns by name."""
    from platform_assets.foundation.execution.profiles import read_profiles

    files = read_campaigns(environment.campaigns, holdings, read_profiles(environment.profiles))
    return {file.name: file.spec for file in files if file.spec}


def plain(environment: Environment) -> None:
    """The demo's work, function after function."""
    from platform_assets.audiences.audience.audience import build_audience
    from platform_assets.audiences.report.figures import build_report
    from platform_assets.audiences.scoring.scoring import score_campaigns
    from platform_assets.campaigns.promotion.gate import decide_promotion
    from platform_assets.campaigns.training.in_process import train_campaign
    from platform_assets.campaigns.training_sets.training_set import question_of

    holdings = build_marts(environment)
    specs = campaigns_of(environment, holdings)

    def workspace() -> Workspace:
        return open_workspace(environment, holdings, "benchmark")

    for question in (question for question in QUESTIONS if question.train):
        name, spec = question.campaign, specs[question.campaign]
        day = date.fromisoformat(question.as_of)
        work = workspace()
        made = train_campaign(question_of(name, spec, work, day), work)
        decide_promotion(name, made.ensemble, made.training, work.store, work.promoted)
    for entity, as_of in dict.fromkeys((question.entity, question.as_of) for question in QUESTIONS):
        day, mine = date.fromisoformat(as_of), {n: s for n, s in specs.items() if s.entity == entity}
        for scored in score_campaigns(mine, workspace(), day):
            work = workspace()
            asked = work.question(scored.campaign, mine[scored.campaign], day)
            audience = build_audience(asked, scored.scores, scored.promotion, work)
            build_report(asked, audience, scored.promotion, workspace())


def under_dagster(environment: Environment) -> None:
    """The demo's runs, on an instance of their own."""
    import dagster as dg

    from samples.demo import run_everything

    home = environment.data / "dagster"
    home.mkdir(exist_ok=True)
    shutil.copy(REPOSITORY / "deploy" / "local" / "dagster.yaml", home)
    os.environ["DAGSTER_HOME"] = str(home)
    with dg.DagsterInstance.get() as instance:
        run_everything(environment, instance)


SIDES: dict[str, Callable[[Environment], None]] = {"plain": plain, "dagster": under_dagster}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.orchestration", description=__doc__)
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    parser.add_argument("--data", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.side:
        SIDES[given.side](local_environment(given.data))
        return
    with tempfile.TemporaryDirectory() as folder:
        cache = Path(folder, "samples")
        seconds = {
            (side, turn): _timed(side, Path(folder, side), cache) for side in SIDES for turn in ("first", "again")
        }
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    for turn in ("first", "again"):
        script, orchestrated = seconds[("plain", turn)], seconds[("dagster", turn)]
        print(
            f"{turn:<6} plain script {script:6.1f} s   under Dagster {orchestrated:6.1f} s   ratio {orchestrated / script:.2f}"
        )
    print(json.dumps({f"{side} {turn}": round(value, 2) for (side, turn), value in seconds.items()}))


def _timed(side: str, data: Path, cache: Path) -> float:
    environment = local_environment(data)
    write_sample_exports(environment.exports, cache, environment.teachers)
    started = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "benchmarks.orchestration", "--side", side, "--data", str(data)],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
