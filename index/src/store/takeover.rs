//! Another encoder takes over: with another index, or with new codes of the same contents.

use rusqlite::{Connection, params};

use super::change::code_bytes;
use super::checksum;
use super::trash;
use super::types::{EncoderRecord, NewCode};

/// Makes `encoder` the index's encoder.
pub(super) fn set_encoder(
    connection: &Connection,
    encoder: &EncoderRecord,
) -> rusqlite::Result<()> {
    connection.execute("DELETE FROM encoder", ())?;
    connection.execute(
        "INSERT INTO encoder VALUES (1, ?1, ?2, ?3, ?4, ?5, ?6)",
        params![
            encoder.fingerprint,
            encoder.name,
            encoder.code_len as i64,
            encoder.bits as i64,
            f64::from(encoder.hash_weight),
            encoder.metadata
        ],
    )?;
    Ok(())
}

/// Gives every content the code of another encoder, in one transaction. Returns how many images went from the
/// trash, or `None` if there is no code for a stored image: then nothing is changed.
pub(super) fn switch(
    connection: &mut Connection,
    encoder: &EncoderRecord,
    codes: &[NewCode],
) -> rusqlite::Result<Option<usize>> {
    let transaction = connection.transaction()?;
    transaction.execute_batch("CREATE TEMP TABLE switched (content INTEGER PRIMARY KEY)")?;
    {
        let mut update = transaction.prepare(
            "UPDATE contents SET code = ?2, hash = ?3, checksum = ?4 WHERE digest = ?1 RETURNING id",
        )?;
        let mut note = transaction.prepare("INSERT OR IGNORE INTO switched VALUES (?1)")?;
        for new in codes {
            let code = code_bytes(&new.code);
            let sum = checksum::of(&new.digest, &code, &new.hash);
            let mut rows = update.query(params![new.digest, code, new.hash, sum])?;
            while let Some(row) = rows.next()? {
                note.execute([row.get::<_, i64>(0)?])?;
            }
        }
    }
    let lacking: i64 = transaction.query_row(
        "SELECT count(*) FROM images WHERE content NOT IN (SELECT content FROM switched)",
        (),
        |row| row.get(0),
    )?;
    if lacking > 0 {
        // The temporary table goes with the transaction.
        return Ok(None);
    }
    let dropped = transaction.execute(
        "DELETE FROM trash WHERE content NOT IN (SELECT content FROM switched)",
        (),
    )?;
    transaction.execute_batch(
        "
        DELETE FROM contents WHERE id NOT IN (SELECT content FROM switched);
        DROP TABLE switched;
        -- See `replace`.
        INSERT INTO segments (first_image, last_image, images) VALUES (0, 0, 0);
        DELETE FROM segments;
        DELETE FROM removed;
        DELETE FROM facts;
        UPDATE generation SET number = number + 1;
        ",
    )?;
    set_encoder(&transaction, encoder)?;
    transaction.commit()?;
    Ok(Some(dropped))
}

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

        DELETE FROM labels;
        INSERT INTO labels (content, class, probability)
            SELECT c.id, l.class, l.probability
            FROM new.labels l
            JOIN new.contents nc ON nc.id = l.content
            JOIN contents c ON c.digest = nc.digest;

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
        DELETE FROM facts;
        INSERT INTO facts SELECT * FROM new.facts;

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
