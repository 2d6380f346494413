"""How many rows a call writes: counted by triggers in the database of the running server."""
import sqlite3


class RowCounter:
    """Counts every inserted, updated and deleted row of every table. SQLite only."""

    def __init__(self, data):
        self._database = sqlite3.connect(data / "tandem.db", timeout=10, isolation_level=None)
        tables = [name for (name,) in self._database.execute(
            "select name from sqlite_master where type = 'table' and name not like 'sqlite_%'")]
        self._database.execute("begin immediate")
        self._database.execute("create table bench_row (what text primary key, rows integer not null)")
        for table in tables:
            for verb in ("insert", "update", "delete"):
                what = f"{verb} {table}"
                self._database.execute("insert into bench_row values (?, 0)", (what,))
                self._database.execute(
                    f"create trigger bench_{verb}_{table} after {verb} on {table} begin "
                    f"update bench_row set rows = rows + 1 where what = '{what}'; end")
        self._database.execute("commit")

    def counts(self):
        return dict(self._database.execute("select what, rows from bench_row where rows > 0 order by what"))
