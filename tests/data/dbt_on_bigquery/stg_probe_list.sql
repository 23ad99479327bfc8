{#- A list of texts with an element that is none. -#}
{{ dynamodb_select(
    "(select json '{\"words\": {\"L\": [{\"S\": \"a\"}, {\"NULL\": true}, {\"N\": \"5\"}]}}' as Item)",
    [{'name': 'words', 'path': ['words'], 'tags': ['L'], 'type': 'texts'}],
    where='true',
) }}
