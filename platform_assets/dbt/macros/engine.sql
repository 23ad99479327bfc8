{#- What DuckDB and BigQuery write differently, one macro a difference; models call these and stay the same. -#}

{#- An instant, from a timestamp without zone that is meant in UTC (as Aurora exports it), or with one. -#}
{% macro utc_timestamp(column) %}{{ return(adapter.dispatch('utc_timestamp')(column)) }}{% endmacro %}

{% macro duckdb__utc_timestamp(column) %}(cast({{ column }} as timestamp) at time zone 'UTC'){% endmacro %}

{#- A cast, because raw columns may be DATETIME, TIMESTAMP or text, as the export has them; BigQuery's zone is UTC. -#}
{% macro bigquery__utc_timestamp(column) %}cast({{ column }} as timestamp){% endmacro %}


{#- An instant, from seconds since 1970-01-01 UTC. -#}
{% macro timestamp_from_epoch(seconds) %}{{ return(adapter.dispatch('timestamp_from_epoch')(seconds)) }}{% endmacro %}

{% macro duckdb__timestamp_from_epoch(seconds) %}to_timestamp({{ seconds }}){% endmacro %}

{% macro bigquery__timestamp_from_epoch(seconds) %}timestamp_seconds({{ seconds }}){% endmacro %}


{#- An instant, from milliseconds since 1970-01-01 UTC. -#}
{% macro timestamp_from_epoch_milliseconds(milliseconds) %}{{ return(adapter.dispatch('timestamp_from_epoch_milliseconds')(milliseconds)) }}{% endmacro %}

{% macro duckdb__timestamp_from_epoch_milliseconds(milliseconds) %}(make_timestamp(1000 * ({{ milliseconds }})) at time zone 'UTC'){% endmacro %}

{% macro bigquery__timestamp_from_epoch_milliseconds(milliseconds) %}timestamp_millis({{ milliseconds }}){% endmacro %}


{#- Seconds since 1970-01-01 UTC, bigint, from an instant. -#}
{% macro epoch_of_timestamp(column) %}{{ return(adapter.dispatch('epoch_of_timestamp')(column)) }}{% endmacro %}

{% macro duckdb__epoch_of_timestamp(column) %}cast(floor(epoch({{ column }})) as bigint){% endmacro %}

{% macro bigquery__epoch_of_timestamp(column) %}unix_seconds({{ column }}){% endmacro %}


{#- The type of exact numbers with `scale` decimals; 9 is what both engines hold alike. -#}
{% macro decimal_type(scale=9) %}{{ return(adapter.dispatch('decimal_type')(scale)) }}{% endmacro %}

{% macro duckdb__decimal_type(scale) %}decimal(38, {{ scale }}){% endmacro %}

{% macro bigquery__decimal_type(scale) %}{{ 'numeric' if scale == 9 else 'bignumeric' }}{% endmacro %}


{#-
  A column of decimals with `scale` decimals. Engines round surplus decimals in silence, and a column may be given more of them at
  its source; here a number that does not fit stops the build.
-#}
{% macro decimal_of(column, scale=9) %}
    {%- set text = 'cast(' ~ column ~ ' as ' ~ dbt.type_string() ~ ')' -%}
    case
        when {{ text_matches(text, '[.][0-9]{' ~ scale ~ '}[0-9]*[1-9]') }} then cast(error('column {{ column | replace("`", "") | replace('"', "") | replace("'", "") }} holds a number that {{ scale }} decimals cannot hold exactly; read it as text, or with more decimals') as {{ decimal_type(scale) }})
        else cast({{ column }} as {{ decimal_type(scale) }})
    end
{%- endmacro %}


{#- The type of numbers with a floating point, of 64 bits. -#}
{% macro float_type() %}{{ return(adapter.dispatch('float_type')()) }}{% endmacro %}

{% macro duckdb__float_type() %}double{% endmacro %}

{% macro bigquery__float_type() %}float64{% endmacro %}


{#- The type of an instant. -#}
{% macro timestamp_type() %}{{ return(adapter.dispatch('timestamp_type')()) }}{% endmacro %}

{% macro duckdb__timestamp_type() %}timestamptz{% endmacro %}

{% macro bigquery__timestamp_type() %}timestamp{% endmacro %}


{#- Whether text matches a regular expression somewhere. -#}
{% macro text_matches(text, pattern) %}{{ return(adapter.dispatch('text_matches')(text, pattern)) }}{% endmacro %}

{% macro duckdb__text_matches(text, pattern) %}regexp_matches({{ text }}, '{{ pattern }}'){% endmacro %}

{% macro bigquery__text_matches(text, pattern) %}regexp_contains({{ text }}, r'{{ pattern }}'){% endmacro %}


{#- An array of strings without elements. -#}
{% macro no_strings() %}{{ return(adapter.dispatch('no_strings')()) }}{% endmacro %}

{% macro duckdb__no_strings() %}cast([] as varchar[]){% endmacro %}

{% macro bigquery__no_strings() %}array<string>[]{% endmacro %}


{#-
  Text that is the same for two rows just when these columns are; BigQuery takes arrays in neither `distinct` nor
  `group by`.
-#}
{% macro text_of(columns) %}{{ return(adapter.dispatch('text_of')(columns)) }}{% endmacro %}

{% macro duckdb__text_of(columns) %}cast(to_json([{% for column in columns %}to_json({{ column }}){{ ', ' if not loop.last }}{% endfor %}]) as varchar){% endmacro %}

{% macro bigquery__text_of(columns) %}to_json_string(struct({{ columns | join(', ') }})){% endmacro %}
