select
    cast(viewer_id as {{ dbt.type_string() }}) || '-' || cast({{ epoch_of_timestamp('valid_from') }} as {{ dbt.type_string() }}) as viewer_version_id,
    viewer_id,
    age,
    gender,
    occupation,
    zip_code,
    valid_from,
    valid_to
from (
    {{ scd2(
        rows=ref('stg_movies__viewers'),
        exports="(select export_id, exported_at from " ~ ref('stg_exports') ~ " where source_name = 'movies' and table_name = 'viewers')",
        key='viewer_id',
        attributes=['age', 'gender', 'occupation', 'zip_code'],
    ) }}
) as versions
