{#- Versions of a key follow each other: each begins before it ends, and none begins before the one before it ends. -#}
{% test versions_do_not_overlap(model, key) %}
select {{ key }}
from (
    select
        {{ key }},
        valid_from,
        valid_to,
        lead(valid_from) over (partition by {{ key }} order by valid_from) as next_valid_from
    from {{ model }}
) as versions
where valid_to <= valid_from
    or next_valid_from < valid_to
    or (valid_to is null and next_valid_from is not null)
{% endtest %}
