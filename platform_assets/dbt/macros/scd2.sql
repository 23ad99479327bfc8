{#-
  A slowly changing dimension from successive full exports: a select with one row per version of a key.

  rows: relation with `key`, `attributes`, `_export_id`, one row per key and export.
  exports: relation (export_id, exported_at), one row per export, those without rows included.
  A version begins with the export that first shows it (`valid_from`) and ends with the next export that shows the key
  otherwise or not at all (`valid_to`, null while it lasts). What an export shows is known from that export on, not before.
-#}
{% macro scd2(rows, exports, key, attributes) %}
with numbered_exports as (
    select
        export_id,
        exported_at,
        row_number() over (order by exported_at, export_id) as export_number
    from {{ exports }}
),

observed as (
    select
        seen.{{ key }},
        {%- for attribute in attributes %}
        seen.{{ attribute }},
        lag(seen.{{ attribute }}) over of_key as previous_{{ attribute }},
        {%- endfor %}
        numbered_exports.export_number,
        lag(numbered_exports.export_number) over of_key as previous_export_number
    from {{ rows }} as seen
    inner join numbered_exports on numbered_exports.export_id = seen._export_id
    window of_key as (partition by seen.{{ key }} order by numbered_exports.export_number)
),

marked as (
    select
        *,
        case
            when previous_export_number is null then 1
            when previous_export_number <> export_number - 1 then 1
            {%- for attribute in attributes %}
            when {{ attribute }} is distinct from previous_{{ attribute }} then 1
            {%- endfor %}
            else 0
        end as begins_version
    from observed
),

versioned as (
    select
        *,
        sum(begins_version) over (partition by {{ key }} order by export_number rows unbounded preceding) as version_number
    from marked
),

versions as (
    select
        {{ key }},
        version_number,
        {%- for attribute in attributes %}
        min({{ attribute }}) as {{ attribute }},
        {%- endfor %}
        min(export_number) as first_export_number,
        max(export_number) as last_export_number
    from versioned
    group by {{ key }}, version_number
)

select
    versions.{{ key }},
    {%- for attribute in attributes %}
    versions.{{ attribute }},
    {%- endfor %}
    opening.exported_at as valid_from,
    closing.exported_at as valid_to
from versions
inner join numbered_exports as opening on opening.export_number = versions.first_export_number
left join numbered_exports as closing on closing.export_number = versions.last_export_number + 1
{% endmacro %}
