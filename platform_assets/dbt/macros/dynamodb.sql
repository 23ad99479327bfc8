{#-
  Typed values out of DynamoDB's JSON (`{"plan": {"S": "pro"}, "seats": {"N": "3"}}`), one macro a type.

  `item` is the raw column (`Item`). `path` names an attribute: `'plan'`, `'profile.plan'` (`.` goes into a map),
  `'visits[0]'` (`[i]` goes into a list), or a list of parts such as `['a.b', 0]` when a name holds a dot or bracket.
  An attribute that is absent, or NULL, or of another type, reads as null (sets and lists: as empty);
  `dynamodb_has` and `dynamodb_is_null` tell these apart.
-#}

{#- JSON path of an attribute's value: ('profile.plan', 'S') → $."profile"."M"."plan"."S"; without type, the attribute. -#}
{% macro dynamodb_path(path, type=none) %}
    {%- if path is string -%}
        {%- set parts = [] -%}
        {%- for step in path.split('.') -%}
            {%- set pieces = step.replace(']', '').split('[') -%}
            {%- do parts.append(pieces[0]) -%}
            {%- for index in pieces[1:] -%}{%- do parts.append(index | int) -%}{%- endfor -%}
        {%- endfor -%}
    {%- else -%}
        {%- set parts = path -%}
    {%- endif -%}
    {%- set steps = ['$'] -%}
    {%- for part in parts -%}
        {%- if part is string -%}
            {%- if '"' in part or "'" in part or '\\' in part -%}
                {{ exceptions.raise_compiler_error("dynamodb_path: attribute name " ~ part ~ " holds a quote or backslash, which JSON paths cannot hold on both engines; rename it in an earlier model") }}
            {%- endif -%}
            {%- if not loop.first -%}{%- do steps.append('."M"') -%}{%- endif -%}
            {%- do steps.append('."' ~ part ~ '"') -%}
        {%- else -%}
            {%- do steps.append('."L"[' ~ part ~ ']') -%}
        {%- endif -%}
    {%- endfor -%}
    {%- if type is not none -%}{%- do steps.append('."' ~ type ~ '"') -%}{%- endif -%}
    {{ return(steps | join('')) }}
{% endmacro %}


{#- S: text. -#}
{% macro dynamodb_string(item, path) %}{{ dynamodb_scalar(item, dynamodb_path(path, 'S')) }}{% endmacro %}

{#- N as DynamoDB wrote it: text, all of its up to 38 digits. -#}
{% macro dynamodb_number_text(item, path) %}{{ dynamodb_scalar(item, dynamodb_path(path, 'N')) }}{% endmacro %}

{#-
  N as an exact decimal. Engines round surplus decimals in silence; here a number that does not fit `scale` decimals
  stops the build. Keep `dynamodb_number_text` beside it, or ask for another scale (0 holds 38-digit integers).
-#}
{% macro dynamodb_number(item, path, scale=9) %}{{ exact_decimal(dynamodb_number_text(item, path), path, scale) }}{% endmacro %}

{#- N as bigint; a number with decimals, or beyond 64 bits, stops the build. -#}
{% macro dynamodb_integer(item, path) %}{{ exact_integer(dynamodb_number_text(item, path), path) }}{% endmacro %}

{#- BOOL: boolean. -#}
{% macro dynamodb_boolean(item, path) %}cast({{ dynamodb_scalar(item, dynamodb_path(path, 'BOOL')) }} as boolean){% endmacro %}

{#- An instant, from N (seconds since 1970 UTC) or from S (ISO 8601; UTC where it names no offset). -#}
{% macro dynamodb_timestamp(item, path, type='N') %}
    {%- if type == 'N' -%}
        {{ timestamp_from_epoch(dynamodb_integer(item, path)) }}
    {%- elif type == 'S' -%}
        cast({{ dynamodb_string(item, path) }} as {{ timestamp_type() }})
    {%- else -%}
        {{ exceptions.raise_compiler_error("dynamodb_timestamp: type is N (epoch seconds) or S (ISO 8601), not " ~ type) }}
    {%- endif -%}
{% endmacro %}

{#- SS: array of text, sorted. -#}
{% macro dynamodb_string_set(item, path) %}{{ sorted_array(dynamodb_texts(item, dynamodb_path(path, 'SS'))) }}{% endmacro %}

{#- NS: array of decimals with `scale` decimals, sorted by value; a number that does not fit stops the build. -#}
{% macro dynamodb_number_set(item, path, scale=9) %}
    {{- sorted_array(array_as_decimal(dynamodb_texts(item, dynamodb_path(path, 'NS')), path, scale)) -}}
{% endmacro %}

{#- L: array of JSON, each element still typed (`{"S": "…"}`). -#}
{% macro dynamodb_list(item, path) %}{{ dynamodb_parts(item, dynamodb_path(path, 'L')) }}{% endmacro %}

{#- M: JSON, its attributes still typed; the other macros take it as `item`. -#}
{% macro dynamodb_map(item, path) %}{{ dynamodb_part(item, dynamodb_path(path, 'M')) }}{% endmacro %}

{#- Whether the attribute is there, NULL included. -#}
{% macro dynamodb_has(item, path) %}({{ dynamodb_part(item, dynamodb_path(path)) }} is not null){% endmacro %}

{#- Whether the attribute is there and NULL. -#}
{% macro dynamodb_is_null(item, path) %}coalesce({{ dynamodb_scalar(item, dynamodb_path(path, 'NULL')) }} = 'true', false){% endmacro %}


{#- Text of a number as decimal and as bigint, or the build stops. -#}
{% macro exact_decimal(text, attribute, scale=9) %}
    {%- set pattern = '[eE]|[.][0-9]{' ~ scale ~ '}[0-9]*[1-9]|^-?[0-9]{' ~ (39 - scale) ~ '}' -%}
    case
        when {{ text_matches(text, pattern) }} then cast(error('{{ attribute_named(attribute) }} holds a number that {{ scale }} decimals cannot hold exactly; read it with dynamodb_number_text') as {{ decimal_type(scale) }})
        else cast({{ text }} as {{ decimal_type(scale) }})
    end
{%- endmacro %}

{% macro exact_integer(text, attribute) %}
    case
        when {{ text_matches(text, '[^-0-9]|[0-9]{20}') }} then cast(error('{{ attribute_named(attribute) }} holds a number that is no integer of 64 bits; read it with dynamodb_number') as bigint)
        else cast({{ text }} as bigint)
    end
{%- endmacro %}

{% macro attribute_named(attribute) -%}
    attribute {{ (attribute if attribute is string else attribute | join('.')) | replace("'", "") }}
{%- endmacro %}


{#- The primitives, one implementation an engine. -#}

{#- Text of the scalar at a JSON path. -#}
{% macro dynamodb_scalar(item, json_path) %}{{ return(adapter.dispatch('dynamodb_scalar')(item, json_path)) }}{% endmacro %}

{% macro duckdb__dynamodb_scalar(item, json_path) %}json_extract_string({{ item }}, '{{ json_path }}'){% endmacro %}

{% macro bigquery__dynamodb_scalar(item, json_path) %}json_value({{ item }}, '{{ json_path }}'){% endmacro %}


{#- The JSON at a JSON path. -#}
{% macro dynamodb_part(item, json_path) %}{{ return(adapter.dispatch('dynamodb_part')(item, json_path)) }}{% endmacro %}

{% macro duckdb__dynamodb_part(item, json_path) %}json_extract({{ item }}, '{{ json_path }}'){% endmacro %}

{% macro bigquery__dynamodb_part(item, json_path) %}json_query({{ item }}, '{{ json_path }}'){% endmacro %}


{#- Array of the texts in the JSON array at a path; empty when there is none. -#}
{% macro dynamodb_texts(item, json_path) %}{{ return(adapter.dispatch('dynamodb_texts')(item, json_path)) }}{% endmacro %}

{% macro duckdb__dynamodb_texts(item, json_path) %}coalesce(json_extract_string({{ item }}, '{{ json_path }}[*]'), []){% endmacro %}

{% macro bigquery__dynamodb_texts(item, json_path) %}coalesce(json_value_array({{ item }}, '{{ json_path }}'), array<string>[]){% endmacro %}


{#- Array of the JSON values in the JSON array at a path; empty when there is none. -#}
{% macro dynamodb_parts(item, json_path) %}{{ return(adapter.dispatch('dynamodb_parts')(item, json_path)) }}{% endmacro %}

{% macro duckdb__dynamodb_parts(item, json_path) %}coalesce(json_extract({{ item }}, '{{ json_path }}[*]'), []){% endmacro %}

{% macro bigquery__dynamodb_parts(item, json_path) %}coalesce(json_query_array({{ item }}, '{{ json_path }}'), array<json>[]){% endmacro %}


{#- An array in ascending order. -#}
{% macro sorted_array(array) %}{{ return(adapter.dispatch('sorted_array')(array)) }}{% endmacro %}

{% macro duckdb__sorted_array(array) %}list_sort({{ array }}){% endmacro %}

{% macro bigquery__sorted_array(array) %}array(select element from unnest({{ array }}) as element order by element){% endmacro %}


{#- An array of texts as decimals, or the build stops. -#}
{% macro array_as_decimal(array, attribute, scale) %}{{ return(adapter.dispatch('array_as_decimal')(array, attribute, scale)) }}{% endmacro %}

{% macro duckdb__array_as_decimal(array, attribute, scale) %}list_transform({{ array }}, lambda element: {{ exact_decimal('element', attribute, scale) }}){% endmacro %}

{% macro bigquery__array_as_decimal(array, attribute, scale) %}array(select {{ exact_decimal('element', attribute, scale) }} from unnest({{ array }}) as element){% endmacro %}
