-- Run by start.sh on the primary, with :secrets (a directory) and :slot. Can be run again.
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
-- One whose WAL was given up keeps none any more.
SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots
WHERE slot_name = :'slot' AND wal_status = 'lost' AND NOT active;
SELECT pg_create_physical_replication_slot(:'slot', true)
WHERE NOT EXISTS (SELECT FROM pg_replication_slots WHERE slot_name = :'slot');
