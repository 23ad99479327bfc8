{#- No event lies at or after the instant its table was exported: a later one means a wrong clock or time zone. -#}
{% test before_latest_export(model, column_name, source_name, table_name) %}
select {{ column_name }}
from {{ model }}
where {{ column_name }} >= (
    select max(exported_at)
    from {{ ref('stg_exports') }}
    where source_name = '{{ source_name }}' and table_name in ('{{ table_name }}', '{{ table_name }}__changes')
)
{% endtest %}
