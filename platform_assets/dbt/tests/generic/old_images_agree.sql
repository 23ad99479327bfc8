{#- Of a staging model that selects from `dynamodb_contradictions`: there are none. Else a change is in no export. -#}
{% test old_images_agree(model) %}
select *
from {{ model }}
{% endtest %}
