-- Run by start.sh on the primary, in database postgres, with :secrets (a directory). Can be run again.
\set ON_ERROR_STOP on
-- A failing statement would be logged, and with it a password.
SET log_min_error_statement = panic;
\set password_file :secrets '/password'
\set replication_file :secrets '/replication-password'
\setenv PASSWORD_FILE :password_file
\setenv REPLICATION_FILE :replication_file
\set password `cat "$PASSWORD_FILE"`
\set replication_password `cat "$REPLICATION_FILE"`

SELECT 'CREATE ROLE ado LOGIN' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'ado') \gexec
ALTER ROLE ado PASSWORD :'password';
SELECT 'CREATE DATABASE ado OWNER ado'
WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = 'ado') \gexec

SELECT 'CREATE ROLE replicator LOGIN REPLICATION'
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'replicator') \gexec
ALTER ROLE replicator PASSWORD :'replication_password';
-- What pg_rewind reads of the primary (postgresql.org, "pg_rewind", Notes).
GRANT EXECUTE ON FUNCTION pg_ls_dir(text, boolean, boolean) TO replicator;
GRANT EXECUTE ON FUNCTION pg_stat_file(text, boolean) TO replicator;
GRANT EXECUTE ON FUNCTION pg_read_binary_file(text) TO replicator;
GRANT EXECUTE ON FUNCTION pg_read_binary_file(text, bigint, bigint, boolean) TO replicator;
