-- refused
-- The table-valued twins of PRAGMA
SELECT * FROM pragma_database_list
SELECT * FROM pragma_database_list()
SELECT file FROM pragma_database_list
SELECT * FROM pragma_compile_options
SELECT * FROM pragma_function_list
SELECT * FROM pragma_module_list
SELECT * FROM pragma_pragma_list
SELECT * FROM pragma_table_info('secrets')
SELECT * FROM pragma_table_info('pay')
SELECT * FROM pragma_table_xinfo('secrets')
SELECT * FROM pragma_foreign_key_list('secrets')
SELECT * FROM pragma_index_list('secrets')
SELECT * FROM pragma_index_info('sqlite_autoindex_secrets_1')
SELECT * FROM pragma_user_version
SELECT * FROM pragma_journal_mode
SELECT * FROM pragma_query_only
SELECT * FROM pragma_integrity_check
SELECT * FROM pragma_freelist_count
SELECT * FROM pragma_data_version
SELECT * FROM main.pragma_database_list
SELECT name FROM customers WHERE 1 IN pragma_freelist_count
SELECT name FROM customers WHERE name IN (SELECT file FROM pragma_database_list)
SELECT * FROM PRAGMA_DATABASE_LIST
SELECT * FROM "pragma_database_list"
SELECT p.name FROM customers AS c, pragma_table_info('sec' || 'rets') AS p
SELECT p.name FROM customers AS c, pragma_table_info(c.name) AS p
SELECT pragma_table_info('customers')
