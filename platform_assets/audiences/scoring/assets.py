"""The Dagster face of scoring: `scores` of all campaigns of an entity in one pass, in one step or in shards.

Sharded, an entity's scores are one graph: `plan` (which also makes the checks) → N shards, a step each → `gather`.
Shards are static, and what was asked for is asked of Dagster inside the steps: each scores the campaigns of the plan.

Belongs here: keys, steps, metadata, checks and failures. The work is in the functions these call.
"""

from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import dagster as dg

from platform_assets.campaigns.assets import not_retried, output_of, shown
from platform_assets.campaigns.declaration.columns import LINEAGE, SCHEMA, scores_lineage, scores_schema
from platform_assets.campaigns.declaration.feature_choice import chosen_groups
from platform_assets.campaigns.declaration.spec import CampaignSpec, by_entity
from platform_assets.data.features.assets import day_asked
from platform_assets.data.features.holdings import Holdings
from platform_assets.environment import Environment
from platform_assets.foundation.artifacts import Artifact, ArtifactRef, ArtifactStore, ArtifactUnusable

if TYPE_CHECKING:
    from platform_assets.campaigns.registry.workspace import Workspace

MODEL_CHECK = "model_is_promoted"
# As many as the hash behind shares (and folds) tells apart.
MOST_SHARDS = 127
NO_TAGS: Mapping[str, str] = MappingProxyType({})


def score_assets(
    campaigns: Mapping[str, CampaignSpec],
    environment: Environment,
    holdings: Holdings,
    as_of: dg.PartitionsDefinition,
    *,
    shard_tags: Mapping[str, str] = NO_TAGS,
    step_tags: Mapping[str, str] = NO_TAGS,
) -> list[dg.AssetsDefinition]:
    """One multi-asset an entity with a `scores` asset for each of its campaigns, in `environment.scoring_shards` steps.

    Args:
        shard_tags: of each shard's step.
        step_tags: of every other step; of the only one, when there are no shards.

    Raises:
        ValueError: more shards than people can be told apart into.
    """
    shards = environment.scoring_shards
    if not 1 <= shards <= MOST_SHARDS:
        raise ValueError(f"PLATFORM_SCORING_SHARDS={shards}: takes 1 to {MOST_SHARDS}")
    scorings = [_Scoring(entity, own, environment, holdings) for entity, own in by_entity(campaigns).items()]
    if shards == 1:
        return [_one_step(scoring, as_of, step_tags) for scoring in scorings]
    return [_sharded(scoring, as_of, shards, shard_tags, step_tags) for scoring in scorings]


