"""Pages on what people write in YAML.

Belongs here: keys out of the models that read them. What a key means stands in its field's description, or below
`Attributes:` in the docstring of its class.
"""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, get_args

from reference_pages.markdown import page, table, text_of
from reference_pages.package import meanings_of, module_that_defines, path_of, summary_of

# As JSON Schema writes a duration of nothing.
NO_TIME = "PT0S"


def campaign_page() -> str:
    module = module_that_defines("CampaignSpec")
    return page(
        "Keys of a campaign file",
        f"A campaign is `defs/campaigns/<name>/defs.yaml` in the project, or `<name>/defs.yaml` below `PLATFORM_CAMPAIGNS_DIR`. Keys "
        f"stand below `attributes`. A key that nothing honours is refused. Declared in `{path_of(module.__name__)}`; "
        "`platform-assets schema` prints the JSON Schema for editors.",
        *_schema_tables(module.CampaignSpec.model_json_schema(), "attributes"),
    )


def source_page() -> str:
    module = module_that_defines("ExportSourceSpec")
    return page(
        "Keys of a source file",
        "A source is `defs/sources/<name>/defs.yaml` in the project, or `<name>/defs.yaml` below `PLATFORM_SOURCES_DIR`. Keys stand "
        "below `attributes`, beside `type: platform_assets.components.ExportSource`. A key that nothing honours is refused. Declared "
        f"in `{path_of(module.__name__)}`; [an example](../../how-to/add-a-source.md).",
        *_schema_tables(module.ExportSourceSpec.model_json_schema(), "attributes"),
        "# Of a service that is fetched",
        "The same file with `type: platform_assets.components.SaasSource`.",
        *_schema_tables(module_that_defines("SaasSourceSpec").SaasSourceSpec.model_json_schema(), "attributes"),
    )


def mart_page() -> str:
    module, columns = module_that_defines("EntityDeclaration"), module_that_defines("Column")
    return page(
        "Keys of `meta.platform`",
        "What a mart declares stands beside it in the YAML of its dbt model, under `config: {meta: {platform: {…}}}`; what one of its "
        "columns declares, under the same keys of the column. A key that nothing honours is refused. Declared in "
        f"`{path_of(module.__name__)}` and `{path_of(columns.__name__)}`; `platform-assets source add` "
        "[writes them](../../how-to/add-a-source.md).",
        *(part for kind, model in module.KINDS.items() for part in _tables_of_kind(kind, model)),
        "## Of a column",
        _table_of_keys(
            (key, meanings_of(columns.Column)[key], takes)
            for key, takes in (
                ("role", ", ".join(f"`{role}`" for role in get_args(columns.Role))),
                ("changes", "`true` or `false`"),
            )
        ),
        "Beside these, dbt's own keys of a column say:",
        _table_of_keys(
            (
                ("data_type", meanings_of(columns.Column)["data_type"], "type"),
                ("policy_tags", meanings_of(columns.Column)["personal"], "list of text"),
            )
        ),
        "Which role a column may have, by its `data_type`:",
        table(
            ("role", "type"),
            [(f"`{role}`", ", ".join(columns.FITTING.get(role, ("any",)))) for role in get_args(columns.Role)],
        ),
    )


def _tables_of_kind(kind: str, model: Any) -> Iterator[str]:
    """A mart of one kind: in words, and its keys, `kind` itself first."""
    schema = model.model_json_schema()
    fields = dict(sorted(schema["properties"].items(), key=lambda field: field[0] != "kind"))
    yield f"## Of a mart of kind `{kind}`"
    yield text_of(summary_of(model))
    yield _table_of_fields(fields, schema["required"], meanings_of(model))


def features_page() -> str:
    module = module_that_defines("FeatureDeclaration")
    model = module.FeatureDeclaration
    return page(
        "Keys of a feature file",
        "What the features of an entity are made of stands in `features/<entity>.yaml` of the project. Every key but `entity` may be "
        f"absent; one that nothing honours is refused. Declared in `{path_of(module.__name__)}`; "
        "[how to write one](../../how-to/derive-features.md).",
        *_schema_tables(model.model_json_schema(), "The file", {"The file": model, **vars(module)}),
    )


def _schema_tables(
    schema: dict[str, Any], name: str, models: Mapping[str, Any] = MappingProxyType({})
) -> Iterator[str]:
    """A table a model; meanings come from the schema, or from the docstrings of `models` by title."""
    definitions = schema.get("$defs", {})
    for title, shape in {name: schema, **definitions}.items():
        if "properties" not in shape:
            continue
        yield f"## {title}" if title != name or title in models else f"## `{title}`"
        if title in models:
            yield text_of(summary_of(models[title]))
        elif title != name and (said := shape.get("description")):
            yield text_of(said)
        meanings = meanings_of(models[title]) if title in models else {}
        yield _table_of_fields(shape["properties"], shape.get("required", ()), meanings)


def _table_of_fields(fields: Mapping[str, Any], required: Collection[str], meanings: Mapping[str, str]) -> str:
    return table(
        ("key", "what it says", "takes", "default"),
        [
            (
                f"`{key}`",
                text_of(field.get("description") or meanings.get(key, "")),
                _kind(field),
                "**needed**" if key in required else _default(field),
            )
            for key, field in fields.items()
        ],
    )


def _table_of_keys(keys: Iterable[tuple[str, str, str]]) -> str:
    return table(("key", "what it says", "takes"), [(f"`{key}`", text_of(said), takes) for key, said, takes in keys])


def _kind(field: dict[str, Any]) -> str:
    if "$ref" in field:
        title = field["$ref"].rpartition("/")[2]
        return f"[{title}](#{title.lower()})"
    if "anyOf" in field:
        return " or ".join(dict.fromkeys(_kind(one) for one in field["anyOf"] if one.get("type") != "null"))
    if "enum" in field:
        return ", ".join(f"`{value}`" for value in field["enum"])
    if "const" in field:
        return f"`{field['const']}`"
    if field.get("type") == "array":
        most = f", at most {field['maxItems']}" if "maxItems" in field else ""
        return f"list of {_kind(field['items'])}{most}" if "items" in field else "list"
    if field.get("type") == "object":
        inner = field.get("additionalProperties")
        return f"mapping to {_kind(inner)}" if isinstance(inner, dict) and inner else "mapping"
    known = {"string": "text", "integer": "whole number", "number": "number", "boolean": "`true` or `false`"}
    said = known.get(field.get("type", ""), "anything")
    said = {"date": "date", "duration": "duration"}.get(field.get("format", ""), said)
    bounds = [
        f"{sign} {field[bound]}"
        for bound, sign in (("minimum", "≥"), ("exclusiveMinimum", ">"), ("maximum", "≤"), ("exclusiveMaximum", "<"))
        if bound in field
    ]
    examples = [f"as `{example}`" for example in field.get("examples", ())]
    return " ".join([said, ", ".join(bounds), ", ".join(examples)]).strip()


def _default(field: dict[str, Any]) -> str:
    if "default" not in field or isinstance(field["default"], dict):
        return ""
    value = field["default"]
    return "none" if value in (None, NO_TIME) else f"`{json.dumps(value, ensure_ascii=False)}`"
