{#- What BigQuery's job labels say of each job of a build, as JSON; DuckDB shows it as a comment. -#}
{% macro job_labels(node) %}
    {%- set labels = {'app': 'audience_platform', 'environment': env_var('PLATFORM_STAGE', 'dev')} -%}
    {%- if node -%}
        {%- do labels.update(layer=node.fqn[1], node=node.name) -%}
    {%- endif -%}
    {{ return(tojson(labels)) }}
{% endmacro %}
