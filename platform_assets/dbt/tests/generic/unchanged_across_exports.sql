{#-
  No key ever had two values of `columns` in any two exports: what a mart with `history: immutable` relies on.
  `model` is a staging model with the rows of all exports.
-#}
{% test unchanged_across_exports(model, key, columns) %}
select {{ key }}
from {{ model }}
group by {{ key }}
having count(distinct {{ text_of(columns) }}) > 1
{% endtest %}
