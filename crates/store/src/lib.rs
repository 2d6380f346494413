//! The only SQL: one Writer, SQLite and PostgreSQL from one text.
