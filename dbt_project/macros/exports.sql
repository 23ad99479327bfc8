{#-
  The exports that were loaded, and picking rows by them. What an export holds is known from its own record, not from
  its rows: an export without rows is an export too.
-#}

{#- A relation (source_name, table_name, export_id, exported_at), one row per loaded export. -#}
{% macro loaded_exports() %}{{ return(adapter.dispatch('loaded_exports')()) }}{% endmacro %}

{#- Exports that are being loaded lie in a hidden folder. -#}
{% macro duckdb__loaded_exports() %}
    (
        select
            cast("source" as varchar) as source_name,
            cast("table" as varchar) as table_name,
            cast(export_id as varchar) as export_id,
            cast(cast(exported_at as varchar) as timestamptz) as exported_at
        from read_json(
            '{{ env_var("PLATFORM_RAW", ".data/raw") }}/[!.]*/*/*/_export.json',
            columns = {source: 'VARCHAR', "table": 'VARCHAR', export_id: 'VARCHAR', exported_at: 'VARCHAR'}
        )
    )
{% endmacro %}

{% macro bigquery__loaded_exports() %}
    (select source_name, table_name, export_id, exported_at from {{ target.project }}.raw._exports)
{% endmacro %}


{#- A condition on raw rows: from the latest export of their table. -#}
{% macro is_in_latest_export(source_name, table_name) %}
    _export_id = (
        select export_id
        from {{ ref('stg_exports') }}
        where source_name = '{{ source_name }}' and table_name = '{{ table_name }}'
        order by exported_at desc, export_id desc
        limit 1
    )
{%- endmacro %}