@dataclass(frozen=True)
class _Scoring:
    """Scoring one entity's campaigns: what both ways to do it share."""

    entity: str
    campaigns: Mapping[str, CampaignSpec]
    environment: Environment
    holdings: Holdings

    @property
    def name(self) -> str:
        return f"scores_{self.entity}"

    @property
    def outs(self) -> dict[str, dg.AssetOut]:
        return {
            name: dg.AssetOut(
                key=[name, "scores"],
                group_name=name,
                owners=[spec.owner],
                kinds={"parquet"},
                is_required=False,
                description="Calibrated scores of everyone the campaign asks about, from the promoted model.",
                metadata={SCHEMA: scores_schema(spec, self.holdings)},
            )
            for name, spec in self.campaigns.items()
        }

    @property
    def upstream(self) -> dict[str, set[dg.AssetKey]]:
        """A campaign's scores depend on its own model only: one that cannot be trained holds up no other's."""
        return {
            name: {
                dg.AssetKey([name, "promoted_model"]),
                *(dg.AssetKey(["features", self.entity, group]) for group in chosen_groups(spec, self.holdings.groups)),
            }
            for name, spec in self.campaigns.items()
        }

    @property
    def deps(self) -> list[dg.AssetKey]:
        return sorted({key for keys in self.upstream.values() for key in keys})

    @property
    def checks(self) -> list[dg.AssetCheckSpec]:
        promise = "A promoted model is good as of the date"
        return [dg.AssetCheckSpec(MODEL_CHECK, asset=[name, "scores"], description=promise) for name in self.campaigns]

    def output_of(self, name: str, scores: Artifact, more: Mapping[str, Any]) -> dg.Output[ArtifactRef]:
        """What a campaign's scores come to."""
        metadata = {**shown(scores, "people", "mean", "lowest", "highest", "model_good_from"), **more}
        metadata[LINEAGE] = scores_lineage(self.campaigns[name], self.holdings)
        return output_of(scores, metadata, name=name)

    def open_workspace(self) -> "Workspace":
        from platform_assets.campaigns.registry.opening import open_workspace

        return open_workspace(self.environment, self.holdings, f"scores {self.entity}")

    def require_features(self, day: date) -> None:
        """Refuse a date whose newest feature audit failed, whatever was published before it."""
        from platform_assets.data.quality import Verdicts
        from platform_assets.data.quality.assets import require_verdict

        verdicts = Verdicts(self.environment.verdicts)
        chosen = (chosen_groups(spec, self.holdings.groups) for spec in self.campaigns.values())
        for group in sorted(set[str]().union(*chosen)):
            require_verdict(verdicts, f"features/{self.entity}/{group}", day.isoformat())

    def judged(
        self, context: dg.OpExecutionContext, day: date
    ) -> Generator[dg.AssetCheckResult, None, dict[str, CampaignSpec]]:
        """Yields the checks asked for; returns the campaigns to score, none when checks alone are asked for.

        A campaign that was never trained, or whose model is damaged, must not starve the others of their scores: only its check fails.

        Raises:
            dg.Failure: none of those asked for can be scored, or the newest audit of the date's features failed.
        """
        from platform_assets.audiences.scoring.scoring import require_model
        from platform_assets.campaigns.registry.promoted import NothingPromoted, RegistryDamaged

        self.require_features(day)
        wanted = sorted({key.path[0] for key in context.selected_asset_keys})
        checked = sorted({key.asset_key.path[0] for key in context.selected_asset_check_keys})
        work, missing = self.open_workspace(), dict[str, str]()
        for name in {*wanted, *checked}:
            try:
                require_model(work.question(name, self.campaigns[name], day), work)
            except (NothingPromoted, RegistryDamaged, ArtifactUnusable) as error:
                missing[name] = str(error)
        for name in checked:
            yield dg.AssetCheckResult(
                asset_key=dg.AssetKey([name, "scores"]),
                check_name=MODEL_CHECK,
                passed=name not in missing,
                description=missing.get(name),
            )
        ready = {name: self.campaigns[name] for name in wanted if name not in missing}
        if wanted and not ready:
            raise dg.Failure("\n".join(missing[name] for name in wanted), allow_retries=False)
        return ready


def _one_step(scoring: _Scoring, as_of: dg.PartitionsDefinition, step_tags: Mapping[str, str]) -> dg.AssetsDefinition:
    @dg.multi_asset(
        name=scoring.name,
        outs=scoring.outs,
        can_subset=True,
        partitions_def=as_of,
        deps=scoring.deps,
        internal_asset_deps=scoring.upstream,
        check_specs=scoring.checks,
        op_tags=step_tags,
    )
    def scores(context: dg.AssetExecutionContext) -> Iterator[dg.Output[ArtifactRef] | dg.AssetCheckResult]:
        from platform_assets.audiences.scoring.scoring import score_campaigns

        day = day_asked(context)
        if not (ready := (yield from scoring.judged(context.op_execution_context, day))):
            return
        work = scoring.open_workspace()
        with not_retried(*data_errors()):
            for scored in score_campaigns(ready, work, day):
                yield scoring.output_of(scored.campaign, scored.scores, work.warehouse.cost())

    return scores


def _sharded(
    scoring: _Scoring,
    as_of: dg.PartitionsDefinition,
    shards: int,
    shard_tags: Mapping[str, str],
    step_tags: Mapping[str, str],
) -> dg.AssetsDefinition:
    plan = _plan_op(scoring, shards, step_tags)
    shard_ops = [_shard_op(scoring, shard, shard_tags) for shard in range(shards)]
    gather = _gather_op(scoring, shards, step_tags)
    outs, inputs = scoring.outs, {"__".join(key.path): key for key in scoring.deps}
    made_by = {
        **dict.fromkeys(outs, gather.name),
        **dict.fromkeys((check.get_python_identifier() for check in scoring.checks), plan.name),
    }
    planned = dg.DependencyDefinition(plan.name, "plan")
    graph = dg.GraphDefinition(
        name=scoring.name,
        node_defs=[plan, *shard_ops, gather],
        dependencies={
            **{op.name: {"plan": planned} for op in shard_ops},
            gather.name: {
                "plan": planned,
                **{f"shard_{i}": dg.DependencyDefinition(op.name) for i, op in enumerate(shard_ops)},
            },
        },
        input_mappings=[
            dg.InputMapping(graph_input_name=name, mapped_node_name=plan.name, mapped_node_input_name=name)
            for name in inputs
        ],
        output_mappings=[
            dg.OutputMapping(graph_output_name=name, mapped_node_name=op, mapped_node_output_name=name)
            for name, op in made_by.items()
        ],
    )
    return dg.AssetsDefinition.from_graph(
        graph,
        keys_by_input_name=inputs,
        keys_by_output_name={name: dg.AssetKey([name, "scores"]) for name in outs},
        internal_asset_deps=scoring.upstream,
        partitions_def=as_of,
        group_names_by_output_name={name: out.group_name for name, out in outs.items()},
        descriptions_by_output_name={name: str(out.description) for name, out in outs.items()},
        metadata_by_output_name={name: dict(out.metadata or {}) for name, out in outs.items()},
        tags_by_output_name={name: out.tags for name, out in outs.items()},
        owners_by_output_name={name: list(out.owners or ()) for name, out in outs.items()},
        check_specs=scoring.checks,
        can_subset=True,
    )


