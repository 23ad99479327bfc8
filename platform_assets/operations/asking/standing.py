"""What is stale of a campaign's marts, model and answer, decided as its steps decide: by their recipes, and nothing is made.

The steps' own functions are called on a store that only looks. Belongs here: the looks, and why in words. Does not belong
here: what is done about it (`running`).
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

from platform_assets.campaigns.declaration.spec import CampaignSpec
from platform_assets.campaigns.registry.opening import open_workspace
from platform_assets.campaigns.registry.promoted import PromotedModels, Promotion
from platform_assets.campaigns.registry.workspace import Workspace
from platform_assets.campaigns.training_sets.calendar import NotCovered
from platform_assets.campaigns.training_sets.training_set import marts_of, score_date, watermark_of
from platform_assets.data.catalog.business_day import latest_as_of
from platform_assets.data.catalog.catalog import Catalog
from platform_assets.data.engines.opening import open_engine
from platform_assets.data.engines.versions import Versions
from platform_assets.data.exports.export import holds_changes
from platform_assets.data.exports.spec import ExportSourceSpec
from platform_assets.data.features.holdings import Holdings
from platform_assets.data.marts.graph import ProjectGraph
from platform_assets.environment import Environment
from platform_assets.foundation.artifacts import Artifact, LookingStore, WouldBeMade
from platform_assets.foundation.storage import files_at


class NothingExported(LookupError):
    """A campaign reads a table of which there is no finished export."""


@dataclass(frozen=True)
class Upstream:
    """Marts that something reads, with what they are made from.

    Attributes:
        reader: what reads them, as sentences call it.
    """

    reader: str
    marts: tuple[str, ...]
    environment: Environment
    catalog: Catalog
    graph: ProjectGraph
    sources: Mapping[str, ExportSourceSpec]

    @property
    def raw(self) -> list[tuple[str, str]]:
        """The raw tables upstream of the marts, as (source, table)."""
        return sorted({table for mart in self.marts for table in self.graph.upstream_sources(mart)})


@dataclass(frozen=True)
class Asked:
    """A campaign in an environment, with what its marts are made from."""

    name: str
    spec: CampaignSpec
    environment: Environment
    holdings: Holdings
    graph: ProjectGraph
    sources: Mapping[str, ExportSourceSpec]

    @property
    def upstream(self) -> Upstream:
        marts = marts_of(self.spec, self.holdings)
        return Upstream(self.name, marts, self.environment, self.holdings.catalog, self.graph, self.sources)

    def looking(self) -> Workspace:
        """The marts as they are published now, and a store and models in which nothing can be changed."""
        work = open_workspace(self.environment, self.holdings, f"run {self.name}")
        models = _LookedAt(self.environment.artifacts)
        return replace(work, store=LookingStore(self.environment.artifacts), promoted=models)

    def day(self, stated: date | None) -> date:
        """The as-of date asked for: stated, else the campaign file's.

        Raises:
            NotCovered, ImmatureLabel: it cannot be asked as of then.
        """
        return score_date(self.spec, self.looking(), stated)

    def latest(self, stated: date | None) -> date:
        """The date to score as of: stated, else the latest that the exports cover.

        Raises:
            NotCovered: they do not cover the stated one.
            MartMissing, MartRefused: a mart cannot be read.
        """
        work = self.looking()
        covered = watermark_of(self.spec, work)
        latest = latest_as_of(covered, self.holdings.catalog.entities[self.spec.entity].timezone)
        if stated is not None and stated > latest:
            raise NotCovered(
                f"as of {stated}: the exports cover everything before {covered.isoformat()} only, so {latest} is the latest date"
            )
        return stated or latest


def stale_marts(upstream: Upstream) -> str | None:
    """Why marts have to be brought up to date; None: they are.

    Raises:
        NothingExported: there is nothing to make one of them from.
        StorageRefused: what is there is not known.
    """
    from platform_assets.data.marts import build
    from platform_assets.data.marts.opening import open_transform

    if (news := _news_of_exports(upstream)) is not None:
        return news
    environment = upstream.environment
    transform = open_transform(environment, upstream.graph, upstream.catalog)
    looking: Versions = _LookedAtVersions(transform.versions)  # type: ignore[assignment]
    transform = replace(transform, artifacts=LookingStore(environment.artifacts), versions=looking)
    pointer = transform.marts.pointer()
    for mart in upstream.marts:
        if mart in pointer.refused:
            return f"{mart} is refused: {pointer.refused[mart]}"
        try:
            outcome = build.build(transform, [mart], publish=False)[mart]
        except WouldBeMade:
            return f"{mart} is not built from what is loaded, with the dbt project as it is now"
        if pointer.tables.get(mart) != outcome.table:
            return f"another version of {mart} is published than the exports make"
    return None


def _news_of_exports(upstream: Upstream) -> str | None:
    from platform_assets.data.exports.lake import Lake
    from platform_assets.data.raw.discover import discover
    from platform_assets.data.raw.known import known_exports
    from platform_assets.data.transfer.bringing import awaiting

    loaded = open_engine(upstream.environment).raw.loaded(upstream.raw)
    there = {key: {(raw.export_id, raw.content_hash) for raw in tables} for key, tables in loaded.items()}
    news: list[str] = []
    for source in sorted({source for source, _ in upstream.raw} & upstream.sources.keys()):
        spec = upstream.sources[source]
        coming = awaiting(spec, upstream.environment.exports)
        news += [f"export {export_id} of {source} is in {spec.origin} and not here yet" for export_id in coming]
        known = known_exports(upstream.environment, source, spec)
        discovered = discover(spec, source, upstream.environment.exports, known)
        held = {name for export in discovered.complete for name in export.tables}
        for name in (table for of, table in upstream.raw if of == source):
            if not there[source, name] and name not in held and not holds_changes(name) and not coming:
                where, notes = Lake(upstream.environment.exports).location(spec.path), "; ".join(discovered.in_progress)
                raise NothingExported(
                    f"{upstream.reader} reads {source}.{name}, and there is no finished export of it in {where}"
                    f"{f' ({notes})' if notes else ''}; wait for AWS to finish one, or start one, then ask again"
                )
        news += [
            f"export {export.export_id} of {source}.{name} is not loaded yet"
            for export in discovered.complete
            for name in export.tables
            if (source, name) in there and (export.export_id, export.table_hash(name)) not in there[source, name]
        ]
    more = f", nor are {len(news) - 1} more" if len(news) > 1 else ""
    return f"{news[0]}{more}" if news else None


def stale_model(asked: Asked, day: date) -> str | None:
    """Why a campaign has to be trained as of a date; None: it was, as it is asked now.

    Raises:
        REFUSALS: its training set cannot be made, in a sentence.
    """
    from platform_assets.campaigns.promotion.gate import NotPromoted, decide_promotion
    from platform_assets.campaigns.training.in_process import train_campaign

    work = asked.looking()
    try:
        trained = train_campaign(work.question(asked.name, asked.spec, day), work)
        decide_promotion(asked.name, trained.ensemble, trained.training, work.store, work.promoted)
    except (WouldBeMade, NotPromoted) as why:
        return str(why)
    return None


def stale_answer(asked: Asked, day: date) -> str | None:
    """Why a campaign's scores, audience or report as of a date have to be made or put in their place; None: they are there.

    Raises:
        NothingPromoted: it has no model to score with.
        REFUSALS: the date cannot be scored, in a sentence.
    """
    from platform_assets.audiences.audience.audience import CSV_FILE, build_audience
    from platform_assets.audiences.audience.publication import folder_of
    from platform_assets.audiences.report.figures import FIGURES_FILE, FILE, build_report
    from platform_assets.audiences.scoring.scoring import score_campaigns

    work, environment = asked.looking(), asked.environment
    question = work.question(asked.name, asked.spec, day)
    try:
        (scored,) = score_campaigns({asked.name: asked.spec}, work, day)
        audience = build_audience(question, scored.scores, scored.promotion, work)
        report = build_report(question, audience, scored.promotion, work)
    except WouldBeMade as why:
        return str(why)
    for place, artifact, names in (
        (environment.audiences, audience, [CSV_FILE]),
        (environment.reports, report, [FILE, FIGURES_FILE]),
    ):
        folder = folder_of(place, asked.name, day.isoformat())
        for name in names:
            if not _is_published(artifact, folder, name):
                return f"{files_at(folder).location(name)} is not there, or is another than was made"
    return None


def _is_published(artifact: Artifact, folder: str, name: str) -> bool:
    stored = files_at(folder).read(name)
    return stored is not None and stored.content == Path(artifact.path(name)).read_bytes()


class _LookedAt(PromotedModels):
    """Promoted models of which none is added."""

    def promote(self, campaign: str, promotion: Promotion) -> None:
        raise WouldBeMade(f"{campaign}/promoted_model", f"another model is promoted as of {promotion.score_at}")


class _LookedAtVersions:
    """Versions of marts of which none is added."""

    def __init__(self, versions: Versions) -> None:
        self._versions = versions

    def is_written(self, table: Any) -> bool:
        return self._versions.is_written(table)

    @contextmanager
    def building(self) -> Iterator[None]:
        raise WouldBeMade("marts", "not built yet")
        yield
