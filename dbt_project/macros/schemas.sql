{#- Schemas are called as configured (`staging`, `marts`), without the profile's schema in front. -#}
{% macro generate_schema_name(custom_schema_name, node) -%}
    {{ (custom_schema_name or target.schema) | trim }}
{%- endmacro %}
