//! What the database looks like, and how an older one becomes the newest.

use rusqlite::{Connection, TransactionBehavior};

/// How each version is made from the one before, beginning with an empty database.
pub(super) const MIGRATIONS: &[&str] = &[
    include_str!("1.sql"),
    include_str!("2.sql"),
    include_str!("3.sql"),
    include_str!("4.sql"),
    include_str!("5.sql"),
    include_str!("6.sql"),
];

/// Marks the file as a ledger: `akLD`.
pub(super) const APPLICATION_ID: i32 = i32::from_be_bytes(*b"akLD");

/// Statements that mark a database as a ledger of the newest version, as its file's header does.
pub fn marks() -> String {
    format!(
        "PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {};",
        MIGRATIONS.len()
    )
}

/// What a database is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DatabaseKind {
    /// Nothing is in it yet.
    Empty,
    /// A ledger of that version.
    Version(usize),
    TooNew(i64),
    /// Another program's.
    Foreign,
}

/// What the database is.
pub(super) fn find(connection: &Connection, newest: usize) -> rusqlite::Result<DatabaseKind> {
    let header = |name: &str| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let (application, version) = (header("application_id")?, header("user_version")?);
    if application == 0 && version == 0 {
        let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
        return Ok(if tables == 0 {
            DatabaseKind::Empty
        } else {
            DatabaseKind::Foreign
        });
    }
    Ok(match usize::try_from(version) {
        _ if application != i64::from(APPLICATION_ID) => DatabaseKind::Foreign,
        Ok(version @ 1..) if version <= newest => DatabaseKind::Version(version),
        Ok(1..) => DatabaseKind::TooNew(version),
        Ok(_) | Err(_) => DatabaseKind::Foreign,
    })
}

/// Makes the database the newest version, whole or not at all; returns what it was.
pub(super) fn migrate(connection: &mut Connection, migrations: &[&str]) -> rusqlite::Result<DatabaseKind> {
    let found = find(connection, migrations.len())?;
    if found == DatabaseKind::Version(migrations.len()) {
        return Ok(found);
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Another process may have been faster.
    let found = find(&transaction, migrations.len())?;
    let from = match found {
        DatabaseKind::Empty => 0,
        DatabaseKind::Version(version) => version,
        DatabaseKind::TooNew(_) | DatabaseKind::Foreign => return Ok(found),
    };
    for migration in migrations.iter().skip(from) {
        transaction.execute_batch(migration)?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(
        None,
        "user_version",
        i64::try_from(migrations.len()).unwrap_or(i64::MAX),
    )?;
    transaction.commit()?;
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: &str = "CREATE TABLE old (x INTEGER) STRICT; INSERT INTO old VALUES (1), (2);";
    const SECOND: &str =
        "CREATE TABLE new (x INTEGER, y INTEGER) STRICT; INSERT INTO new SELECT x, 2 * x FROM old; DROP TABLE old;";

    fn database() -> (tempfile::TempDir, Connection) {
        let folder = tempfile::tempdir().unwrap();
        let sql = Connection::open(folder.path().join("x.db")).unwrap();
        (folder, sql)
    }

    #[test]
    fn an_older_database_is_brought_forward_step_by_step_and_keeps_what_is_in_it() {
        let (_folder, mut sql) = database();
        assert_eq!(migrate(&mut sql, &[FIRST]).unwrap(), DatabaseKind::Empty);
        assert_eq!(migrate(&mut sql, &[FIRST]).unwrap(), DatabaseKind::Version(1));
        assert_eq!(
            migrate(&mut sql, &[FIRST, SECOND, "SELECT 1"]).unwrap(),
            DatabaseKind::Version(1)
        );
        assert_eq!(find(&sql, 3).unwrap(), DatabaseKind::Version(3));
        let sum: i64 = sql.query_row("SELECT sum(y) FROM new", [], |row| row.get(0)).unwrap();
        assert_eq!(sum, 6);
    }

    #[test]
    fn a_step_that_fails_leaves_the_older_database() {
        let (_folder, mut sql) = database();
        migrate(&mut sql, &[FIRST]).unwrap();
        let failed = migrate(&mut sql, &[FIRST, SECOND, "INSERT INTO missing VALUES (1)"]);
        assert!(failed.is_err());
        assert_eq!(find(&sql, 3).unwrap(), DatabaseKind::Version(1));
        let sum: i64 = sql.query_row("SELECT sum(x) FROM old", [], |row| row.get(0)).unwrap();
        assert_eq!(sum, 3);
    }

    #[test]
    fn a_newer_or_foreign_database_is_left_alone() {
        let (_folder, mut sql) = database();
        migrate(&mut sql, &[FIRST, SECOND]).unwrap();
        assert_eq!(migrate(&mut sql, &[FIRST]).unwrap(), DatabaseKind::TooNew(2));
        sql.pragma_update(None, "application_id", 7).unwrap();
        assert_eq!(
            migrate(&mut sql, &[FIRST, SECOND, SECOND]).unwrap(),
            DatabaseKind::Foreign
        );
        sql.query_row("SELECT sum(y) FROM new", [], |row| row.get::<_, i64>(0))
            .unwrap();
    }
}
