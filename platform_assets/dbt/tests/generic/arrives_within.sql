{#-
  No event was known later than so many hours after its time: features as of a day would not have had it. `known_from` names the
  instant since when it is known, null where that is not told; `hours` is the `arrival_lag` of the mart.
-#}
{% test arrives_within(model, column_name, known_from, hours) %}
select {{ column_name }}, {{ known_from }}
from {{ model }}
where {{ micros_of_timestamp(known_from) }} - {{ micros_of_timestamp(column_name) }} > {{ hours }} * 3600000000
{% endtest %}
