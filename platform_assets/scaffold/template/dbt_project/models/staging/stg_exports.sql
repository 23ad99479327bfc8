select source_name, table_name, export_id, exported_at
from {{ exports_of_this_build() }} as exports
