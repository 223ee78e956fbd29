//! One index takes the place of another.

use rusqlite::Connection;

use super::trash;

/// Puts the attached database `new` in the place of this one, in one transaction. Returns how many images
/// went from the trash.
pub(super) fn replace(connection: &mut Connection) -> rusqlite::Result<usize> {
    let transaction = connection.transaction()?;
    let dropped = trash::drop_all_but_new(&transaction)?;
    transaction.execute_batch(
        "
        DELETE FROM encoder;
        INSERT INTO encoder SELECT * FROM new.encoder;
        -- They hold the codes of the encoder before. That a number is used up tells views that
        -- what they hold in memory is of no use either.
        INSERT INTO segments (first_image, last_image, images) VALUES (0, 0, 0);
        DELETE FROM segments;
        DELETE FROM removed;

        INSERT INTO contents (digest, width, height, format, taken, damage, code, hash, checksum)
            SELECT digest, width, height, format, taken, damage, code, hash, checksum
            FROM new.contents
            WHERE true
            ON CONFLICT (digest) DO UPDATE SET
                width = excluded.width, height = excluded.height, format = excluded.format,
                taken = excluded.taken, damage = excluded.damage,
                code = excluded.code, hash = excluded.hash, checksum = excluded.checksum;

        CREATE TEMP TABLE wanted AS
            SELECT n.id, n.path, n.size, n.mtime_ns, n.inode, n.ctime_ns, c.id AS content
            FROM new.images n
            JOIN new.contents nc ON nc.id = n.content
            JOIN contents c ON c.digest = nc.digest;
        CREATE UNIQUE INDEX temp.wanted_by_path ON wanted (path);
        DELETE FROM images WHERE NOT EXISTS
            (SELECT 1 FROM wanted w WHERE w.path = images.path AND w.content = images.content);
        UPDATE images SET size = w.size, mtime_ns = w.mtime_ns, inode = w.inode,
                          ctime_ns = w.ctime_ns, away_since = 0
            FROM wanted w WHERE w.path = images.path;
        INSERT INTO images (path, size, mtime_ns, inode, ctime_ns, content)
            SELECT path, size, mtime_ns, inode, ctime_ns, content FROM wanted w
            WHERE NOT EXISTS (SELECT 1 FROM images i WHERE i.path = w.path)
            ORDER BY w.id;
        DROP TABLE wanted;
        DELETE FROM contents
            WHERE NOT EXISTS (SELECT 1 FROM images WHERE images.content = contents.id)
              AND NOT EXISTS (SELECT 1 FROM trash WHERE trash.content = contents.id);
        INSERT OR REPLACE INTO folders SELECT * FROM new.folders;

        DELETE FROM failures WHERE path IN (SELECT path FROM images);
        INSERT OR REPLACE INTO failures (path, size, mtime_ns, kind, reason, inode, ctime_ns, limit_ms)
            SELECT path, size, mtime_ns, kind, reason, inode, ctime_ns, limit_ms FROM new.failures;
        CREATE TEMP TABLE before AS SELECT coalesce(max(id), 0) AS newest FROM runs;
        INSERT INTO runs (id, started, ended, completed, counts)
            SELECT newest + id, started, ended, completed, counts FROM new.runs, before;
        INSERT INTO run_roots (run, path)
            SELECT newest + run, path FROM new.run_roots, before;
        DROP TABLE before;
        UPDATE generation SET number = number + 1;
        ",
    )?;
    transaction.commit()?;
    Ok(dropped)
}
