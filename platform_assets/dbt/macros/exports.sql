{#-
  The exports that were loaded, and picking rows by them. What an export holds is known from its own record, not from
  its rows: an export without rows is an export too.
-#}

{#- A relation (source_name, table_name, export_id, exported_at), one row per loaded export. -#}
{% macro loaded_exports() %}{{ return(adapter.dispatch('loaded_exports')()) }}{% endmacro %}

{#- Exports that are being loaded lie in a hidden folder. Before the first is loaded there is no file, which read_json refuses. -#}
{% macro duckdb__loaded_exports() %}
    (
        select
            json_extract_string(content, '$.source') as source_name,
            json_extract_string(content, '$.table') as table_name,
            json_extract_string(content, '$.export_id') as export_id,
            cast(json_extract_string(content, '$.exported_at') as timestamptz) as exported_at
        from read_text('{{ env_var("PLATFORM_RAW", ".data/raw") }}/[!.]*/*/*/_export.json')
    )
{% endmacro %}

{% macro bigquery__loaded_exports() %}
    (select source_name, table_name, export_id, exported_at from {{ export_records() }})
{% endmacro %}


{#- The same as one build sees it: what is loaded while it runs is left to the next. -#}
{% macro exports_of_this_build() %}{{ return(adapter.dispatch('exports_of_this_build')()) }}{% endmacro %}

{% macro duckdb__exports_of_this_build() %}{{ loaded_exports() }}{% endmacro %}

{#- Up to the record that was last when the view was made: later records carry a later `loaded_at`. -#}
{% macro bigquery__exports_of_this_build() %}
    {%- set last = none -%}
    {%- if execute and model.resource_type == 'model' -%}
        {%- set last = run_query("select cast(max(loaded_at) as string) as instant from " ~ export_records()).rows[0]['instant'] -%}
    {%- endif -%}
    (
        select source_name, table_name, export_id, exported_at
        from {{ export_records() }}
        where {{ "loaded_at <= timestamp '" ~ last ~ "'" if last else 'false' }}
    )
{% endmacro %}

{% macro export_records() %}`{{ target.project }}`.`{{ raw_dataset() }}`.`_exports`{% endmacro %}


{#- A condition on raw rows: their export is one of those. -#}
{% macro is_in_loaded_export(source_name, table_name) %}
    _export_id in (
        select export_id
        from {{ ref('stg_exports') }}
        where source_name = '{{ source_name }}' and table_name = '{{ table_name }}'
    )
{%- endmacro %}


{#- A condition on raw rows: from the latest export of their table. -#}
{% macro is_in_latest_export(source_name, table_name) %}
    {{- return(adapter.dispatch('is_in_latest_export')(source_name, table_name)) -}}
{% endmacro %}

{% macro default__is_in_latest_export(source_name, table_name) %}
    _export_id = ({{ latest_export(source_name, table_name, 'export_id') }}
    )
{%- endmacro %}

{#- Literals, looked up when the view is made: BigQuery skips partitions for constants only. -#}
{% macro bigquery__is_in_latest_export(source_name, table_name) %}
    {%- set condition = default__is_in_latest_export(source_name, table_name) -%}
    {%- if execute and model.resource_type == 'model' -%}
        {%- set columns = 'export_id, cast(timestamp_trunc(exported_at, day) as string) as day' -%}
        {%- set export = run_query(latest_export(source_name, table_name, columns)).rows | first -%}
        {%- if export -%}
            {%- set export_id = dbt.string_literal(dbt.escape_single_quotes(export['export_id'])) -%}
            {%- set condition = "_export_id = " ~ export_id ~ " and timestamp_trunc(_exported_at, day) = timestamp '" ~ export['day'] ~ "'" -%}
        {%- else -%}
            {%- set condition = 'false' -%}
        {%- endif -%}
    {%- endif -%}
    {{ condition }}
{%- endmacro %}

{% macro latest_export(source_name, table_name, columns) %}
        select {{ columns }}
        from {{ ref('stg_exports') }}
        where source_name = '{{ source_name }}' and table_name = '{{ table_name }}'
        order by exported_at desc, export_id desc
        limit 1
{%- endmacro %}


{#- When the latest export of a table, full or incremental, was taken: what `dbt source freshness` compares with now. -#}
{% macro latest_exported_at(source_name, table_name) %}
select max(exported_at)
from {{ loaded_exports() }} as exports
where source_name = '{{ source_name }}' and table_name in ('{{ table_name }}', '{{ table_name }}__changes')
{% endmacro %}


{#-
  The rows of a raw table's exports that were left out because they are broken: a relation (_export_id, _exported_at, file, line,
  reason, key, text, unknown_from). `key` is JSON, null where it cannot be read; from `unknown_from` on it is not known what the key holds.
-#}
{% macro quarantined_rows(source_name, table_name) %}{{ return(adapter.dispatch('quarantined_rows')(source_name, table_name)) }}{% endmacro %}

{#- Before the first row is left out there is no file, which read_parquet refuses. -#}
{% macro duckdb__quarantined_rows(source_name, table_name) %}
    {%- set files = env_var('PLATFORM_RAW', '.data/raw') ~ '/' ~ source_name ~ '/' ~ table_name ~ '/*/_quarantine/*.parquet' -%}
    {%- if execute and run_query("select count(*) as files from glob('" ~ files ~ "')").rows[0]['files'] | int -%}
    (select * from read_parquet('{{ files }}', hive_partitioning = false))
    {%- else -%}
    {{ no_quarantined_rows() }}
    {%- endif -%}
{% endmacro %}

{% macro bigquery__quarantined_rows(source_name, table_name) %}
    {%- set there = adapter.get_relation(target.project, raw_dataset(), source_name ~ '__' ~ table_name ~ '__quarantine') if execute -%}
    {%- if there -%}
    (select * from {{ there }})
    {%- else -%}
    {{ no_quarantined_rows() }}
    {%- endif -%}
{% endmacro %}

{% macro no_quarantined_rows() %}
    (
        select
            {%- for name in ['_export_id', 'file', 'reason', 'key', 'text'] %}
            cast(null as {{ dbt.type_string() }}) as {{ name }},
            {%- endfor %}
            cast(null as {{ dbt.type_bigint() }}) as line,
            cast(null as {{ timestamp_type() }}) as _exported_at,
            cast(null as {{ timestamp_type() }}) as unknown_from
        limit 0
    )
{% endmacro %}
