{#-
  Building an event mart day by day (BigQuery) or whole (DuckDB).

  Exports are full: any day's rows may differ from those built before, and a day may come, or vanish. Each build
  compares the days as the latest export has them with the days as they are built, by number and hash of their rows,
  and overwrites exactly those that differ. What comes out is what a full rebuild would make.
-#}

{#- Around a select with one row per event; `event_time` is the column that the mart is partitioned by. -#}
{% macro by_changed_days(event_time) %}{{ adapter.dispatch('by_changed_days')(caller(), event_time) }}{% endmacro %}

{% macro duckdb__by_changed_days(events, event_time) %}{{ events }}{% endmacro %}

{% macro bigquery__by_changed_days(events, event_time) %}
    {%- if execute and 'not_null' not in model.columns[event_time].constraints | map(attribute='type') -%}
        {{ exceptions.raise_compiler_error("mart " ~ model.name ~ ": a row without " ~ event_time ~ " belongs to no day; give the column `constraints: [{type: not_null}]` in its YAML") }}
    {%- endif -%}
    {%- if not is_incremental() -%}
        {{ events }}
    {%- else -%}
        {%- set days = changed_days(events, event_time) -%}
        {%- do log(model.name ~ ": days that differ from the latest export: " ~ days | length, info=true) -%}
        {#- dbt takes `partitions` from the node when it writes; a config() block counts only while parsing. -#}
        {%- do config.model.config.extra.update(partitions=days or [day_literal(none)]) -%}
select *
from ({{ events }}) as events
        {%- if days %}
-- Rows without a time are let through, so that the contract refuses them.
where timestamp_trunc({{ event_time }}, day) in ({{ days | join(', ') }}) or {{ event_time }} is null
        {%- else %}
where false
        {%- endif %}
    {%- endif -%}
{% endmacro %}


{#- The days that differ between a select and the built table, as SQL literals. -#}
{% macro changed_days(events, event_time) %}
    {%- set query %}
with latest as ({{ days_of("(" ~ events ~ ")", event_time) }}),
built as ({{ days_of(this, event_time) }})

select cast(coalesce(latest.day, built.day) as string) as day
from latest
full outer join built on built.day = latest.day
where latest.content is distinct from built.content
order by day
    {%- endset -%}
    {%- set days = [] -%}
    {%- for row in run_query(query).rows -%}
        {%- do days.append(day_literal(row['day'])) -%}
    {%- endfor -%}
    {{ return(days) }}
{% endmacro %}

{#- One row per day: its events' number and hashes. The sum tells doubled rows apart, which cancel out in the xor. -#}
{% macro days_of(relation, event_time) %}
    select
        day,
        to_json_string(struct(count(*) as row_count, bit_xor(row_hash) as hash_xor, sum(row_hash & 0xFFFFFFFF) as hash_sum)) as content
    from (
        select
            timestamp_trunc({{ event_time }}, day) as day,
            farm_fingerprint({{ text_of(model.columns.keys()) }}) as row_hash
        from {{ relation }} as events
    ) as hashed
    group by day
{% endmacro %}

{% macro day_literal(day) %}
    {{- return("timestamp '" ~ day ~ "'" if day is not none else 'cast(null as timestamp)') -}}
{% endmacro %}


{#-
  dbt's own condition, and: the built table has other columns, partitions or clusters than the model says. The days that
  did not change would keep them.
-#}
{% macro should_full_refresh() %}
    {{- return(dbt.should_full_refresh() or adapter.dispatch('is_built_differently')()) -}}
{% endmacro %}

{% macro default__is_built_differently() %}{{ return(false) }}{% endmacro %}

{% macro bigquery__is_built_differently() %}
    {%- if not execute or config.get('materialized') != 'incremental' -%}{{ return(false) }}{%- endif -%}
    {%- set built = load_relation(this) -%}
    {%- if built is none or not built.is_table -%}{{ return(false) }}{%- endif -%}
    {%- set partition = adapter.parse_partition_by(config.get('partition_by')) -%}
    {%- set columns = adapter.get_columns_in_relation(built) -%}
    {%- set stated = adapter.get_column_schema_from_query(get_empty_schema_sql(model.columns)) -%}
    {{ return(
        not adapter.is_replaceable(built, partition, config.get('cluster_by'))
        or columns | map(attribute='name') | list != stated | map(attribute='name') | list
        or columns | map(attribute='data_type') | list != stated | map(attribute='data_type') | list
    ) }}
{% endmacro %}


{#- dbt-duckdb's own warns that only DuckLake has partitions; `partition_by` is meant for BigQuery alone. -#}
{% macro duckdb__get_partitioned_by(relation, temporary) %}{{ return(none) }}{% endmacro %}
