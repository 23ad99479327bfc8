"""What `models: auto` spends: the demo's campaigns trained with it, every fit's CPU-seconds against the budget of their files.

Each question is trained in this process after the ones before it, from an empty store, and promoted, so that later ones have
earlier campaigns to learn from. Run with `make benchmark-budget`.
"""

import argparse
import os
import platform
import tempfile
import time
from collections.abc import Mapping
from datetime import date
from pathlib import Path

from benchmarks.orchestration import build_marts, campaigns_of
from platform_assets.campaigns.declaration.spec import CampaignSpec
from platform_assets.campaigns.promotion.gate import decide_promotion
from platform_assets.campaigns.registry.opening import open_workspace
from platform_assets.campaigns.training.in_process import train_campaign
from platform_assets.campaigns.training_sets.training_set import question_of
from platform_assets.environment import local_environment
from platform_assets.foundation.artifacts import Artifact
from samples.demo import QUESTIONS
from samples.exports import write_sample_exports


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.budget", description=__doc__.splitlines()[0])
    parser.add_argument("--refit", action="store_true", help="with `refit: true` besides")
    refit = parser.parse_args().refit
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    with tempfile.TemporaryDirectory() as folder:
        environment = local_environment(Path(folder, "data"))
        write_sample_exports(environment.exports, Path(folder, "samples"), environment.teachers)
        holdings = build_marts(environment)
        specs = {name: _with_auto(spec, refit) for name, spec in campaigns_of(environment, holdings).items()}
        for question in (question for question in QUESTIONS if question.train):
            name, spec = question.campaign, specs[question.campaign]
            day, begun = date.fromisoformat(question.as_of), time.process_time()
            work = open_workspace(environment, holdings, "benchmark")
            made = train_campaign(question_of(name, spec, work, day), work)
            spent = time.process_time() - begun
            decide_promotion(name, made.ensemble, made.training, work.store, work.promoted)
            for line in _lines(f"{name} as of {day}", spec.advanced.cpu_seconds, spent, made.models):
                print(line, flush=True)


def _with_auto(spec: CampaignSpec, refit: bool) -> CampaignSpec:
    advanced = spec.advanced.model_copy(update={"models": "auto", "refit": refit})
    return spec.model_copy(update={"advanced": advanced})


def _lines(question: str, budget: float, spent: float, models: Mapping[str, Artifact]) -> list[str]:
    costs = {name: model.metadata["cpu_seconds"] for name, model in models.items()}
    fits = sum(costs.values())
    return [
        f"{question}: fits {fits:.1f} of {budget:g} CPU-s, {fits / budget:.0%}; training set, fits and ensemble {spent:.1f}",
        "    " + ", ".join(f"{name} {cost:.1f}" for name, cost in costs.items() if cost),
    ]


if __name__ == "__main__":
    main()
