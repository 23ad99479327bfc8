select source_name, table_name, export_id, exported_at
from {{ loaded_exports() }} as exports
