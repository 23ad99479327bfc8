{#- Where tables and views stand. -#}

{#- DuckDB: schemas as configured (`staging`, `marts`), without the profile's schema in front. -#}
{% macro generate_schema_name(custom_schema_name, node) %}
    {{- return(adapter.dispatch('generate_schema_name')(custom_schema_name, node)) -}}
{% endmacro %}

{% macro duckdb__generate_schema_name(custom_schema_name, node) -%}
    {{ (custom_schema_name or target.schema) | trim }}
{%- endmacro %}

{#- BigQuery: a dataset a stage and layer; marts are built aside, `<stage>_marts` holds what was published of them. -#}
{% macro bigquery__generate_schema_name(custom_schema_name, node) -%}
    {%- set layer = 'build' if custom_schema_name in (none, 'marts') else custom_schema_name | trim -%}
    {{ env_var('PLATFORM_STAGE', 'dev') }}_{{ layer }}
{%- endmacro %}


{#- BigQuery: the dataset of the raw tables; slim CI reads another stage's. -#}
{% macro raw_dataset() %}{{ env_var('PLATFORM_RAW_STAGE', env_var('PLATFORM_STAGE', 'dev')) }}_raw{% endmacro %}
