-- Publishes one table of one export that a transfer has landed, and records it as loaded: both or neither.
-- ${STAGE}, ${SOURCE} and ${TABLE} are filled in by envsubst; parameters: export_id, exported_at, landed_on (UTC date).
-- It refuses an empty landing and an export that was recorded with other rows. Run again, it changes nothing.
declare landed_rows int64;
declare landed_hash string;

create table if not exists ${STAGE}_raw._exports (
  source_name string options (description = 'The source, as its folder of declarations is called.'),
  table_name string options (description = 'The table, as the source declares it.'),
  export_id string options (description = 'The export, as AWS called it.'),
  exported_at timestamp options (description = 'The instant at which the export shows the table.'),
  content_hash string options (description = 'sha256 of the rows that landed.'),
  row_count int64 options (description = 'Rows of the table in this export.'),
  loaded_at timestamp options (description = 'When it was loaded.')
);

create table if not exists ${STAGE}_raw.${SOURCE}__${TABLE}
partition by timestamp_trunc(_exported_at, day) cluster by _export_id as
select *, cast(null as string) as _export_id, cast(null as timestamp) as _exported_at
from ${STAGE}_landing.${SOURCE}__${TABLE}
where false;

set landed_rows = (select count(*) from ${STAGE}_landing.${SOURCE}__${TABLE} where _PARTITIONDATE = @landed_on);

-- A sum does not depend on the order of rows, and two equal rows count twice.
set landed_hash = (
  select to_hex(sha256(cast(sum(cast(farm_fingerprint(to_json_string(landed)) as numeric)) as string)))
  from ${STAGE}_landing.${SOURCE}__${TABLE} as landed
  where _PARTITIONDATE = @landed_on
);

assert landed_rows > 0 as
  'Nothing landed in ${STAGE}_landing.${SOURCE}__${TABLE} on this day: look at the runs of its transfer.';

assert not exists (
  select 1 from ${STAGE}_raw._exports
  where source_name = '${SOURCE}' and table_name = '${TABLE}' and export_id = @export_id and content_hash != landed_hash
) as 'This export of ${SOURCE}.${TABLE} was recorded with other rows. An export never changes under its id.';

begin transaction;

delete from ${STAGE}_raw.${SOURCE}__${TABLE} where _export_id = @export_id and _exported_at = @exported_at;

insert into ${STAGE}_raw.${SOURCE}__${TABLE}
select *, @export_id, @exported_at from ${STAGE}_landing.${SOURCE}__${TABLE} where _PARTITIONDATE = @landed_on;

delete from ${STAGE}_raw._exports
where source_name = '${SOURCE}' and table_name = '${TABLE}' and export_id = @export_id;

insert into ${STAGE}_raw._exports
values ('${SOURCE}', '${TABLE}', @export_id, @exported_at, landed_hash, landed_rows, current_timestamp());

commit transaction;
