select
    {{ dynamodb_integer('Item', 'viewer_id') }} as viewer_id,
    {{ dynamodb_integer('Item', 'age') }} as age,
    {{ dynamodb_string('Item', 'gender') }} as gender,
    {{ dynamodb_string('Item', 'occupation') }} as occupation,
    {{ dynamodb_string('Item', 'zip_code') }} as zip_code,
    _export_id
from {{ source('movies', 'viewers') }}
where {{ is_in_loaded_export('movies', 'viewers') }}
