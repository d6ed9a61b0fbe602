-- refused
-- Settings, and readings that say more than the schema
PRAGMA query_only = 0
PRAGMA query_only
PRAGMA writable_schema = ON
PRAGMA writable_schema(1)
PRAGMA journal_mode = WAL
PRAGMA journal_mode
PRAGMA main.journal_mode = DELETE
PRAGMA synchronous = OFF
PRAGMA user_version = 7
PRAGMA application_id = 7
PRAGMA schema_version = 1
PRAGMA foreign_keys = OFF
PRAGMA ignore_check_constraints = 1
PRAGMA trusted_schema = 1
PRAGMA cell_size_check = 0
PRAGMA temp_store = 2
PRAGMA temp_store_directory = '/tmp'
PRAGMA data_store_directory = '/tmp'
PRAGMA mmap_size = 1099511627776
PRAGMA cache_size = -99999999
PRAGMA hard_heap_limit = 0
PRAGMA soft_heap_limit = 0
PRAGMA max_page_count = 1
PRAGMA page_size = 512
PRAGMA auto_vacuum = 1
PRAGMA incremental_vacuum
PRAGMA wal_checkpoint(TRUNCATE)
PRAGMA optimize
PRAGMA integrity_check
PRAGMA quick_check
PRAGMA database_list
PRAGMA compile_options
PRAGMA function_list
PRAGMA module_list
PRAGMA key = 'x'
PRAGMA rekey = 'x'
PRAGMA locking_mode = EXCLUSIVE
PRAGMA secure_delete = 0
PRAGMA encoding = 'UTF-16'
PRAGMA case_sensitive_like = 1
PRAGMA shrink_memory
PRAGMA threads = 64
PRAGMA table_info(secrets)
PRAGMA table_xinfo('secrets')
PRAGMA foreign_key_list(secrets)
PRAGMA table_info(pay)
PRAGMA table_info = customers; DROP TABLE customers
PRAGMA table_info(nosuchtable)
PRAGMA temp.table_info(customers)