def _plan_op(scoring: _Scoring, shards: int, step_tags: Mapping[str, str]) -> dg.OpDefinition:
    checks = {check.get_python_identifier(): dg.Out(dg.Nothing, is_required=False) for check in scoring.checks}

    @dg.op(
        name=f"{scoring.name}__plan",
        ins={"__".join(key.path): dg.In(dg.Nothing) for key in scoring.deps},
        # Not required: when checks alone are asked for, there is nothing to plan.
        out={"plan": dg.Out(ArtifactRef, is_required=False), **checks},
        tags=step_tags,
    )
    def plan(context: dg.OpExecutionContext) -> Iterator[dg.Output[ArtifactRef] | dg.AssetCheckResult]:
        from platform_assets.audiences.scoring.sharding import plan_scores

        day = day_asked(context)
        if not (ready := (yield from scoring.judged(context, day))):
            return
        work = scoring.open_workspace()
        with not_retried(*data_errors()):
            planned = plan_scores(ready, shards, work, day)
        metadata: dict[str, Any] = {"campaigns": list(ready), "shards": shards, **work.warehouse.cost()}
        yield dg.Output(planned.ref, output_name="plan", metadata=metadata)

    return plan


def _shard_op(scoring: _Scoring, shard: int, shard_tags: Mapping[str, str]) -> dg.OpDefinition:
    @dg.op(
        name=f"{scoring.name}__shard_{shard}",
        ins={"plan": dg.In(ArtifactRef)},
        out=dg.Out(ArtifactRef),
        tags=shard_tags,
    )
    def score(context: dg.OpExecutionContext, plan: ArtifactRef) -> dg.Output[ArtifactRef]:
        from platform_assets.audiences.scoring.sharding import Plan, ShardsRefused, score_shard

        store = ArtifactStore(scoring.environment.artifacts)
        with not_retried(ShardsRefused):
            shard_scores = score_shard(Plan.of(store.open(plan)), shard, store)
        return dg.Output(shard_scores.ref, metadata={"shard": shard, **shard_scores.dagster_metadata()})

    return score


def _gather_op(scoring: _Scoring, shards: int, step_tags: Mapping[str, str]) -> dg.OpDefinition:
    @dg.op(
        name=f"{scoring.name}__gather",
        ins={"plan": dg.In(ArtifactRef), **{f"shard_{shard}": dg.In(ArtifactRef) for shard in range(shards)}},
        out={name: dg.Out(ArtifactRef, is_required=False) for name in scoring.campaigns},
        tags=step_tags,
    )
    def gather(
        context: dg.OpExecutionContext, plan: ArtifactRef, **parts: ArtifactRef
    ) -> Iterator[dg.Output[ArtifactRef]]:
        from platform_assets.audiences.scoring.sharding import Plan, ShardsRefused, gather_scores

        store = ArtifactStore(scoring.environment.artifacts)
        shard_scores = [store.open(parts[f"shard_{shard}"]) for shard in range(shards)]
        with not_retried(ShardsRefused):
            for name, scores in gather_scores(Plan.of(store.open(plan)), shard_scores, store):
                yield scoring.output_of(name, scores, {"shards": shards})

    return gather


def data_errors() -> tuple[type[Exception], ...]:
    """What data, not code, can be wrong with when audiences are made: told in a sentence, not retried."""
    from platform_assets.audiences.scoring.scoring import OtherModel
    from platform_assets.campaigns.registry.promoted import NothingPromoted
    from platform_assets.campaigns.training_sets.refusals import REFUSALS

    return (*REFUSALS, NothingPromoted, OtherModel)
