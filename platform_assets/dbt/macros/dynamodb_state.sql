{#-
  What a DynamoDB table holds, and held, by its full and incremental exports (`dynamodb_chain`).

  Each macro is a relation with the raw column `Item`, for `dynamodb_select` and the macros of dynamodb.sql, and with
  `_export_id`, `_exported_at` and `_written_at`: when the item was written, null where only a full export shows it.
  source_name, table_name: declare both `<table>` and `<table>__changes` in dbt's sources.
  key: the attributes of the table's key. left_out: a relation with a column `item_key` (see `dynamodb_key`) of items that are
  read from no export; without it there are none.
  An item that a window does not mention is as it was before. Of an item of which a row was left out because it is broken, nothing
  is known from then on until a later window or full export tells of it: it is not shown as it was before. A broken row that
  does not tell its key stands for nothing here.
-#}

{#- The items as of the end of the chain. -#}
{% macro dynamodb_items(source_name, table_name, key, left_out=none) %}
    {%- set base = source(source_name, table_name) -%}
    {%- set changes = source(source_name, table_name ~ '__changes') -%}
    {%- set segments = dynamodb_chain(source_name, table_name)[-1:] -%}
(
    {%- if segments and segments[0].windows %}
    with changed as (
        select
            {{ dynamodb_key('Keys', key) }} as item_key,
            NewImage as Item,
            _export_id,
            _exported_at,
            {{ written_micros() }} as written_micros
        from {{ changes }}
        where {{ is_in_windows(segments) }}
        union all
        select item_key, {{ null_item() }} as Item, _export_id, _exported_at, {{ micros_of_timestamp('unknown_from') }} as written_micros
        from {{ dynamodb_quarantined(source_name, table_name ~ '__changes', key) }} as quarantined
        where {{ is_in_windows(segments) }}
    ),

    latest as (
        select *
        from changed
        where true
        qualify row_number() over (partition by item_key order by written_micros desc, _exported_at desc) = 1
    )

    select Item, _export_id, _exported_at, {{ timestamp_from_micros('written_micros') }} as _written_at
    from latest
    where Item is not null {{ is_not_left_out('item_key', left_out) }}
    union all
    select base.Item, base._export_id, base._exported_at, cast(null as {{ timestamp_type() }}) as _written_at
    from (
        select Item, _export_id, _exported_at, {{ dynamodb_key('Item', key) }} as item_key
        from {{ base }}
        where {{ is_in_bases(segments) }}
    ) as base
    left join latest on latest.item_key = base.item_key
    where latest.item_key is null {{ is_not_left_out('base.item_key', left_out) }}
    {%- else %}
    select Item, _export_id, _exported_at, cast(null as {{ timestamp_type() }}) as _written_at
    from {{ base }}
    where {{ is_in_bases(segments) }} {{ is_not_left_out(dynamodb_key('Item', key), left_out) }}
    {%- endif %}
)
{%- endmacro %}


{#-
  Every version of every item, with `item_key`, `valid_from` and `valid_to` (null while it lasts).

  A version begins when it was written, as a window tells it, or with the full export that first shows it; it ends when the next
  one was written, when the item was deleted, or with the full export that shows it no longer. Of what was written more than
  once inside a window AWS exports the last alone. Versions that two full exports show alike stay two: see `merged_versions`.
-#}
{% macro dynamodb_versions(source_name, table_name, key, left_out=none) %}
(
    with {{ dynamodb_observed(source_name, table_name, key) }},

    followed as (
        select
            *,
            lead(seen_at) over (partition by item_key order by seen_at, is_change, _exported_at) as next_seen_at
        from observed
        where true {{ is_not_left_out('item_key', left_out) }}
    ),

    ended as (
        select *, least(coalesce(next_seen_at, next_base_at), coalesce(next_base_at, next_seen_at)) as valid_to
        from followed
    )

    select
        item_key,
        Item,
        seen_at as valid_from,
        valid_to,
        _export_id,
        _exported_at,
        case when is_change = 1 then seen_at end as _written_at
    from ended
    where Item is not null and (valid_to is null or valid_to > seen_at)
)
{%- endmacro %}


{#- The items as first written, or first exported, those included that were deleted since: what marts of events rest on. -#}
{% macro dynamodb_first_items(source_name, table_name, key, left_out=none) %}
(
    select *
    from {{ dynamodb_versions(source_name, table_name, key, left_out) }} as versions
    where true
    qualify row_number() over (partition by item_key order by valid_from) = 1
)
{%- endmacro %}


{#-
  A row an export whose old images are not what the exports before it say of the items, with the number of those items. A
  staging model of its own selects from it, with the test `old_images_agree`.
-#}
{% macro dynamodb_contradictions(source_name, table_name, key, left_out=none) %}
(
    with {{ dynamodb_observed(source_name, table_name, key) }},

    compared as (
        select
            *,
            lag(Item) over of_item as known_item,
            coalesce(lag(is_quarantined) over of_item, 0) as was_quarantined,
            -- Exports of new images alone have no old ones to compare.
            max(case when old_item is not null then 1 else 0 end) over (partition by _export_id) as has_old_images
        from observed
        window of_item as (partition by segment, item_key order by seen_at, is_change, _exported_at)
    )

    select _export_id, _exported_at, count(*) as contradictions
    from compared
    where is_change = 1 and has_old_images = 1 and is_quarantined = 0 and was_quarantined = 0
        and {{ canonical_item('old_item') }} is distinct from {{ canonical_item('known_item') }}
        {{- is_not_left_out('item_key', left_out) }}
    group by _export_id, _exported_at
)
{%- endmacro %}


{#-
  Rows of versions (with `valid_from` and `valid_to`), those joined to one that follow each other and agree in `attributes`.
  Select from it as from `scd2`.
-#}
{% macro merged_versions(rows, key, attributes) %}
with followed as (
    select
        {{ key }},
        {%- for attribute in attributes %}
        {{ attribute }},
        lag({{ attribute }}) over of_key as previous_{{ attribute }},
        {%- endfor %}
        valid_from,
        valid_to,
        lag(valid_to) over of_key as previous_valid_to
    from {{ rows }} as versions
    window of_key as (partition by {{ key }} order by valid_from)
),

marked as (
    select
        *,
        case
            when valid_from is distinct from previous_valid_to then 1
            {%- for attribute in attributes %}
            when {{ attribute }} is distinct from previous_{{ attribute }} then 1
            {%- endfor %}
            else 0
        end as begins_version
    from followed
),

numbered as (
    select
        *,
        sum(begins_version) over (partition by {{ key }} order by valid_from rows unbounded preceding) as version_number
    from marked
)

select
    {{ key }},
    {%- for attribute in attributes %}
    min({{ attribute }}) as {{ attribute }},
    {%- endfor %}
    min(valid_from) as valid_from,
    case when count(valid_to) = count(*) then max(valid_to) end as valid_to
from numbered
group by {{ key }}, version_number
{% endmacro %}


{#- CTEs, the last of which is `observed`: what every link of the chain says of every item that it mentions. -#}
{% macro dynamodb_observed(source_name, table_name, key) %}
    {%- set base = source(source_name, table_name) -%}
    {%- set changes = source(source_name, table_name ~ '__changes') -%}
    {%- set segments = dynamodb_chain(source_name, table_name) -%}
    links as ({{ link_rows(segments) }}),

    observed as (
        select
            {{ dynamodb_key('Item', key) }} as item_key,
            Item,
            {{ null_item() }} as old_item,
            _exported_at as seen_at,
            0 as is_change,
            0 as is_quarantined,
            links.segment,
            links.next_base_at,
            _export_id,
            _exported_at
        from {{ base }} as base
        inner join links on links.export_id = base._export_id
        where {{ is_in_bases(segments) }}
        {%- if segments | map(attribute='windows') | sum(start=[]) %}
        union all
        select
            {{ dynamodb_key('Keys', key) }} as item_key,
            NewImage as Item,
            OldImage as old_item,
            {{ timestamp_from_micros(written_micros()) }} as seen_at,
            1 as is_change,
            0 as is_quarantined,
            links.segment,
            links.next_base_at,
            _export_id,
            _exported_at
        from {{ changes }} as changes
        inner join links on links.export_id = changes._export_id
        where {{ is_in_windows(segments) }}
        {%- endif %}
        {%- for suffix, is_change, is_linked in [('', 0, is_in_bases(segments)), ('__changes', 1, is_in_windows(segments))] %}
        union all
        select
            item_key,
            {{ null_item() }} as Item,
            {{ null_item() }} as old_item,
            unknown_from as seen_at,
            {{ is_change }} as is_change,
            1 as is_quarantined,
            links.segment,
            links.next_base_at,
            _export_id,
            _exported_at
        from {{ dynamodb_quarantined(source_name, table_name ~ suffix, key) }} as quarantined
        inner join links on links.export_id = quarantined._export_id
        where {{ is_linked }}
        {%- endfor %}
    )
{%- endmacro %}

{#- The rows that were left out of a raw table and tell their key, with `item_key`. -#}
{% macro dynamodb_quarantined(source_name, table_name, key) %}
    (
        select {{ dynamodb_key(json_of('key'), key) }} as item_key, _export_id, _exported_at, unknown_from
        from {{ quarantined_rows(source_name, table_name) }} as broken
        where key is not null
    )
{%- endmacro %}


{#-
  Text that is the same just for two items of one key: its type (N, S or B) and value; of several attributes each with its
  length in front.
-#}
{% macro dynamodb_key(item, key) %}
    {%- set parts = [] -%}
    {%- for attribute in key -%}
        {%- set typed = [] -%}
        {%- for tag in ('N', 'S', 'B') -%}
            {%- do typed.append("'" ~ tag ~ "' || " ~ dynamodb_scalar(item, dynamodb_path([attribute], tag))) -%}
        {%- endfor -%}
        {%- do parts.append('coalesce(' ~ typed | join(', ') ~ ')') -%}
    {%- endfor -%}
    {%- if parts | length == 1 -%}
        {{ parts[0] }}
    {%- else -%}
        {%- for part in parts -%}
            cast(length({{ part }}) as {{ dbt.type_string() }}) || ':' || {{ part }}{{ ' || ' if not loop.last }}
        {%- endfor -%}
    {%- endif -%}
{% endmacro %}

{#- Microseconds since 1970 at which an item of a raw table of changes was written; AWS writes a typed number, or a bare one. -#}
{% macro written_micros() -%}
    cast(coalesce({{ dynamodb_scalar('Metadata', '$.WriteTimestampMicros.N') }}, {{ dynamodb_scalar('Metadata', '$.WriteTimestampMicros') }}) as bigint)
{%- endmacro %}

{% macro is_not_left_out(item_key, left_out) -%}
    {%- if left_out is not none %} and {{ item_key }} not in (select item_key from {{ left_out }} where item_key is not null){% endif -%}
{%- endmacro %}

{#- Conditions on raw rows: their export is the base, or a window, of one of these segments. -#}
{% macro is_in_bases(segments) %}
    {%- set ids = segments | map(attribute='base') | list -%}
    {{ is_in_exports(ids, segments[0].at if segments else none) }}
{%- endmacro %}

{% macro is_in_windows(segments) %}
    {%- set ids = segments | map(attribute='windows') | sum(start=[]) -%}
    {{ is_in_exports(ids, segments[0].at if segments else none) }}
{%- endmacro %}

{#- With the instant before which none of them was, by which BigQuery skips partitions. -#}
{% macro is_in_exports(ids, since) -%}
    {%- if not ids -%}
        false
    {%- else -%}
        _exported_at >= {{ timestamp_from_micros(since) }}
        and _export_id in ({% for id in ids %}{{ dbt.string_literal(dbt.escape_single_quotes(id)) }}{{ ', ' if not loop.last }}{% endfor %})
    {%- endif -%}
{%- endmacro %}

{#- (export_id, segment, next_base_at), a row a link. -#}
{% macro link_rows(segments) %}
    {%- set rows = [] -%}
    {%- for segment in segments -%}
        {%- set number = loop.index -%}
        {%- set next_at = 'null' if segment.next_at is none else segment.next_at -%}
        {%- for id in [segment.base] + segment.windows -%}
            {%- do rows.append((dbt.string_literal(dbt.escape_single_quotes(id)), number, next_at)) -%}
        {%- endfor -%}
    {%- endfor -%}
    select export_id, segment, {{ timestamp_from_micros('next_micros') }} as next_base_at
    from {{ literal_rows(['export_id', 'segment', 'next_micros'], rows or [("''", 0, 'null')]) }}
{%- endmacro %}

{% macro literal_rows(names, rows) %}{{ return(adapter.dispatch('literal_rows')(names, rows)) }}{% endmacro %}

{% macro duckdb__literal_rows(names, rows) %}
    (values {% for row in rows %}({{ row | join(', ') }}){{ ', ' if not loop.last }}{% endfor %}) as literals ({{ names | join(', ') }})
{%- endmacro %}

{#- The first row names and types the columns. -#}
{% macro bigquery__literal_rows(names, rows) %}
    unnest([
        struct(cast(null as string) as {{ names[0] }}, cast(null as int64) as {{ names[1] }}, cast(null as int64) as {{ names[2] }}),
        {% for row in rows %}struct({{ row | join(', ') }}){{ ', ' if not loop.last }}{% endfor %}
    ])
{%- endmacro %}


{#- An instant, from microseconds since 1970-01-01 UTC, and back. -#}
{% macro timestamp_from_micros(micros) %}{{ return(adapter.dispatch('timestamp_from_micros')(micros)) }}{% endmacro %}

{% macro duckdb__timestamp_from_micros(micros) %}(make_timestamp(cast({{ micros }} as bigint)) at time zone 'UTC'){% endmacro %}

{% macro bigquery__timestamp_from_micros(micros) %}timestamp_micros({{ micros }}){% endmacro %}

{% macro micros_of_timestamp(column) %}{{ return(adapter.dispatch('micros_of_timestamp')(column)) }}{% endmacro %}

{% macro duckdb__micros_of_timestamp(column) %}epoch_us({{ column }}){% endmacro %}

{% macro bigquery__micros_of_timestamp(column) %}unix_micros({{ column }}){% endmacro %}


{#- JSON, from its text. -#}
{% macro json_of(text) %}{{ return(adapter.dispatch('json_of')(text)) }}{% endmacro %}

{% macro duckdb__json_of(text) %}{{ text }}{% endmacro %}

{% macro bigquery__json_of(text) %}parse_json({{ text }}){% endmacro %}


{#- An item that is not there. -#}
{% macro null_item() %}{{ return(adapter.dispatch('null_item')()) }}{% endmacro %}

{% macro duckdb__null_item() %}cast(null as varchar){% endmacro %}

{% macro bigquery__null_item() %}cast(null as json){% endmacro %}

{#- Text that is the same for two items just when their attributes are, whatever their order. -#}
{% macro canonical_item(item) %}{{ return(adapter.dispatch('canonical_item')(item)) }}{% endmacro %}

{% macro duckdb__canonical_item(item) %}cast(list_sort(map_entries(cast(cast({{ item }} as json) as map(varchar, json)))) as varchar){% endmacro %}

{% macro bigquery__canonical_item(item) %}to_json_string({{ item }}){% endmacro %}
